"""What the kernel takes of a command and its environment at once; tests/properties/test_words.py has the rest."""

import subprocess
import sys

import pytest

from primus.launch.config import carried
from primus.launch.problems import BadRequest

VARIABLES = {f"A{n}": "x" * (99_990 + n) for n in range(40)}


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (
            ["python3", "x.py"],
            VARIABLES,
            "task.command and env.set: they have 4000919 bytes in all, and beside the environment of the shell the "
            "kernel takes at most 1835008 at once: put the largest into files: env.set.A39 (100042 bytes), "
            "env.set.A38 (100041 bytes), env.set.A37 (100040 bytes)",
        ),
        (["python3", *["x" * 100_000] * 30], {}, "task.command: they have 3000286 bytes in all"),
        (
            [*["x" * 100_000] * 10],
            dict([*VARIABLES.items()][:10]),
            "env.set.A9 (100011 bytes), env.set.A8 (100010 bytes), word 0 of task.command (100009 bytes)",
        ),
    ],
)
def test_a_command_and_variables_that_are_too_long_together_are_refused_by_the_largest(
    words: list[str], variables: dict[str, str], said: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        carried.check_together(words, variables)
    assert said in str(refused.value)


def test_what_is_not_refused_can_be_run() -> None:
    words, variables = ["x" * 100_000] * 9, {f"A{n}": "x" * 99_980 for n in range(9)}
    carried.check_together([sys.executable, "-ISc", "", *words], variables)
    subprocess.run([sys.executable, "-ISc", "", *words], env=variables, check=True)
