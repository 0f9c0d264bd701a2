"""A value in an override is exactly that value to Hydra."""

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from primus.launch.cli.literal import literal, typed

WORDS = [
    "16g",
    "1K",
    "a b",
    "1e-5",
    "1_000",
    ".5",
    "true",
    "Null",
    "NaN",
    "",
    "a,b",
    "it's",
    "${x}",
    "x\\",
    "a:b",
    "[a]",
]
text = st.sampled_from(WORDS) | st.text("ab1 ,:'\"\\${}[]=.-_", max_size=6)
scalars = (
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | text
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


def hydra(value: str) -> Any:
    """What a key holds after an override."""
    read = OverridesParser.create().parse_override(f"key={value}").value()
    container: Any = OmegaConf.to_container(OmegaConf.create({"key": read}), resolve=True)
    return container["key"]


@settings(max_examples=100, deadline=None)
@given(values)
def test_hydra_reads_back_what_was_meant(value: Any) -> None:
    assert hydra(literal(value)) == value


def test_a_mapping_keeps_its_keys() -> None:
    assert hydra(literal({"from": "1K", "factor": 2})) == {"from": "1K", "factor": 2}


@pytest.mark.parametrize(
    ("word", "value"),
    [("8", 8), ("1e-4", 1e-4), ("1K", "1K"), ("1,2", [1, 2]), ("bf16", "bf16"), ("True", "true"), ("[1,2]", "[1,2]")],
)
def test_what_is_typed_has_the_type_that_is_meant(word: str, value: Any) -> None:
    assert typed(word) == value
