"""Tells whose fault an error is: the server's, or that of a claim or record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from stillhere.errors import StillhereError, StoreError, StoreRefused
from stillhere.stores.redis.servers import NotReplicated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.stores.redis.connect import Target

_IN_LUA: Final = re.compile(r"user_script:\d+: ")
_CODE: Final = re.compile(r"\b[A-Z]{3,}\b")
_PLACE: Final = re.compile(r" script: \w+, on @user_script:\d+\.?$")


def is_refusal(error: Exception) -> bool:
    """Tell whether a script could not work with what it was given; what the server says of itself has a code in capitals."""
    if type(error) is not ResponseError:
        return False
    text = _PLACE.sub("", str(error))
    codes = set(_CODE.findall(text)) - {"ERR"}
    return codes == {"WRONGTYPE"} or (not codes and _IN_LUA.search(text) is not None)


def done(answer: Any, troubles: list[Exception]) -> Any:  # noqa: ANN401  # answers are of many types
    """Give what was answered, None if nothing; note what is wrong with it."""
    if isinstance(answer, Exception):
        troubles.append(answer)
        return answer.answer if isinstance(answer, NotReplicated) else None
    return answer


def told(target: Target, troubles: Sequence[Exception]) -> StillhereError:
    """Turn the driver's errors into the one to be raised, with no password in it. Trouble of the server is told before any refusal.

    Args:
        target: where they come from.
        troubles: at least one.
    """
    worst = min(troubles, key=is_refusal)
    if isinstance(worst, StillhereError):
        return worst
    text = target.without_secrets(worst)
    error: StillhereError
    if is_refusal(worst):
        error = StoreRefused(f"the session store could not work with this: {text}")
    else:
        error = StoreError(f"the session store did not answer: {text}")
    error.__cause__ = worst
    return error
