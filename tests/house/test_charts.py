"""What the dashboard draws charts with is what its build makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "src" / "stillhere" / "server" / "static" / "vendor"


def test_the_shipped_charts_are_built_from_their_packages() -> None:
    """Bundling again gives the very bytes that the package ships, licences included."""
    built = subprocess.run(["node", "vendor-charts.mjs", "--check"], cwd=ROOT / "client", capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def test_the_charts_bring_no_style_sheet_of_their_own() -> None:
    """No `<style>` element is made by the bundle, so the pages' Content-Security-Policy stays strict."""
    assert 'append("style")' not in (VENDOR / "plot.js").read_text("utf-8")
