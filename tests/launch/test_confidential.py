"""Secrets are told from other values by name, by URL, and by what this shell holds."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.confidential import (
    gives_secret,
    is_confidential,
    printable,
    redacted_config,
    redacted_override,
    secret_environment,
)
from primus.launch.config import catalog
from primus.launch.problems import BadRequest

from ..conftest import Primus


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("++env.set.HF_TOKEN='hf_x'", "env.set.HF_TOKEN=<secret>"),
        ("+env.set.HF_TOKEN=hf_x", "+env.set.HF_TOKEN=<secret>"),
        ("++env.set.A='a b'", "env.set.A='a b'"),
        ("++env.set={A: 1}", "env.set={A: 1}"),
        ("++env.set={A: 1, HF_TOKEN: hf_x}", "env.set=<secret>"),
        ("env={set: {DB_PASSWORD: x}}", "env=<secret>"),
        ("HF_TOKEN=hf_x", "HF_TOKEN=<secret>"),
        ("env.HF_TOKEN=hf_x", "env.HF_TOKEN=<secret>"),
        ("+gpu.environment.HF_TOKEN=hf_x", "+gpu.environment.HF_TOKEN=<secret>"),
        ("+gpu={environment: {HF_TOKEN: hf_x}}", "+gpu=<secret>"),
        ("++backend.args={lr: 1, hf_token: [hf_x]}", "++backend.args=<secret>"),
        ("++backend.args={lr: 1, eos_token: x, api_key: ''}", "++backend.args={lr: 1, eos_token: x, api_key: ''}"),
        ("++backend.args.hf_token='a,b'", "++backend.args.hf_token=<secret>"),
        ("data.token=hf_x", "data.token=<secret>"),
        ("data.token=HF_TOKEN", "data.token=HF_TOKEN"),
        ("++backend.args.moe_token_dispatcher_type=alltoall", "++backend.args.moe_token_dispatcher_type=alltoall"),
        ("tracking.uri=https://me:pass@host/x", "tracking.uri=https://***@host/x"),
        ("++task.steps=3", "++task.steps=3"),
        ("data.tokenizer=keys/token.json", "data.tokenizer=keys/token.json"),
        ("~task.steps", "~task.steps"),
    ],
)
def test_an_override_is_kept_without_its_secret(typed: str, kept: str) -> None:
    assert redacted_override(typed) == kept


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a", "a:", "a-", " "])
def test_an_override_without_end_is_read_in_one_go(part: str) -> None:
    override = "task.command={" + part * 200_000
    assert redacted_override(override) == override


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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gpu.environment.HF_TOKEN", "x"),
        ("gpu.environment.text_key", 3),  # a variable by this name would not be in the plan either
        ("backend.environment.WANDB_API_KEY", "WANDB_API_KEY"),
        ("backend.args.hf_token", "x"),
        ("backend.args.hf_access_token", "x"),
        ("backend.args.wandb-api-key", "x"),
        ("task.tokens[0].secrets[1]", "x"),
        ("data.token", "hf_x"),
        ("data.token", "MINE"),
    ],
)
def test_a_secret_that_is_not_under_env_set_is_refused(key: str, value: Any) -> None:
    assert gives_secret(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.token", "HF_TOKEN"),
        ("data.token", None),
        ("data.text_key", "text"),
        ("data.tokenizer", "keys/token.json"),
        ("backend.args.hf_access_token", ""),
        ("backend.args.moe_token_dispatcher_type", "alltoall"),
        ("backend.args.moe_token_drop_policy", "probs"),
        ("backend.args.fim_eod_token", "<|eod|>"),
        ("backend.args.add_ghost_token", True),
        ("backend.args.password_file", "/run/password"),
        ("backend.args.key", "loss"),
    ],
)
def test_names_of_variables_and_terms_of_the_field_are_no_secrets(key: str, value: Any) -> None:
    assert not gives_secret(key, value)


def leaves(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{key}.{k}")]
    return [(key, value)]


def test_no_key_of_primus_is_taken_for_a_secret() -> None:
    files = [*catalog.conf_dir().rglob("*.yaml")]
    found = [leaf for path in files for leaf in leaves(yaml.safe_load(path.read_text()), path.parent.name)]
    assert len(found) > 1000
    assert [(key, value) for key, value in found if gives_secret(key, value or "text")] == []


def test_the_refusal_names_the_key_and_where_its_value_came_from() -> None:
    config = {"backend": {"args": {"hf_token": "hf_x"}}}
    with pytest.raises(BadRequest) as refused:
        redacted_config(config, {}, origin=lambda key: f"conf/mine.yaml:3 of {key}")
    assert str(refused.value) == (
        "backend.args.hf_token is a secret by its name, and would be kept with the run as it stands: give it by "
        "env.set.HF_TOKEN=… or env.forward=[HF_TOKEN]  (conf/mine.yaml:3 of backend.args.hf_token)"
    )


def test_the_token_itself_is_no_name_of_its_variable() -> None:
    with pytest.raises(BadRequest, match=r"^data\.token is the name of the variable .* such as HF_TOKEN; .*env\.set"):
        redacted_config({"data": {"token": "hf_x"}}, {})


@pytest.mark.parametrize(
    "words",
    [
        ("+gpu.environment.HF_TOKEN=hf_planted",),
        ("+backend.environment={WANDB_API_KEY: hf_planted}",),
        ("data=hf", "data.token=hf_planted"),
        ("backend.args.hf_token=hf_planted",),
        ("backend.args.load=s3://key:hf_planted@host/x",),
        ("-m", "task.command=env,true", "+gpu.environment.HF_TOKEN=hf_planted"),
    ],
    ids=lambda words: words[-1],
)
def test_a_refused_secret_is_not_on_the_disk_nor_on_the_screen(
    primus: Primus, work: Path, words: tuple[str, ...]
) -> None:
    said = primus("task=command", "task.command=env", *words)
    assert said.code == 2
    assert "hf_planted" not in said.out + said.err
    assert [*work.iterdir()] == []


@pytest.mark.parametrize("url", ["s3://key:pw@host/x", "s3://***@host/x"])
@pytest.mark.parametrize("key", ["backend", "gpu", "data", "task"])
def test_a_password_in_a_url_is_refused_where_it_would_reach_a_file_or_be_lost(key: str, url: str) -> None:
    with pytest.raises(BadRequest, match=rf"^{key}\.a\[0\] holds a password in a URL, .*env\.set\.NAME"):
        redacted_config({key: {"a": [url]}}, {})


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("++env.set.HF_TOKEN='hf_x'", "++env.set.HF_TOKEN='<secret>'"),
        ("tracking.uri='https://me:pw@host'", "tracking.uri='https://***@host'"),
        ("++env.set.A='1'", "++env.set.A='1'"),
    ],
)
def test_what_hydra_prints_it_composes_of_masked_values(override: str, shown: str) -> None:
    assert printable(override) == shown


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
