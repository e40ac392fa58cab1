"""URLs of stores: which there are, and that none is shown with its password."""

from __future__ import annotations

import pytest

from stillhere import stores
from stillhere.errors import SettingsError
from stillhere.stores import open_store, shown


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("sqlite:///visits.db", "sqlite:///visits.db"),
        ("memory://", "memory://"),
        ("postgresql://app@db.example/app", "postgresql://app@db.example/app"),
        ("postgresql://app:hunter2@db.example:5432/app?sslmode=require", "postgresql://app:***@db.example:5432/app?sslmode=require"),
        ("redis://:hunter2@cache.example/0", "redis://:***@cache.example/0"),
        ("redis://app:p@ss:w@cache.example/0", "redis://app:***@cache.example/0"),
        ("postgresql://db.example/app?user=a&password=hunter2", "postgresql://db.example/app?user=a&password=***"),
        ("postgresql:/app:hunter2@db.example/app", "postgresql:..."),
        ("postgresql://app:hun/ter2@db.example/app", "postgresql:..."),
        ("host=db.example password=hunter2", "host:..."),
        ("visits.db", "visits.db"),
        ("redis+sentinel://h:1,h:2/main?sentinel_password=hunter2&db=1", "redis+sentinel://h:1,h:2/main?sentinel_password=***&db=1"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, safe: str) -> None:
    """Whatever else it says stays readable, so that people can tell which store is meant."""
    assert shown(url) == safe


@pytest.mark.parametrize("url", ["", "mysql://root:hunter2@db.example/x", "visits.db", "memory:", "sqlite", "sqlite+aiosqlite:///x.db"])
def test_an_unknown_store_is_refused_with_those_there_are(url: str) -> None:
    """The sentence lists the schemes that work, and repeats no password."""
    with pytest.raises(SettingsError, match="sqlite:///") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("driver", "extra"), [("psycopg", "postgresql"), ("redis", "redis"), ("hiredis", "redis")])
def test_a_missing_driver_is_said_with_what_to_install(driver: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who changes the URL and not the installation reads which extra is wanted."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError(f"No module named {driver!r}", name=driver)

    monkeypatch.setattr(stores, "import_module", missing)
    with pytest.raises(SettingsError, match=rf"{driver} is not installed; install stillhere\[{extra}\]"):
        open_store("postgresql://db.example/app")


def test_another_missing_module_is_not_taken_for_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is an error of its own."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")

    monkeypatch.setattr(stores, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="sqlalchemy"):
        open_store("sqlite:///x.db")
