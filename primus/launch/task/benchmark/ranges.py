"""Sizes as people write them: 64K, a list of such, or a range. Pure."""

from collections.abc import Mapping, Sequence

from primus.launch.config.sizes import size
from primus.launch.problems import BadRequest


def listed(sizes: Mapping[str, str] | Sequence[str] | str, name: str) -> list[int] | None:
    """Bytes, in the order asked for; None for auto. `name` is the key of the config.

    Raises BadRequest for what is no size, and for a range that has no end.
    """
    if sizes == "auto":
        return None
    if isinstance(sizes, str):
        return [_bytes(sizes, name)]
    if not isinstance(sizes, Mapping):
        if not sizes:
            raise BadRequest(f"{name} is empty: give sizes such as [1K, 1M]")
        return [_bytes(one, name) for one in sizes]
    if set(sizes) != {"from", "to", "factor"}:
        raise BadRequest(f"{name}: a range has from, to and factor: {{from: 1K, to: 16M, factor: 4}}")
    first, last = (_bytes(sizes[end], f"{name}.{end}") for end in ("from", "to"))
    factor = _factor(sizes["factor"], f"{name}.factor")
    if last < first:
        raise BadRequest(f"{name}: it ends at {sizes['to']}, before it begins at {sizes['from']}")
    found, now = [], float(first)
    while now <= last:
        found.append(int(now))
        now *= factor
    return list(dict.fromkeys(found))


def _bytes(text: str, name: str) -> int:
    try:
        return size(text)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from None


def _factor(text: str, name: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if factor <= 1:
        raise BadRequest(f"{name}: {text!r} must be a number above 1")
    return factor
