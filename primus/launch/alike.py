"""What is worked out once for a value that the plans of a sweep have in common, as they have most."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Alike:
    """Results by the identity of the value that they are of, which must not be changed as long as this is in use."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def of(self, purpose: str, value: Any, work: Callable[[], T]) -> T:
        """The result of `work` for `value`; `purpose` tells different work on one value apart."""
        found = self._known.get((purpose, id(value)))
        if found is None:
            found = self._known[purpose, id(value)] = value, work()  # the value is kept: its id stays its own
        result: T = found[1]
        return result
