"""Which keys a record lacks, and what they take."""

from primus.launch.replaying import younger


def test_a_group_takes_what_it_lacks_from_the_file_of_its_choice_and_keeps_the_rest() -> None:
    saved = {
        "runtime": {"name": "slurm", "nodes": 7},
        "container": {"name": "none"},
        "task": {"name": "train/evaluate"},
    }
    filled = younger.fill(saved, {})
    assert filled["runtime"]["nodes"] == 7
    assert filled["runtime"]["signal"] == 120
    assert filled["container"]["image"] is None
    assert filled["task"]["checkpoint"]["keep"] is not None, "of train/pretrain, which this choice is made of"
    assert saved["container"] == {"name": "none"}


def test_mappings_with_keys_of_anybodys_are_as_they_were() -> None:
    saved = {"backend": {"name": "megatron", "environment": {}}, "env": {"set": {}}, "gone": {"a": 1}}
    filled = younger.fill(saved, {"env": {"set": {"X": "1"}, "forward": []}, "gone": 3})
    assert filled["backend"]["environment"] == {}
    assert filled["env"] == {"set": {}, "forward": []}
    assert filled["gone"] == {"a": 1}


def test_a_choice_that_is_no_more_takes_nothing() -> None:
    assert younger.fill({"runtime": {"name": "ours", "nodes": 1}}, {}) == {"runtime": {"name": "ours", "nodes": 1}}


def test_what_is_added_is_named() -> None:
    assert younger.added({"a": {"b": 1}, "c": 2}, {"a": {"b": 1, "d": 3}, "c": 4, "e": None}) == [
        ("a.d", 3),
        ("e", None),
    ]
