"""The command line: serve, demo, visits, sessions, doctor."""

from __future__ import annotations

import asyncio
import inspect
import sys
from pathlib import Path  # noqa: TC003  # Typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from stillhere import __version__
from stillhere.errors import StillhereError
from stillhere.server import demo as demo_pages
from stillhere.server.admin.report import list_audit
from stillhere.server.doctor import examine, show
from stillhere.server.mirror_report import list_mirrors, revive, run_mirrors
from stillhere.server.querying.commands import ArchiveUrl, ConfigFile, StoreUrl, register, settings_of
from stillhere.server.reports import end_sessions, list_sessions
from stillhere.server.run import run
from stillhere.server.settings import Settings, load_settings
from stillhere.stores import shown

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
mirrors = typer.Typer(help="Other systems that are told of visits.", no_args_is_help=True)
app.add_typer(mirrors, name="mirrors")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def _with_settings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb one flag for every setting, so that the table of settings is the only list of them; it keeps those of its own."""
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[2:]

    def flagged(config: Path | None, **flags: str | None) -> None:
        mine = {parameter.name: flags.pop(parameter.name) for parameter in own}
        verb(config, {name: value for name, value in flags.items() if value is not None}, **mine)

    parameters = [
        *own,
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile),
    ]
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
def demo(
    config: Path | None,
    flags: dict[str, Any],
    *,
    sample: Annotated[bool, typer.Option("--sample", help="With sample data: five weeks of visits, and some who are here now.")] = False,
) -> None:
    """Serve the demo: the same, with short timeouts and pages to try it on."""
    settings = load_settings(flags, config, defaults=demo_pages.SAMPLE_SETTINGS if sample else demo_pages.SETTINGS)
    if sample:
        count = asyncio.run(demo_pages.fill_with_sample(settings))
        if count:
            Console(soft_wrap=True, highlight=False).print(
                f"{count} sample visits are in {escape(shown(settings.archive or settings.store))}"
            )
    run(settings, demo=True, sample=sample)


@app.command()
@_with_settings
def doctor(
    config: Path | None,
    flags: dict[str, Any],
    *,
    session: Annotated[str | None, typer.Option(help="Explain this session; its handle, as `sessions list` shows it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which deadline applies, when and why, and what cannot work. Writes nothing; exit code 1 if something can't work."""
    settings = load_settings(flags, config)
    examination = asyncio.run(examine(settings, handle=session))
    show(examination, settings, as_json=as_json)
    if not examination.is_well:
        raise typer.Exit(1)


register(app)


@app.command()
def audit(
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many; the latest.")] = 100,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List what operators did, the latest first."""
    asyncio.run(list_audit(settings_of(store, archive, config), limit=limit, as_json=as_json))


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
    asyncio.run(list_sessions(settings_of(store, archive, config), subject=subject, as_json=as_json))


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
    asyncio.run(end_sessions(settings_of(store, archive, config), handle=handle, subject=subject))


@mirrors.command("list")
def mirrors_command(*, store: StoreUrl = None, archive: ArchiveUrl = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Tell how mirrors stand, and what they refused."""
    asyncio.run(list_mirrors(settings_of(store, archive, config), as_json=as_json))


@mirrors.command("run")
def run_mirrors_command(*, store: StoreUrl = None, archive: ArchiveUrl = None, config: ConfigFile = None) -> None:
    """Tell other systems, beside an application that keeps its sessions by itself. `serve` does it anyway."""
    asyncio.run(run_mirrors(settings_of(store, archive, config)))


@mirrors.command("retry")
def retry_command(
    name: Annotated[str, typer.Argument(help="The mirror's name, as `mirrors list` shows it.")],
    letter: Annotated[str | None, typer.Argument(help="A dead letter's id. Without it the mirror and all its dead letters.")] = None,
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    config: ConfigFile = None,
) -> None:
    """Try a mirror, or one of its dead letters, again."""
    asyncio.run(revive(settings_of(store, archive, config), name, letter, drop=False))


@mirrors.command("drop")
def drop_command(
    name: Annotated[str, typer.Argument(help="The mirror's name, as `mirrors list` shows it.")],
    letter: Annotated[str, typer.Argument(help="A dead letter's id.")],
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    config: ConfigFile = None,
) -> None:
    """Drop a dead letter: that visit is not sent any more."""
    asyncio.run(revive(settings_of(store, archive, config), name, letter, drop=True))


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
