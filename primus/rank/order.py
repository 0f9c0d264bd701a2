"""A shuffled order that takes no memory. Standard library alone."""

import hashlib

_ROUNDS = 8
_WORD = 2**64 - 1


class Permutation:
    """The numbers below `count` in a pseudo-random order: the same for the same key, on every machine and version.

    A list of a billion documents would take gigabytes on every rank; this takes none, and any place of the order can
    be asked for at once. A Feistel network over the fewest bits (an even number) that hold `count`; what comes out too
    large goes in again: cycle walking (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains").
    """

    def __init__(self, count: int, *key: int) -> None:
        self._count = count
        self._half = max(1, -(-(count - 1).bit_length() // 2))
        self._mask = (1 << self._half) - 1
        texts = (f"{key} {number}".encode() for number in range(_ROUNDS))
        self._keys = [int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") for text in texts]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < self._count:
            raise IndexError(place)
        number = self._through(place)
        while number >= self._count:
            number = self._through(number)
        return number

    def _through(self, number: int) -> int:
        left, right = number >> self._half, number & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        return left << self._half | right


def _mix(word: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators")."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _WORD
    return word ^ word >> 31
