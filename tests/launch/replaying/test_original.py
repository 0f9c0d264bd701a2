"""A replay runs the saved config: what a YAML file says today changes nothing, what the user types now does."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.config import catalog
from primus.node.plan import Plan, from_json

from ...conftest import Primus, Rank
from .conftest import Recorded


@pytest.fixture
def pretraining(work: Path, primus: Primus, recorded: Path) -> Path:
    """A recorded run of a training, made from a dry run: nothing was trained."""
    plan = json.loads(primus("dry_run=json", "task.steps=3", "task.optimizer.lr=0.5").out)
    (recorded / "plan.json").write_text(json.dumps(plan))
    (recorded / "config.yaml").write_text(yaml.safe_dump(plan["config"], sort_keys=False))
    return recorded


@pytest.fixture
def replayed(primus: Primus) -> Any:
    """The plan of a replay with these overrides."""

    def plan(run: Path, *overrides: str) -> Plan:
        said = primus(f"replay={run}", *overrides, "dry_run=json")
        assert said.code == 0, said.err
        return from_json(said.out)

    return plan


def edit(run: Path, **values: Any) -> None:
    file = run / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | values, sort_keys=False))


def test_the_saved_config_is_run_as_it_was(replayed: Any, pretraining: Path) -> None:
    plan = replayed(pretraining)
    assert plan.config == yaml.safe_load((pretraining / "config.yaml").read_text())
    assert plan.overrides == ()


def test_the_replay_names_the_run_it_replays(replayed: Any, pretraining: Path) -> None:
    assert replayed(pretraining).replay_of == json.loads((pretraining / "plan.json").read_text())["run_id"]


def test_what_was_typed_for_it_stays_the_users_word_that_no_hook_beats(
    replayed: Any, pretraining: Path, work: Path
) -> None:
    (work / "hooks").mkdir()
    (work / "hooks/10_a.sh").touch()
    plan = replayed(pretraining, "task.optimizer.lr=0.25", "hooks.timeout=9")
    assert plan.before == ("task.steps=3", "task.optimizer.lr=0.5")
    assert plan.decided["training.steps"] == "task.steps=3"
    assert plan.decided["optimizer.optimizer_kwargs.lr"] == "task.optimizer.lr=0.25"


def test_keys_that_are_younger_than_the_record_take_todays_defaults(pretraining: Path, replayed: Any) -> None:
    now = yaml.safe_load((pretraining / "config.yaml").read_text())
    old = copy.deepcopy(now) | {"container": {"name": "none"}}
    del old["task"]["checkpoint"]["keep"], old["node"]["lost_after"], old["model"]["rope_scaling"]
    edit(pretraining, **old)
    assert replayed(pretraining).config == now


def test_what_a_yaml_file_says_today_does_not_matter(
    replayed: Any, pretraining: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved values are not those of the YAML files, as if these had been changed since."""
    model = yaml.safe_load((catalog.conf_dir() / "model/tiny.yaml").read_text())
    edit(pretraining, model=model | {"layers": 7, "norm_epsilon": 0.25})
    plan = replayed(pretraining)
    assert (plan.config["model"]["layers"], plan.config["model"]["norm_epsilon"]) == (7, 0.25)
    assert json.loads(plan.files[0].text)["model"]["n_layers"] == 7


def test_overrides_on_top_win_and_are_recorded(replayed: Any, pretraining: Path) -> None:
    plan = replayed(pretraining, "task.optimizer.lr=1e-4")
    assert (plan.config["task"]["optimizer"]["lr"], plan.config["task"]["steps"]) == (1e-4, 3)
    assert plan.overrides == ("task.optimizer.lr=1e-4",)


def test_overrides_on_top_are_checked(primus: Primus, pretraining: Path) -> None:
    said = primus(f"replay={pretraining}", "task.optimizer.lrr=1e-4")
    assert said.code == 2
    assert "Did you mean 'task.optimizer.lr'?" in said.err


def test_unknown_keys_are_compared_with_those_of_the_saved_run(primus: Primus, recorded: Path) -> None:
    assert primus(f"replay={recorded}", "task.steps=3").err.endswith("There are: name, command\n")


