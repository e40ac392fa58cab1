"""Checks that hold outside of pytest, and when Python runs with -O."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class PromiseBroken(AssertionError):
    """A store did something else than it promises.

    Attributes:
        promise: name and sentence of the promise; empty until it is known which one.
        trouble: what was found, and what was promised.
    """

    def __init__(self, trouble: str) -> None:
        """Keep what was found."""
        super().__init__(trouble)
        self.promise = ""
        self.trouble = trouble

    def __str__(self) -> str:
        """Show the promise, then what was found instead."""
        return f"{self.promise}\n{self.trouble}" if self.promise else self.trouble


def expect(found: object, promised: object, what: str = "") -> None:
    """Hold what was found to what is promised.

    Args:
        found: what the store gave.
        promised: what it has to be equal to.
        what: what it is, where that is not plain from the promise.

    Raises:
        PromiseBroken: if they differ; it shows both, and where they differ.
    """
    __tracebackhide__ = True  # pytest shows the promise's own line
    if found != promised:
        lines = [f"found    {found!r}", f"promised {promised!r}", *_differences(found, promised, "")]
        raise PromiseBroken("\n".join(f"  {line}" for line in ([what] if what else []) + lines))


def expect_one_of(found: object, promised: tuple[object, ...], what: str) -> None:
    """Hold what was found to a few things, each of which is promised.

    Args:
        found: what the store gave.
        promised: what it may be equal to.
        what: what it is.

    Raises:
        PromiseBroken: if it is none of them.
    """
    __tracebackhide__ = True  # as above
    if found not in promised:
        raise PromiseBroken("\n".join([f"  {what}", f"  found    {found!r}", *(f"  allowed  {one!r}" for one in promised)]))


@contextmanager
def expect_error(kind: type[BaseException], what: str) -> Iterator[list[Any]]:
    """Hold a block to its promise to raise.

    Args:
        kind: the kind of error.
        what: what the block does.

    Yields:
        A list that holds the error afterwards.

    Raises:
        PromiseBroken: if nothing is raised. Any other error goes through.
    """
    raised: list[Any] = []
    try:
        yield raised
    except kind as error:
        raised.append(error)
        return
    raise PromiseBroken(f"  {what}\n  found    no error\n  promised {kind.__name__}")


def _differences(found: object, promised: object, path: str) -> Iterator[str]:
    """Tell where two records, or lists of records, differ."""
    if type(found) is type(promised) and isinstance(found, msgspec.Struct):
        for name in found.__struct_fields__:
            yield from _differences(getattr(found, name), getattr(promised, name), f"{path}.{name}")
    elif isinstance(found, list) and isinstance(promised, list) and len(found) == len(promised):
        for n, (one, other) in enumerate(zip(found, promised, strict=True)):
            yield from _differences(one, other, f"{path}[{n}]")
    elif path and found != promised:
        yield f"{path}: {found!r}, not {promised!r}"
