"""Numbers as people read them."""

import pytest

from primus.launch.report import words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.amount(12345.6), "12,346"),
        (words.amount(20), "20"),
        (words.amount(3.14159), "3.14"),
        (words.amount(None), "-"),
        (words.decimals(2.856012), "2.8560"),
        (words.percent(0.4123), "41.2 %"),
        (words.gibibytes(2**31), "2.00 GiB"),
        (words.duration(38.94), "38.9 s"),
        (words.duration(725), "12 min 05 s"),
        (words.duration(11040), "3 h 04 min"),
        (words.size(3034368), "3,034,368 (3.0 million)"),
        (words.size(8030261248), "8,030,261,248 (8.0 billion)"),
    ],
)
def test_numbers_are_said_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
