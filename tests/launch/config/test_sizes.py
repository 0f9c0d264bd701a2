"""Sizes as people type them."""

import pytest

from primus.launch.config.sizes import size, words


def test_units_are_powers_of_1024() -> None:
    assert [size(text) for text in ("4K", "16m", "1GiB", "512", 7, "2 TB")] == [
        *(4 << 10, 16 << 20, 1 << 30, 512, 7, 2 << 40)
    ]


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5G", "0", "4X"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: give bytes above 0, or 64K, 16M, 1G"):
        size(text)


def test_a_size_is_said_as_it_would_be_typed() -> None:
    assert [words(number) for number in (4096, 1 << 30, 1000, 0)] == ["4K", "1G", "1000", "0"]
