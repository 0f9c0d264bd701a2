"""Which options of a framework the user's own words decide."""

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from primus.launch.backend import decided
from primus.launch.config.origin import Origins
from primus.launch.members import member
from tests import neutral

BACKENDS = ("torchtitan", "megatron", "maxtext")


def options(backend: str, *words: str, before: tuple[str, ...] = (), model: str = "tiny") -> dict[str, str]:
    source = Origins(words, (), {}, before)
    terms = (neutral.model(model), neutral.data("text"), neutral.training())
    return decided.by_the_user(member("backend", backend).rank_config, *terms, source)


@pytest.mark.parametrize(
    ("backend", "steps", "layers"),
    [
        ("torchtitan", "training.steps", "n_layers"),
        ("megatron", "train_iters", "num_layers"),
        ("maxtext", "steps", "base_num_decoder_layers"),
    ],
)
def test_an_option_is_decided_by_the_word_that_its_value_comes_from(backend: str, steps: str, layers: str) -> None:
    found = options(backend, "task.steps=3", "model.layers=2")
    assert (found[steps], found[layers]) == ("task.steps=3", "model.layers=2")
    assert options(backend) == {}


def test_a_value_that_is_the_default_is_the_users_word_when_he_typed_it() -> None:
    assert options("torchtitan", f"task.seed={neutral.training().seed}")["debug.seed"].startswith("task.seed=")


def test_a_whole_part_decides_all_that_is_in_it() -> None:
    word = "task.parallel={tensor: 1, context: 1}"
    found = options("torchtitan", word)
    assert {found[f"parallelism.{name}_parallel_degree"] for name in ("tensor", "context")} == {word}


def test_what_was_typed_for_the_run_that_is_repeated_counts_and_the_newer_word_is_told() -> None:
    found = options("torchtitan", "task.steps=5", before=("task.steps=3", "task.seed=7"))
    assert (found["training.steps"], found["debug.seed"]) == ("task.steps=5", "task.seed=7")


def test_choices_of_groups_and_keys_of_others_decide_none() -> None:
    assert options("torchtitan", "model=tiny", "experiment=quick", "runtime.nodes=2", "data.tokenizer=bytes") == {}


def keys(part: Any, prefix: str) -> list[str]:
    found = []
    for field in fields(part):
        value = getattr(part, field.name)
        found += keys(value, f"{prefix}.{field.name}") if is_dataclass(value) else [f"{prefix}.{field.name}=1"]
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", ["tiny", "deepseek_v3", "gpt_oss_20b", "llama4_scout", "llama3.1_8b"])
def test_every_term_can_be_typed_for_every_backend(backend: str, model: str) -> None:
    words = [*keys(neutral.model(model), "model"), *keys(neutral.training(), "task"), "data.tokenizer=x"]
    assert len(set(options(backend, *words, model=model).values())) > 20
