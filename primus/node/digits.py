"""Whether text is a whole number, before it becomes one: `isdigit` says so of `²` and of ten thousand digits too."""

_MOST = 20
"""Digits of the largest number of 64 bits: the id of a GPU is one."""


def whole(text: str) -> bool:
    """Whether a text is a plain whole number, 0 or above, and of 64 bits or a little more."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST
