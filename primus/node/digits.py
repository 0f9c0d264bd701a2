"""Whether text is a whole number, before it becomes one: `isdigit` says so of `²` and of ten thousand digits too."""

_MOST = 18
"""Digits that fit into 64 bits, whatever they are."""


def whole(text: str) -> bool:
    """Whether a text is a plain whole number, 0 or above, that a 64-bit integer holds."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST
