"""The files of `--config`: what each of their keys becomes, with none left out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch.cli.experiment import maxtext, megatron, torchtitan
from primus.launch.cli.translate import Translation, translate
from primus.launch.problems import BadRequest
from primus.node.plan import from_json

from ...conftest import PATIENCE, Primus, Start

# In the form of examples/megatron/configs/MI300X of AMD-AGI/Primus.
MEGATRON = """
work_group: ${PRIMUS_TEAM:amd}
user_name: ${PRIMUS_USER:root}
exp_name: &exp_name ${PRIMUS_EXP_NAME:mine}
workspace: ./output
modules:
  pre_trainer:
    framework: megatron
    config: pre_trainer.yaml
    model: ${PRIMUS_MODEL:llama3.1_8B}.yaml
    overrides:
      wandb_project: "Ours"
      train_iters: 50
      global_batch_size: 128
      seq_length: ${PRIMUS_SEQ_LENGTH:4096}
      lr: 1e-5
      min_lr: 1.0e-6
      lr_decay_iters: null
      tensor_model_parallel_size: 2
      sequence_parallel: 1
      overlap_grad_reduce: true
      recompute_granularity: full
      recompute_method: block
      recompute_num_layers: 4
      mock_data: true
      train_data_path: ${PRIMUS_TOKENIZED_DATA_PATH:null}
      fp8: hybrid
      save: null
      save_interval: 20000
      disable_last_saving: true
      auto_continue_train: false
      enable_primus_turbo: true
      use_turbo_attention: true
      use_turbo_gemm: false
      pp_warmup: true
"""
TITAN = """
[job]
dump_folder = "./outputs"
[model]
name = "llama3"
flavor = "8B"
converters = ["float8"]
[optimizer]
name = "AdamW"
lr = 3e-4
[lr_scheduler]
warmup_steps = 200
decay_type = "cosine"
[training]
local_batch_size = 2
global_batch_size = -1
seq_len = 4096
steps = 1000
dataset = "c4"
gc_freq = 50
[parallelism]
tensor_parallel_degree = 2
data_parallel_shard_degree = -1
[checkpoint]
enable = true
interval = 100
export_dtype = "float32"
[activation_checkpoint]
mode = "selective"
selective_ac_option = "op"
[mesh]
size = 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(text: str, *words: str, name: str = "exp.yaml", **environ: str) -> Translation:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    return translate(["direct", "--", "train", "pretrain", "--config", name, *words], environ)


def values(told: Translation) -> dict[str, str]:
    return dict(word.split("=", 1) for word in told.words)


def refusal(text: str, *words: str, name: str = "exp.yaml", **environ: str) -> str:
    with pytest.raises(BadRequest) as refused:
        told(text, *words, name=name, **environ)
    return str(refused.value)


def test_a_primus_yaml_is_said_in_neutral_terms() -> None:
    said = values(told(MEGATRON))
    expected = {
        "backend": "megatron",
        "model": "llama3.1_8b",
        "data": "mock",
        "task": "train/pretrain",
        "output.root": "./output/amd/root",
        "experiment.name": "mine",
        "task.steps": "50",
        "task.global_batch": "128",
        "task.sequence_length": "4096",
        "task.precision": "fp8",
        "task.optimizer.lr": "1e-05",
        "task.schedule.min_lr_ratio": "0.1",
        "task.schedule.steps": "null",
        "task.parallel.tensor": "2",
        "task.parallel.sequence": "true",
        "task.activation_checkpointing": "full",
        "backend.args.overlap_grad_reduce": "true",
        "backend.args.recompute_num_layers": "4",
    }
    assert {key: said.get(key) for key in expected} == expected


def test_what_a_primus_yaml_does_not_say_is_that_of_its_preset() -> None:
    said = values(told(MEGATRON))
    assert {key: said[f"task.{key}"] for key in ("micro_batch", "optimizer.betas", "schedule.warmup_steps")} == {
        "micro_batch": "2",
        "optimizer.betas": "[0.9,0.999]",
        "schedule.warmup_steps": "40",
    }


