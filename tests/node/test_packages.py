"""Which interpreter is asked for the packages of the ranks."""

import pytest

from primus.node.packages import interpreter


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("python3 x.py -S", "python3"),
        ("python3 -I -u -S x.py", "python3 -I -S"),
        ("python3 -uS -c pass", "python3 -uS"),
        ("python3 -m primus -s", "python3"),
        ("python3 -X dev -S x.py", "python3"),
    ],
)
def test_it_has_the_options_of_the_ranks_that_say_where_packages_are(command, asked):
    assert " ".join(interpreter(command.split())) == asked
