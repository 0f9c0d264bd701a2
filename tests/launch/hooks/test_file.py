"""What a hook says of itself, read without running it."""

import pytest

from primus.launch.hooks.file import Ways, ways
from primus.launch.problems import BadRequest

CLASS = """
from primus.node.hooks import spec

class Prepare(spec.Hooks):
    once = True
    timeout: float = 90

    def after_task(self, context): ...
    def before_task(self, context): ...
    def helper(self): ...
"""


def test_a_file_that_says_nothing_runs_before_the_ranks_on_each_node() -> None:
    assert ways("echo hello", "hooks/10_a.sh") == Ways(("before",), False, None)


def test_a_comment_says_when_and_where_and_for_how_long() -> None:
    assert ways("#!/bin/sh\n# primus-hook: when=after once timeout=1.5\n", "a.sh") == Ways(("after",), True, 1.5)
    assert ways("# primus-hook: when=both\n", "a.py").phases == ("before", "after")


def test_a_word_that_means_nothing_is_named_with_the_closest() -> None:
    with pytest.raises(BadRequest, match=r"a\.sh: primus-hook: 'when=aftr' is none of .* Did you mean 'when=after'\?"):
        ways("# primus-hook: when=aftr", "a.sh")


def test_a_class_says_it_by_its_methods_and_values() -> None:
    assert ways(CLASS, "10_a.py") == Ways(("before", "after"), True, 90, "Prepare")


def test_a_class_without_a_method_that_would_be_called_is_refused() -> None:
    with pytest.raises(BadRequest, match="the class Prepare has none of before_task, after_task"):
        ways("class Prepare(Hooks):\n    def before(self): ...", "10_a.py")


def test_a_mistake_in_python_is_found_before_anything_starts() -> None:
    with pytest.raises(BadRequest, match=r"10_a\.py:2: this is no Python"):
        ways("x = 1\ndef (", "10_a.py")