def test_a_group_that_is_chosen_anew_has_the_values_of_its_file(replayed: Any, pretraining: Path) -> None:
    edit(pretraining, model={"name": "saved"}, data={"name": "saved"})
    plan = replayed(pretraining, "model=tiny", "data=mock")
    assert plan.config["model"] == yaml.safe_load((catalog.conf_dir() / "model/tiny.yaml").read_text())
    assert plan.config["data"] == {"name": "mock", "tokenizer": "bytes", "held_out": 0.02}
    assert plan.config["task"]["steps"] == 3


def test_an_experiment_that_is_chosen_anew_sets_what_it_sets_elsewhere(replayed: Any, pretraining: Path) -> None:
    plan = replayed(pretraining, "experiment=quick")
    assert (plan.config["experiment"]["name"], plan.config["task"]["steps"]) == ("quick", 20)
    assert plan.config["task"]["optimizer"]["lr"] == 0.5


def test_text_in_a_saved_config_is_text_and_no_reference_is_followed(
    replayed: Any, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIMUS_TEST_VALUE", "followed")
    texts = ["${oc.env:PRIMUS_TEST_VALUE}", "\\${x}", "${", "a ${b} c", "\\\\", "???", "${now:%Y}"]
    edit(recorded, task={"name": "command", "command": ["echo", *texts[:5], texts[6]]})
    edit(recorded, env={"set": {f"A{i}": text for i, text in enumerate(texts)}, "forward": []})
    plan = replayed(recorded)
    assert plan.job.command == ("echo", *texts[:5], texts[6])
    assert [variable.value for variable in plan.environment[-1].variables] == texts


def test_a_secret_that_was_not_kept_must_be_given_again(primus: Primus, rank: Rank, recorded: Path) -> None:
    edit(recorded, env={"set": {"HF_TOKEN": "<secret>", "DB": "postgres://***@host"}, "forward": []})
    said = primus(f"replay={recorded}", "tracking.enabled=false")
    assert said.code == 2
    assert said.err.startswith("primus: env.set.DB was a secret and is not in the record: give it again")
    given = ("env.set.DB=postgres://me:pass@host", "env.set.HF_TOKEN=hf_abcdefgh")
    assert primus(f"replay={recorded}", "tracking.enabled=false", *given).code == 0


def test_a_tracking_server_whose_password_was_not_kept_is_asked_for_by_the_environment(
    replayed: Any, recorded: Path
) -> None:
    edit(recorded, tracking={"enabled": True, "uri": "http://***@host:5000", "wait": 1})
    assert replayed(recorded).config["tracking"]["uri"] is None


def test_a_saved_key_that_primus_does_not_know_any_more_is_named(primus: Primus, recorded: Path) -> None:
    edit(recorded, gpu={"name": "auto", "environment": {}, "old": 1})
    said = primus(f"replay={recorded}")
    assert said.code == 2
    assert said.err.startswith("primus: gpu.old: no such key; there are: name, environment,")
    assert "conf/" not in said.err


def test_a_run_that_cannot_be_read_is_refused_before_anything_is_composed(primus: Primus, recorded: Path) -> None:
    (recorded / "config.yaml").write_text("a: [")
    said = primus(f"replay={recorded}")
    assert said.code == 2
    assert f"{recorded} is no run that can be read: config.yaml: " in said.err
    assert "Traceback" not in said.err


def test_a_run_is_replayed_from_an_exported_file_on_a_machine_without_its_directory(
    primus: Primus, run_of: Recorded, work: Path
) -> None:
    run = run_of("env.set.A=a b", text="import os; print('A is', os.environ['A'])")
    assert primus("task=export", f"run={run}", "to=run.tar.zst").code == 0
    run.rename(work / "elsewhere")
    said = primus("replay=run.tar.zst")
    assert said.code == 0, said.err
    assert "A is a b\n" in said.out


def test_a_sweep_over_a_replay_links_every_job_to_the_original(primus: Primus, run_of: Recorded, work: Path) -> None:
    run = run_of(text="import os; print(os.environ.get('A'))")
    said = primus(f"replay={run}", "-m", "env.set.A=1,2")
    assert said.code == 0, said.err
    plans = [from_json(file.read_text()) for file in sorted((work / "outputs").glob("default/*/[01]/plan.json"))]
    assert [plan.replay_of for plan in plans] == [run.name] * 2
    assert [plan.overrides for plan in plans] == [("env.set.A=1",), ("env.set.A=2",)]
