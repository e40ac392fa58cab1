"""The verbs of the command line that ask the archive, each with every filter."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stillhere.archive.filters import SORTS
from stillhere.archive.zones import UNITS
from stillhere.server.querying.asking import MORE
from stillhere.server.querying.lists import Form, erase_subject, export_subject, list_here, list_table
from stillhere.server.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings, those of `serve`.", envvar="STILLHERE_CONFIG")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="Where sessions are kept; otherwise as set, else sqlite:///stillhere.db.")]
ArchiveUrl = Annotated[str | None, typer.Option("--archive", help="Where the visits of a Redis store are kept; otherwise as set.")]
Subject = Annotated[str, typer.Option("--subject", help="Whose: an e-mail address or a user id.")]
Output = Annotated[Path | None, typer.Option("--output", help="File to write to; otherwise standard output.")]

WORDS: Final = {
    "visitor": "Only this visitor's.",
    "page": "Only visits that viewed this page.",
    "from": "First day, or an instant: 2026-11-01.",
    "to": "Last day, included; or an instant, not included.",
    "zone": "IANA time zone of those days: Europe/Berlin.",
    "min": "At least so much visible time: 30s.",
    "max": "At most so much visible time: 5m.",
    "ended": "Only visits that ended so, or are here: leave,idle,here.",
    "with": "Also what is left out otherwise: internal,excluded.",
    "verified": "Only verified visitors (true), or only others (false).",
}
"""The filter; `archive.filters` reads it."""

_OWN: Final = {"sort": f"By what: {', '.join(SORTS)}.", "unit": f"How long buckets are: {', '.join(UNITS)}; days, unless it is said."}
"""What one table alone takes."""

FORMS: Final[dict[Form, str]] = {
    "json": "Write JSON.",
    "csv": "Write CSV.",
    "jsonl": "Write JSON, a line for each row.",
    "parquet": "Write Parquet; needs --output.",
}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(_listing("visits", "List visits, newest first, and each visitor's totals."))
    app.command()(_listing("views", "List what was viewed in each visit, the newest visit first."))
    app.command()(_listing("visitors", "List visitors with their totals, the most recent first."))
    app.command()(_listing("pages", "List pages, the one with the most visible time first."))
    app.command()(_listing("totals", "Add visits up."))
    app.command()(_listing("buckets", "Add visits up by hour, day, week or month."))
    app.command()(_listing("durations", "Count visits by their visible time."))
    app.command()(_listing("simultaneous", "Tell how many visitors were there at once, over time."))
    app.command()(here)
    app.command()(export)
    app.command()(erase)


def _listing(name: str, sentence: str) -> Callable[..., None]:
    """Make a verb with a flag for every word of the filter, and one for every form."""

    def verb(
        store: str | None, archive: str | None, config: Path | None, output: Path | None, limit: int | None, **flags: str | None
    ) -> None:
        forms = [form for form in FORMS if flags.pop(f"as_{form}")]
        form = _form_of(forms, output)
        words = {word.rstrip("_"): said for word, said in flags.items() if said is not None}
        asyncio.run(list_table(settings_of(store, archive, config), name, words, form=form, output=output, limit=limit))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(f"{word}_", keyword, default=None, annotation=Annotated[str | None, typer.Option(f"--{word}", help=said)])
        for word, said in (WORDS | ({MORE[name]: _OWN[MORE[name]]} if name in MORE else {})).items()
    ]
    parameters += [
        inspect.Parameter(f"as_{form}", keyword, default=False, annotation=Annotated[bool, typer.Option(f"--{form}", help=said)])
        for form, said in FORMS.items()
    ]
    limit = Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many rows; otherwise 100 of a table, and all of the other forms.")
    ]
    for own, kind in (("limit", limit), ("output", Output), ("store", StoreUrl), ("archive", ArchiveUrl), ("config", ConfigFile)):
        parameters.append(inspect.Parameter(own, keyword, default=None, annotation=kind))
    verb.__name__, verb.__doc__ = name, sentence
    verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how inspect is told of it
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return verb


def _form_of(forms: list[Form], output: Path | None) -> Form:
    """Choose how to write: one form, and a file only for what is no table for people."""
    if len(forms) > 1:
        raise typer.BadParameter(f"give one of {', '.join(f'--{form}' for form in forms)}")
    if output is not None and not forms:
        raise typer.BadParameter(f"say what to write to {output}: add one of {', '.join(f'--{form}' for form in FORMS)}")
    if output is None and forms == ["parquet"]:
        raise typer.BadParameter("a Parquet file is not for a screen; say where it goes with --output FILE")
    return forms[0] if forms else "table"


def here(
    *,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """List who is here now, or left a moment ago."""
    asyncio.run(list_here(settings_of(store, archive, config), as_json=as_json))


def export(
    *, subject: Subject, output: Output = None, store: StoreUrl = None, archive: ArchiveUrl = None, config: ConfigFile = None
) -> None:
    """Write all that is kept of a person, as JSON: what they may ask for by law."""
    asyncio.run(export_subject(settings_of(store, archive, config), subject, output))


def erase(
    *,
    subject: Subject,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreUrl = None,
    archive: ArchiveUrl = None,
    config: ConfigFile = None,
) -> None:
    """End a person's sessions and delete all that is kept of them. Nothing brings it back."""
    settings = settings_of(store, archive, config)
    if not yes:
        typer.confirm(f"Delete every session, visit and view of {subject}? Nothing brings them back.", abort=True)
    asyncio.run(erase_subject(settings, subject))


def settings_of(store: str | None, archive: str | None, config: Path | None) -> Settings:
    """Load the settings, with those flags that were given."""
    given = {"store": store, "archive": archive}
    return load_settings({name: url for name, url in given.items() if url is not None}, config)
