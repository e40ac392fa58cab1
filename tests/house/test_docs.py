"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stillhere
from stillhere.core.policy import PRESETS
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.core.wire import Answer, Beat, Kind
from stillhere.http.config import HttpConfig
from stillhere.server.settings import DocumentedSetting, documented

if TYPE_CHECKING:
    import msgspec

ROOT = Path(__file__).parents[2]

SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")
PROTOCOL = (ROOT / "spec" / "protocol.md").read_text("utf-8")
GLOSSARY = (ROOT / "spec" / "glossary.md").read_text("utf-8")
PYTHON = (ROOT / "docs" / "python.md").read_text("utf-8")


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


@pytest.mark.parametrize("record", [Beat, Answer])
def test_every_member_on_the_wire_is_in_the_protocol(record: type[msgspec.Struct]) -> None:
    """Every member of a beat and of an answer stands in spec/protocol.md."""
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


@pytest.mark.parametrize("verb", ["serve", "demo", "visits", "sessions list", "sessions end"])
def test_every_verb_is_documented(verb: str) -> None:
    """Every verb of the command line stands in docs/program.md."""
    assert f"stillhere {verb}" in (ROOT / "docs" / "program.md").read_text("utf-8")


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
