"""Sizes as people write them."""

from collections.abc import Mapping, Sequence

import pytest

from primus.launch.problems import BadRequest
from primus.launch.task.benchmark.ranges import listed


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("auto", None),
        ("64K", [65536]),
        (["1K", "2M", "1G", "12"], [1024, 2 << 20, 1 << 30, 12]),
        ({"from": "1K", "to": "16K", "factor": "4"}, [1024, 4096, 16384]),
        ({"from": "1K", "to": "3K", "factor": "1.5"}, [1024, 1536, 2304]),
        ({"from": "1KiB", "to": "1kB", "factor": "2"}, [1024]),
    ],
)
def test_sizes_are_bytes(sizes: Mapping[str, str] | Sequence[str] | str, expected: list[int] | None) -> None:
    assert listed(sizes, "task.sizes") == expected


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("1X", "task.sizes: '1X' is no size"),
        (["0"], "'0' is no size"),
        ([], "task.sizes is empty"),
        ({"from": "1K", "to": "2K"}, "has from, to and factor"),
        ({"from": "2K", "to": "1K", "factor": "2"}, "ends at 1K, before it begins at 2K"),
        ({"from": "1K", "to": "2K", "factor": "1"}, "task.sizes.factor: '1' must be a number above 1"),
        ({"from": "1K", "to": "2K", "factor": "much"}, "'much' must be a number above 1"),
    ],
)
def test_what_is_no_size_is_refused(sizes: Mapping[str, str] | Sequence[str] | str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        listed(sizes, "task.sizes")
