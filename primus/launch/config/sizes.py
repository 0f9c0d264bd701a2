"""Sizes in bytes as people type them."""

import re

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def size(text: str | int) -> int:
    """`4M` is 4 MiB; a number is bytes. Raises ValueError that says what is right."""
    found = re.fullmatch(r"(\d+)\s*([KMGT]?)(i?B)?", str(text).strip(), re.IGNORECASE)
    if not found or not int(found[1]):
        raise ValueError(f"{text!r} is no size: give bytes above 0, or 64K, 16M, 1G")
    return int(found[1]) << _UNITS[found[2].upper()]


def words(number: int) -> str:
    """`4M` of 4194304; a number that is no whole multiple as it is."""
    for unit in ("T", "G", "M", "K"):
        if number and number % (1 << _UNITS[unit]) == 0:
            return f"{number >> _UNITS[unit]}{unit}"
    return str(number)