def test_variables_have_defaults_and_become_numbers() -> None:
    said = values(told(MEGATRON, PRIMUS_SEQ_LENGTH="8192", PRIMUS_MODEL="llama2_7B", PRIMUS_TEAM="us"))
    assert (said["task.sequence_length"], said["model"]) == ("8192", "llama2_7b")
    assert said["output.root"] == "./output/us/root"
    assert "${HOST}: HOST is not set here" in refusal(MEGATRON.replace("./output", "${HOST}/output"))


def test_every_key_of_a_primus_yaml_has_an_entry() -> None:
    account = told(MEGATRON).account
    keys = yaml.safe_load(MEGATRON)["modules"]["pre_trainer"]["overrides"]
    for key in (*keys, "work_group", "user_name", "exp_name", "workspace", "framework", "model"):
        assert [line for line in account if line.startswith(f"{key}=")], key
    assert "wandb_project=Ours -> nothing to do: metrics and logs are in the run directory and in MLflow" in account
    assert "use_turbo_gemm=false -> nothing to do: off" in account


def test_a_secret_of_a_file_is_masked_on_both_sides_and_then_refused(start: Start, work: Path) -> None:
    Path(work, "exp.yaml").write_text(
        f"{MEGATRON}      wandb_api_key: sekretsekret\n      load: s3://key:pass@host/x\n"
    )
    program = ("-c", "import primus.cli; primus.cli.primus_cli()")
    line = ("--dry-run", "direct", "--", "train", "pretrain", "--config", "exp.yaml")
    out, err = start(*line, program=program, HOME=str(work)).communicate(timeout=PATIENCE)
    assert "wandb_api_key=<secret> -> backend.args.wandb_api_key=<secret>\n" in err
    assert "load=s3://***@host/x -> task.checkpoint.load=s3://***@host/x\n" in err
    assert "'backend.args.wandb_api_key=<secret>'" in err
    assert "primus-cli: task.checkpoint.load=s3://***@host/x: " in err
    assert [secret for secret in ("sekretsekret", "key:pass") if secret in out + err] == []


def test_what_is_not_understood_is_named_and_strict_refuses_it() -> None:
    assert [line.partition(": ")[2] for line in told(MEGATRON).warnings] == [
        "enable_primus_turbo=true: kernels of Primus-Turbo are not in this backend",
        "use_turbo_attention=true: kernels of Primus-Turbo are not in this backend",
        "pp_warmup=true: an addition of AMD's to Megatron, or a name that 0.19.2 no longer has",
    ]
    assert refusal(MEGATRON, "--strict").count("\n") == 3


def test_names_of_the_framework_can_be_typed_and_win_over_the_file() -> None:
    for words in (("train_iters=7",), ("--train_iters", "7"), ("--train_iters=7",)):
        assert values(told(MEGATRON, *words))["task.steps"] == "7"
    assert values(told(MEGATRON, "task.steps=9"))["task.steps"] == "9"
    assert "there is no flag --train_itres. Did you mean '--train_iters'?" in refusal(MEGATRON, "--train_itres", "7")


