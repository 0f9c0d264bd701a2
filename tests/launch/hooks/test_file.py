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


def test_several_comments_count_together_and_may_not_contradict_each_other() -> None:
    assert ways("# primus-hook: once\n# primus-hook: timeout=60\n", "a.sh") == Ways(("before",), True, 60)
    with pytest.raises(BadRequest, match=r"a\.sh: primus-hook: when=after and when=both: which of them\?"):
        ways("# primus-hook: when=after\n# primus-hook: when=both\n", "a.sh")


def test_a_word_that_means_nothing_is_named_with_the_closest() -> None:
    with pytest.raises(BadRequest, match=r"a\.sh: primus-hook: 'when=aftr' is none of .* Did you mean 'when=after'\?"):
        ways("# primus-hook: when=aftr", "a.sh")


def test_a_class_says_it_by_its_methods_and_values() -> None:
    assert ways(CLASS, "10_a.py") == Ways(("before", "after"), True, 90, "Prepare")


def test_a_class_without_a_method_that_would_be_called_is_refused() -> None:
    with pytest.raises(BadRequest, match="the class Prepare has none of before_task, after_task"):
        ways("class Prepare(Hooks):\n    def before(self): ...", "10_a.py")


@pytest.mark.parametrize(
    "text",
    [
        "from primus.node.hooks.spec import Hooks as H\nclass A(H):\n    def before_task(self, context): ...",
        "class Base(Hooks): ...\nclass A(Base):\n    def before_task(self, context): ...",
        "class Base(Hooks):\n    def before_task(self, context): ...\nclass A(Base):\n    once = False",
    ],
)
def test_the_class_may_derive_from_hooks_by_another_name_or_by_way_of_another_class(text: str) -> None:
    assert ways(text, "10_a.py") == Ways(("before",), False, None, "A")


def test_what_a_class_inherits_in_the_file_counts() -> None:
    base = CLASS.replace("Prepare", "Base") + "class A(Base):\n    timeout = 5\n"
    assert ways(base, "10_a.py") == Ways(("before", "after"), True, 5, "A")


def test_a_second_class_is_refused_since_a_file_is_one_hook() -> None:
    with pytest.raises(BadRequest, match=r"10_a\.py: Prepare and Other are hooks, and a file has one"):
        ways(CLASS + "class Other(spec.Hooks):\n    def after_task(self, context): ...\n", "10_a.py")


def test_hooks_that_nothing_derives_from_where_it_could_be_seen_are_refused() -> None:
    text = "from primus.node.hooks.spec import Hooks\nif True:\n    class A(Hooks):\n        timeout = 3\n"
    with pytest.raises(BadRequest, match=r"10_a\.py: Hooks is imported, and no class at the top of the file"):
        ways(text, "10_a.py")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeout = 30 * 2", r"10_a\.py:6: timeout: .* give it a plain value, not 'timeout = 30 \* 2'"),
        ("once: bool = not False", r"10_a\.py:6: once: .* give it a plain value, not 'once: bool = not False'"),
        ("once, timeout = True, 5", r"10_a\.py:6: once: .* give it a plain value"),
        ("timeout = True", "timeout: True is no number of seconds above 0"),
        ("timeout = 0", "timeout: 0 is no number of seconds above 0"),
        ("once = 1", "once: 1 is neither True nor False"),
    ],
)
def test_a_value_that_cannot_be_read_without_running_the_file_is_refused(line: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        ways(CLASS.replace("timeout: float = 90", line), "10_a.py")


def test_a_comment_beside_a_class_is_refused_since_the_class_says_it() -> None:
    with pytest.raises(BadRequest, match=r"primus-hook: the class Prepare says when and where it runs"):
        ways("# primus-hook: when=after\n" + CLASS, "10_a.py")


def test_a_mistake_in_python_is_found_before_anything_starts() -> None:
    with pytest.raises(BadRequest, match=r"10_a\.py:2: this is no Python"):
        ways("x = 1\ndef (", "10_a.py")
