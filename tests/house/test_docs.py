"""The documents say what the code does."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stillhere
from stillhere.core.deadlines import TokenSpans, table_of
from stillhere.core.policy import PRESETS, Policy
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.core.wire import Beat, Kind, Listed, Revoking, TokenAnswer
from stillhere.http.config import HttpConfig
from stillhere.http.explaining import ExplainedAnswer, ToldDeadline
from stillhere.server.settings import DocumentedSetting, documented
from stillhere.testing import Fault
from stillhere.tokens import TokenNews, Tokens
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.failures import Failure

if TYPE_CHECKING:
    import msgspec

ROOT = Path(__file__).parents[2]

SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")
PROTOCOL = (ROOT / "spec" / "protocol.md").read_text("utf-8")
GLOSSARY = (ROOT / "spec" / "glossary.md").read_text("utf-8")
DEADLINES = (ROOT / "docs" / "deadlines.md").read_text("utf-8")
PYTHON = (ROOT / "docs" / "python.md").read_text("utf-8")
TOKENS = (ROOT / "docs" / "tokens.md").read_text("utf-8")


@pytest.mark.parametrize("setting", documented(), ids=lambda setting: setting.name)
def test_every_setting_is_in_the_table(setting: DocumentedSetting) -> None:
    """Name, default and meaning stand in docs/settings.md as they are in the code."""
    assert f"| `{setting.name}` | {setting.default or 'none'} | {setting.meaning} |" in SETTINGS


def test_the_table_has_no_setting_that_is_none() -> None:
    """A setting that was removed is gone from docs/settings.md too."""
    table = SETTINGS.partition("## Presets")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {setting.name for setting in documented()}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_documented(preset: str) -> None:
    """Presets stand in docs/settings.md."""
    assert f"| `{preset}` |" in SETTINGS


@pytest.mark.parametrize("path", HttpConfig().paths())
def test_every_session_route_is_in_the_protocol(path: str) -> None:
    """Every session route stands in spec/protocol.md."""
    assert re.search(rf"`(GET|POST) {re.escape(path)}`", PROTOCOL)


@pytest.mark.parametrize("record", [Beat, ExplainedAnswer, ToldDeadline, TokenAnswer, Listed, Revoking])
def test_every_member_on_the_wire_is_in_the_protocol(record: type[msgspec.Struct]) -> None:
    """Every member of a message, of an answer and of what is in it stands in spec/protocol.md."""
    for name in record.__struct_encode_fields__:
        assert f"`{name}`" in PROTOCOL, name


@pytest.mark.parametrize("value", [*EndedBy, *Lifecycle, *Kind])
def test_every_word_on_the_wire_is_in_the_glossary(value: str) -> None:
    """Reasons, lifecycles and kinds stand in spec/glossary.md."""
    assert f"`{value}`" in GLOSSARY


@pytest.mark.parametrize("name", stillhere.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Every name that `import stillhere` offers stands in docs/python.md."""
    assert f"`{name}" in PYTHON


@pytest.mark.parametrize(
    "verb",
    ["serve", "demo", "visits", "sessions list", "sessions end", "mirrors list", "mirrors run", "mirrors retry", "mirrors drop", "doctor"],
)
def test_every_verb_is_documented(verb: str) -> None:
    """Every verb of the command line stands in docs/program.md."""
    assert f"stillhere {verb}" in (ROOT / "docs" / "program.md").read_text("utf-8")


@pytest.mark.parametrize("word", [*Failure, *(name for name in Provider.__struct_fields__)])
def test_every_word_about_providers_is_documented(word: str) -> None:
    """What a failure means and what can be set stand in docs/provider.md."""
    assert re.search(rf"\b{word}\b", (ROOT / "docs" / "provider.md").read_text("utf-8"))


@pytest.mark.parametrize("word", [*TokenNews, *Tokens.__struct_fields__])
def test_every_word_about_tokens_is_documented(word: str) -> None:
    """What can happen to tokens and what can be set stand in docs/tokens.md."""
    assert re.search(rf"\b{word}\b", TOKENS)


def test_what_the_page_on_tokens_imports_is_there() -> None:
    """Every program on docs/tokens.md can be read by Python, and what it imports of ours exists."""
    programs = [ast.parse(block) for block in re.findall(r"```python\n(.*?)```", TOKENS, re.DOTALL)]
    assert len(programs) == 3
    for statement in (node for program in programs for node in program.body if isinstance(node, ast.ImportFrom)):
        if statement.module is not None and statement.module.partition(".")[0] == "stillhere":
            assert all(hasattr(import_module(statement.module), alias.name) for alias in statement.names), ast.unparse(statement)


@pytest.mark.parametrize("name", Fault.__struct_fields__)
def test_every_fault_is_documented(name: str) -> None:
    """What a provider can do wrong in tests stands in docs/testing.md."""
    assert f"`{name}=" in (ROOT / "docs" / "testing.md").read_text("utf-8")


def test_every_deadline_is_in_its_table() -> None:
    """Every timeout that the code knows is a row of docs/deadlines.md, with where it is set, and no other is."""
    tokens = TokenSpans(access_lifetime=1, replay_timeout=1, provider_lifetime=1)
    rows = table_of(Policy(touch_interval=1), tokens, retention=1)
    table = DEADLINES.partition("## The table")[2].partition("Smaller ones")[0]
    assert sorted(re.findall(r"^\| ([^|]+) \| .*(?:server|client|provider|verifies it) \|$", table, re.MULTILINE)) == sorted(
        row.name for row in rows
    )


def test_every_finding_is_documented() -> None:
    """Every code that the doctor can give stands in docs/deadlines.md, and no other does."""
    rooms = [
        ROOT / "src" / "stillhere" / room for room in ("core/findings.py", "server/checks.py", "server/part_checks.py", "server/doctor.py")
    ]
    found = {code for room in rooms for code in re.findall(r'"([a-z]+(?:-[a-z]+)+|preset)"', room.read_text("utf-8"))}
    cells = re.findall(r"^\| ([^|]+) \|", DEADLINES.partition("| code | level | what |")[2], re.MULTILINE)
    assert {code for cell in cells for code in re.findall(r"`([a-z-]+)`", cell)} == found


def test_documents_link_to_what_is_there() -> None:
    """Every relative link and picture in the documents leads to a file."""
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "spec").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_makefile_and_readme_agree() -> None:
    """The README has exactly two commands, and both are verbs of the Makefile."""
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = re.findall(r"^make (\w+)", readme, re.MULTILINE)
    assert commands == ["demo", "test"]
    assert all(f"\n{command}:" in makefile for command in commands)
