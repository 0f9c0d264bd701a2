"""What defines a rank is Primus's own: who sets it is told so, instead of being overruled without a word."""

import pytest

from primus.launch.config import reserved
from primus.launch.problems import BadRequest
from primus.node import environment
from primus.node.environment import World


def test_all_that_wins_over_the_user_is_reserved_and_nothing_else_that_defines_a_rank() -> None:
    defining = environment.for_rank({}, (), World(2, 0, 8), 0, {})
    of_the_run = {name for name in reserved.INSTEAD if name.startswith("PRIMUS_")}
    assert set(reserved.INSTEAD) - of_the_run == set(defining) - {"MASTER_PORT"}


def test_it_is_refused_with_what_to_give_instead() -> None:
    with pytest.raises(BadRequest, match=r"^env\.set\.WORLD_SIZE: each rank has .* from Primus: give runtime\.nodes"):
        reserved.check("WORLD_SIZE", "env.set.WORLD_SIZE")
    reserved.check("MASTER_PORT", "env.set.MASTER_PORT")