def test_data_that_are_named_are_read() -> None:
    text = MEGATRON.replace("mock_data: true", "mock_data: false\n      split: 99,1,0")
    said = values(told(text, PRIMUS_TOKENIZED_DATA_PATH="10 /data/c4_text_document"))
    assert (said["data"], said["data.paths"], said["data.split"]) == (
        *("megatron", "[/data/c4_text_document]", "[99.0,1.0,0.0]"),
    )
    assert any("mock_data=false: no data are named" in line for line in told(text).warnings)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("framework: megatron", "framework: megatro", "'megatro' is none of megatron, torchtitan, maxtext."),
        ("llama3.1_8B}.yaml", "llama3.1_9B}.yaml", "modules.pre_trainer.model: the model 'llama3.1_9B' of megatron"),
        ("lr: 1e-5", "lr: fast", "lr: fast is no number"),
        ("pre_trainer:", "post_trainer:", "modules: only pre_trainer is here, not post_trainer"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_key(old: str, new: str, message: str) -> None:
    assert message in refusal(MEGATRON.replace(old, new))


def test_keys_beside_the_modules_are_accounted_for_too() -> None:
    said = told(MEGATRON.replace("workspace:", "workspaces: 1\nenv: {NCCL_DEBUG: INFO}\nplatform: {}\nworkspace:"))
    assert "exp.yaml: workspaces=1: no key of a Primus YAML. Did you mean 'workspace'?" in said.warnings
    assert values(said)["env.set.NCCL_DEBUG"] == "INFO"
    other = told(MEGATRON.replace("config: pre_trainer.yaml", "config: mine.yaml\n    overide: {}"))
    assert "exp.yaml: modules.pre_trainer.overide: no such key. Did you mean 'overrides'?" in other.warnings
    assert any("config=mine.yaml: not known here" in line for line in other.warnings)


def test_a_primus_yaml_of_torchtitan_and_one_of_maxtext() -> None:
    head = (
        "exp_name: e\nmodules:\n  pre_trainer: {framework: %s, config: pre_trainer.yaml, model: %s, overrides: {%s}}\n"
    )
    said = values(told(head % ("torchtitan", "llama3.1_8B-fp8.yaml", "training: {steps: 5, mock_data: false}")))
    assert (said["model"], said["task.precision"], said["task.steps"], said["data"]) == (
        *("llama3.1_8b", "fp8", "5", "hf"),
    )
    assert said["task.schedule.warmup_steps"] == "5", "its default of 200 is cut by TorchTitan itself"
    text = head % (
        "maxtext",
        "llama3_8B.yaml",
        "per_device_batch_size: 4, dataset_type: synthetic, hf_access_token: hf_x",
    )
    said = values(told(text))
    assert (said["model"], said["task.micro_batch"], said["task.steps"], said["data"]) == (
        "llama3_8b",
        "4",
        "1000",
        "mock",
    )
    assert said["task.schedule.warmup_steps"] == "100"
    shown = told(text)
    assert "hf_x" not in str((shown.words, shown.account, shown.warnings))


def test_a_toml_of_torchtitan() -> None:
    said = told(TITAN, name="exp.toml")
    found = values(said)
    expected = {
        "backend": "torchtitan",
        "model": "llama3.1_8b",
        "data": "hf",
        "data.dataset": "allenai/c4",
        "task.steps": "1000",
        "task.micro_batch": "2",
        "task.global_batch": "null",
        "task.optimizer.lr": "0.0003",
        "task.precision": "fp8",
        "task.parallel.tensor": "2",
        "task.checkpoint.interval": "100",
        "task.activation_checkpointing": "selective",
        "backend.args.training.gc_freq": "50",
    }
    assert {key: found.get(key) for key in expected} == expected
    assert [line.split(": ")[1] for line in said.warnings] == ["checkpoint.export_dtype=float32", "mesh.size=3"]
    assert values(told(TITAN, "training.steps=3", name="exp.toml"))["task.steps"] == "3"


def test_a_toml_with_our_keys_and_a_yaml_of_ours_say_the_same() -> None:
    toml = 'model = "llama3_8b"\n[experiment]\nname = "e"\n[task]\nsteps = 7\n[env.set]\nA = "b c"\n'
    text = "defaults:\n  - override /model: llama3_8b\n  - _self_\n"
    text += "experiment: {name: e}\ntask: {steps: 7}\nenv: {set: {A: b c}}\n"
    expected = ("model=llama3_8b", "experiment.name=e", "task.steps=7", "env.set.A=b c", "runtime=direct")
    assert told(toml, name="exp.toml").words[:5] == told(text).words[:5] == expected


def test_an_experiment_in_a_folder_of_that_name_is_hydras_own() -> None:
    words = told("# @package _global_\ntask: {steps: 7}\n", name="experiment/ours.yaml").words
    assert words[:3] == ("--config-dir", str(Path.cwd()), "experiment=ours")


def test_a_defaults_list_that_overrides_cannot_say_is_refused() -> None:
    assert "put it into a folder called experiment" in refusal("defaults: [quick]\ntask: {steps: 7}\n")


def test_references_and_parts_of_a_model_stay_what_they_are() -> None:
    said = values(told("experiment: {name: '${model.name}'}\nmodel: {moe: {experts: 8}}\n"))
    assert (said["experiment.name"], said["model.moe"]) == ("'${model.name}'", "{experts:8}")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "slurm: {nodes: 1}\nmain: {}\n", "defaults of AMD's launcher"),
        ("a.yaml", "- 1\n", "it holds no mapping"),
        ("a.yaml", "a: [\n", "--config a.yaml: while parsing"),
        ("a.toml", "a = [\n", "--config a.toml: "),
        ("a.yaml", "5: 3\n", "--config a.yaml: 5: a key must be text"),
        ("a.yaml", "task: {5: 3}\n", "--config a.yaml: task.5: a key must be text"),
        ("a.yaml", "a: [{'': 3}]\n", "--config a.yaml: a.'': a key must be text"),
        ("a.yaml", "a: &a {b: *a}\n", "--config a.yaml: it is nested too deeply, or holds itself"),
        ("a.yaml", "defaults: 5\n", "a.yaml: defaults: it is no list of choices"),
        ("a.yaml", "modules: foo\n", "--config a.yaml: modules: it holds no mapping of keys to values"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused(name: str, text: str, message: str) -> None:
    assert message in refusal(text, name=name)


@pytest.mark.parametrize("name", ["a.yaml", "a.toml"])
def test_a_file_that_is_no_text_is_refused(name: str) -> None:
    Path(name).write_bytes(b"\xff\xfea")
    with pytest.raises(BadRequest, match=rf"^--config {name}: it is no text in UTF-8$"):
        translate(["direct", "--", "train", "pretrain", "--config", name], {})


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", "framework: missing; it is one of megatron, torchtitan, maxtext."),
        (" text", "modules.pre_trainer: it holds no mapping"),
        (" {framework: megatron, overrides: [a, b]}", "modules.pre_trainer.overrides: it holds no mapping"),
        (" {framework: megatron, 3: 4}", "modules.pre_trainer.3: a key must be text"),
        (" {framework: megatron}\nenv: [HF_TOKEN=hf_x]", "env: it holds no mapping of keys to values"),
        (" {framework: megatron, overrides: {train_data_path: 5}}", "train_data_path: 5 is no list"),
        (" {framework: torchtitan, overrides: {model: {converters: 5}}}", "model.converters: 5 is no list"),
        (" {framework: maxtext, overrides: {steps: .nan, warmup_steps_fraction: 0.1}}", "steps: nan is no number"),
    ],
)
def test_a_primus_yaml_of_another_shape_is_refused_by_key(rest: str, message: str) -> None:
    said = refusal(f"modules:\n  pre_trainer:{rest}\n")
    assert message in said
    assert "hf_x" not in said


def test_what_is_empty_says_nothing() -> None:
    assert told("defaults:\n").words == ("runtime=direct", "task=train/pretrain")
    module = "modules: {pre_trainer: {framework: megatron, config: pre_trainer.yaml%s}}\n"
    assert told(module % ", overrides: " + "env:\n") == told(module % "")


@pytest.mark.parametrize("framework", [megatron, torchtitan, maxtext])
def test_no_name_stands_in_two_tables(framework: Any) -> None:
    names = list(framework.NAMES)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "text"), [("exp.yaml", MEGATRON), ("exp.toml", TITAN)])
def test_hydra_takes_the_translation(cli: Primus, work: Path, name: str, text: str) -> None:
    (work / name).write_text(text)
    words = ("--", "train", "pretrain", "--config", name, "backend.python=python3", "ranks_per_node=8", "dry_run=json")
    said = cli("container", "--image", "I", *words)
    assert said.code == 0, said.err
    assert from_json(said.out).config["task"]["precision"] == "fp8"
