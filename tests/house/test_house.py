"""The house stands as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "stillhere"
CORE = sorted((SOURCE / "core").glob("*.py"))

OURS = [*SOURCE.rglob("*.py"), *(file for file in (ROOT / "tests").rglob("*.py") if "node_modules" not in file.parts)]

ALLOWED_IN_CORE = {
    "__future__",
    "base64",
    "binascii",
    "collections.abc",
    "enum",
    "hashlib",
    "hmac",  # compare_digest
    "json",
    "msgspec",
    "msgspec.structs",
    "re",
    "typing",
    "stillhere.core",
    "stillhere.errors",
}

LONGEST_FILE = 400
LONGEST_FUNCTION = 40

LONG_BY_NATURE = {"openapi", "upgrade"}
"""A document and a migration: lists, not logic."""


def test_imports_only_go_down() -> None:
    """No room imports one above it, the core imports nothing that can tell time or reach out, and stores do not know each other."""
    checked = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", CORE, ids=lambda file: file.name)
def test_the_core_is_pure(file: Path) -> None:
    """No clock, randomness, I/O or async in the core: only what is on the list is imported, nothing awaits, opens or prints."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), f"{file.name}:{node.lineno} is async"
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED_IN_CORE, f"{file.name}:{node.lineno}"
        if isinstance(node, ast.ImportFrom):
            room = ".".join((node.module or "").split(".")[:2]) if (node.module or "").startswith("stillhere") else node.module
            assert room in ALLOWED_IN_CORE, f"{file.name}:{node.lineno} imports {node.module}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval", "__import__"}, f"{file.name}:{node.lineno}"


def test_files_and_functions_stay_small() -> None:
    """A file fits in a sitting, a function on a screen."""
    for file in OURS:
        text = file.read_text("utf-8")
        assert text.count("\n") <= LONGEST_FILE, f"{file} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in LONG_BY_NATURE:
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = (node.end_lineno or 0) - node.body[0].lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)
                assert lines <= LONGEST_FUNCTION, f"{file}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.sql")), ids=lambda file: file.name)
def test_statements_begin_with_their_units(file: Path) -> None:
    """Every SQL file says on its first line what its numbers are."""
    assert file.read_text("utf-8").startswith("-- Units: ")


def test_every_suppression_has_its_reason() -> None:
    """Wherever a linter or a type checker is told to look away, the line says why."""
    for file in OURS:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            for mark in ("# no" + "qa:", "# type: " + "ignore["):
                if mark in line:
                    assert line.partition(mark)[2].count("#") >= 1, f"{file}:{number}: {line.strip()}"


def test_the_shipped_client_is_built_from_its_source() -> None:
    """Building the client again gives the very bytes that the package ships."""
    built = subprocess.run(["node", "build.mjs", "--check"], cwd=ROOT / "client", capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def test_the_shipped_parts_of_pdf_js_are_those_of_npm() -> None:
    """What the viewer uses of pdf.js is, byte for byte and file for file, what the locked version on npm has."""
    checked = subprocess.run(["node", "vendor.mjs", "--check"], cwd=ROOT / "client", capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_importing_the_package_does_no_work() -> None:
    """`import stillhere` starts no thread, opens no file of ours and loads no database driver, server, migration tool or cryptography."""
    script = (
        "import sys, threading, stillhere; "
        "heavy = {'sqlalchemy', 'alembic', 'starlette', 'uvicorn', 'pydantic', 'sqlite3', 'limits', 'joserfc', 'cryptography'}; "
        "loaded = heavy & set(sys.modules); "
        "assert not loaded, loaded; assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
