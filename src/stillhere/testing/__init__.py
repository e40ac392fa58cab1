"""For tests of applications and of stores: a clock to move, a provider that goes wrong, the kit that holds any store to its promises."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stillhere.testing.altered import Fault
    from stillhere.testing.check import Report, StoreCheckFailed, check_store, store_promises
    from stillhere.testing.clock import START, FakeClock
    from stillhere.testing.expect import PromiseBroken
    from stillhere.testing.faulty_provider import FaultyProvider, Held
    from stillhere.testing.opener import Opener, World
    from stillhere.testing.promise import LeftOut, Need, Promise

__all__ = [
    "START",
    "FakeClock",
    "Fault",
    "FaultyProvider",
    "Held",
    "LeftOut",
    "Need",
    "Opener",
    "Promise",
    "PromiseBroken",
    "Report",
    "StoreCheckFailed",
    "World",
    "check_store",
    "store_promises",
]

_HOMES: Final = {
    "START": "clock",
    "FakeClock": "clock",
    "Fault": "altered",
    "FaultyProvider": "faulty_provider",
    "Held": "faulty_provider",
    "PromiseBroken": "expect",
    "Opener": "opener",
    "World": "opener",
    "LeftOut": "promise",
    "Need": "promise",
    "Promise": "promise",
}
"""Where a name is, if not in `check`."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module's names are of many types
    """Load a name when it is asked for: pytest loads the plugin in every run, and that must not load the kit."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'check')}"), name)
