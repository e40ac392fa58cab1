"""The command line: serve, demo, visits, sessions."""

from __future__ import annotations

import asyncio
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from stillhere import __version__
from stillhere.errors import StillhereError
from stillhere.server import demo as demo_pages
from stillhere.server.reports import Form, end_sessions, list_sessions, list_visits
from stillhere.server.run import run
from stillhere.server.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    help="Knows who is still here: sessions that end when a person stops, and stay while they work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sessions = typer.Typer(help="Living sessions.", no_args_is_help=True)
app.add_typer(sessions, name="sessions")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", envvar="STILLHERE_CONFIG")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="Where sessions are kept.  [default: as set, else sqlite:///stillhere.db]")]
ArchiveUrl = Annotated[str | None, typer.Option("--archive", help="Where the visits of a Redis store are kept.  [default: as set]")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def _with_settings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb one flag for every setting, so that the table of settings is the only list of them."""

    def flagged(config: Path | None, **flags: str | None) -> None:
        verb(config, {name: value for name, value in flags.items() if value is not None})

    parameters = [inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile)]
    for name, field in Settings.model_fields.items():
        option = typer.Option(f"--{name.replace('_', '-')}", help=field.description, show_default=False)
        annotation = Annotated[str | None, option]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    flagged.__name__, flagged.__doc__ = verb.__name__, verb.__doc__
    flagged.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how inspect is told of it
    flagged.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flagged


@app.command()
@_with_settings
def serve(config: Path | None, flags: dict[str, Any]) -> None:
    """Serve sessions, gate and dashboard."""
    run(load_settings(flags, config), demo=False)


@app.command()
@_with_settings
def demo(config: Path | None, flags: dict[str, Any]) -> None:
    """Serve the demo: the same, with short timeouts and pages to try it on."""
    run(load_settings(flags, config, defaults=demo_pages.SETTINGS), demo=True)


@app.command()
def visits(
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    visitor: Annotated[str | None, typer.Option(help="Only this visitor's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many; the newest.")] = 100,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV.")] = False,
    config: ConfigFile = None,
) -> None:
    """List visits, newest first, and each visitor's totals."""
    if as_json and as_csv:
        raise typer.BadParameter("give either --json or --csv")
    form: Form = "json" if as_json else "csv" if as_csv else "table"
    asyncio.run(list_visits(_settings(store, archive, config), visitor=visitor, limit=limit, form=form))


@sessions.command("list")
def list_command(
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    subject: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List living sessions, the most recently seen first."""
    asyncio.run(list_sessions(_settings(store, archive, config), subject=subject, as_json=as_json))


@sessions.command("end")
def end_command(
    handle: Annotated[str | None, typer.Argument(help="The session's handle, as `sessions list` shows it.")] = None,
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    subject: Annotated[str | None, typer.Option(help="End all of this one's instead.")] = None,
    config: ConfigFile = None,
) -> None:
    """End a session, or all of one subject's. Open pages learn of it with their next message."""
    if (handle is None) == (subject is None):
        raise typer.BadParameter("give either a handle or --subject")
    asyncio.run(end_sessions(_settings(store, archive, config), handle=handle, subject=subject))


def _settings(store: str | None, archive: str | None, config: Path | None) -> Settings:
    given = {"store": store, "archive": archive}
    return load_settings({name: url for name, url in given.items() if url is not None}, config)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # the signature is Typer's
    if wanted:
        typer.echo(f"stillhere {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")]


@app.callback()
def _root(
    *,
    version: Version = False,  # the callback reads it
) -> None:
    pass


def main() -> None:
    """Run the command line; trouble is one clear sentence and exit code 1, a wrong command is 2."""
    try:
        app()
    except StillhereError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
