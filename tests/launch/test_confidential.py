"""Secrets are told from other values by name, by URL, and by what this shell holds."""

import pytest

from primus.launch.confidential import is_confidential, redacted_config, redacted_override, secret_environment
from primus.launch.problems import BadRequest


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("++env.set.HF_TOKEN='hf_x'", "env.set.HF_TOKEN=<secret>"),
        ("+env.set.HF_TOKEN=hf_x", "+env.set.HF_TOKEN=<secret>"),
        ("++env.set.A='a b'", "env.set.A='a b'"),
        ("++env.set={A: 1}", "env.set={A: 1}"),
        ("++env.set={A: 1, HF_TOKEN: hf_x}", "env.set=<secret>"),
        ("env={set: {DB_PASSWORD: x}}", "env=<secret>"),
        ("tracking.uri=https://me:pass@host/x", "tracking.uri=https://***@host/x"),
        ("++task.steps=3", "++task.steps=3"),
        ("data.tokenizer=keys/token.json", "data.tokenizer=keys/token.json"),
        ("~task.steps", "~task.steps"),
    ],
)
def test_an_override_is_kept_without_its_secret(typed: str, kept: str) -> None:
    assert redacted_override(typed) == kept


@pytest.mark.parametrize(
    ("name", "value", "confidential"),
    [
        ("HF_TOKEN", "x", True),
        ("A", "https://me:pass@host", True),
        ("A", "<secret>", True),
        ("A", "https://***@host", True),
        ("A", "https://host/x", False),
        ("TOKENIZERS_PARALLELISM", "false", False),
    ],
)
def test_a_variable_is_confidential_by_name_or_by_value(name: str, value: str, confidential: bool) -> None:
    assert is_confidential(name, value) == confidential


def test_a_config_is_kept_without_secrets_and_otherwise_as_it_is() -> None:
    config = {
        "env": {"set": {"HF_TOKEN": "hf_x", "A": "1", "N_KEY": 3}},
        "tracking": {"uri": "http://me:pass@host"},
        "data": {"files": ["a", "b"], "n": None, "token_key": "text"},
    }
    assert redacted_config(config, {}) == {
        "env": {"set": {"HF_TOKEN": "<secret>", "A": "1", "N_KEY": "<secret>"}},
        "tracking": {"uri": "http://***@host"},
        "data": {"files": ["a", "b"], "n": None, "token_key": "text"},
    }


def test_the_value_of_a_secret_of_the_shell_is_refused_where_it_would_be_seen() -> None:
    with pytest.raises(
        BadRequest, match=r"^data\.files\[1\] holds the value of MY_TOKEN\. .*env\.forward=\[MY_TOKEN\]"
    ):
        redacted_config({"data": {"files": ["a", "x-12345678-y"]}}, {"MY_TOKEN": "12345678"})


def test_short_values_of_secrets_prove_nothing() -> None:
    assert redacted_config({"a": "on the way"}, {"MY_TOKEN": "on"}) == {"a": "on the way"}


def test_secrets_are_handed_to_the_agent_and_the_rest_is_in_the_plan() -> None:
    assert secret_environment({"HF_TOKEN": "x", "A": "1", "DB": "pg://u:p@h"}) == {"HF_TOKEN": "x", "DB": "pg://u:p@h"}


@pytest.mark.parametrize("lost", ["<secret>", "pg://***@host"])
def test_a_secret_that_the_record_does_not_hold_is_asked_for(lost: str) -> None:
    with pytest.raises(BadRequest, match=r"^env\.set\.DB was a secret and is not in the record: give it again"):
        secret_environment({"DB": lost})
