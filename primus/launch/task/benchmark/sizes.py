"""Sizes as people write them: 64K, a list of such, or a range. Pure."""

import re
from collections.abc import Mapping, Sequence

from primus.launch.problems import BadRequest

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}  # as nccl-tests has them


def listed(sizes: Mapping[str, str] | Sequence[str] | str | None, name: str) -> list[int] | None:
    """Bytes, in the order asked for; None for None. `name` is the key of the config.

    Raises BadRequest for what is no size, and for a range that has no end.
    """
    if sizes is None:
        return None
    if isinstance(sizes, str):
        return [_bytes(sizes, name)]
    if not isinstance(sizes, Mapping):
        if not sizes:
            raise BadRequest(f"{name} is empty: give sizes such as [1K, 1M]")
        return [_bytes(size, name) for size in sizes]
    if set(sizes) != {"from", "to", "factor"}:
        raise BadRequest(f"{name}: a range has from, to and factor: {{from: 1K, to: 16M, factor: 4}}")
    first, last = (_bytes(sizes[end], f"{name}.{end}") for end in ("from", "to"))
    factor = _factor(sizes["factor"], f"{name}.factor")
    if last < first:
        raise BadRequest(f"{name}: it ends at {sizes['to']}, before it begins at {sizes['from']}")
    found, size = [], float(first)
    while size <= last:
        found.append(int(size))
        size *= factor
    return list(dict.fromkeys(found))


def words(size: int) -> str:
    """`64K` of 65536 bytes; bytes where it is no whole number of a unit."""
    unit = next((unit for unit in ("G", "M", "K") if size % _UNITS[unit] == 0), "")
    return f"{size // _UNITS[unit]}{unit}"


def _bytes(text: str, name: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:iB|B)?", text.strip(), flags=re.IGNORECASE)
    if not match or not int(match[1]):
        raise BadRequest(f"{name}: {text!r} is no size: give bytes, or 64K, 16M, 1G")
    return int(match[1]) * _UNITS[match[2].upper()]


def _factor(text: str, name: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if factor <= 1:
        raise BadRequest(f"{name}: {text!r} must be a number above 1")
    return factor
