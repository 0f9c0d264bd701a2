"""A request becomes a plan: pure, complete, and fit to be written down."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from primus.launch import gpus, planning, show
from primus.launch.config import carried, catalog, reading
from primus.launch.config.arguments import tidy
from primus.launch.config.origin import Origins
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node import rdma
from primus.node.devices import Devices
from primus.node.plan import Code, Plan, Variable, from_json, to_json
from primus.node.typed import DataError

COMMAND = ("task=command", "task.command=[python,-c,'print(1)']")


def place(directory: Path = Path("/project"), **environ: str) -> Place:
    """A machine without a GPU."""
    return Place(
        directory=directory,
        primus=Path("/opt/primus"),
        python="/usr/bin/python3",
        environ=environ,
        code=Code("/project", "c0ffee"),
        devices=Devices("cpu", "", 0, (), ""),
    )


def composed(*argv: str) -> tuple[dict[str, Any], Origins]:
    overrides = tidy(argv).overrides
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return reading.resolve(config), reading.origins(config, overrides, [catalog.conf_dir()])


def plan(*argv: str, where: Place | None = None, **more: Any) -> Plan:
    data, source = composed(*argv)
    return planning.build(reading.request(data, source), data, source, where or place(), "20261121-1", **more)


def refusal(*argv: str, **environ: str) -> str:
    with pytest.raises(BadRequest) as refused:
        plan(*argv, where=place(**environ))
    return str(refused.value)


def everything_written(made: Plan) -> str:
    """All text of the plan, in which no secret may be."""
    return to_json(made) + repr(made)


def test_the_run_directory_is_below_the_experiment() -> None:
    assert plan(*COMMAND, "experiment.name=mine", "output.root=/runs").directory == "/runs/mine/20261121-1"
    assert plan(*COMMAND).directory == "/project/outputs/default/20261121-1"


def test_a_job_of_a_sweep_lies_in_the_directory_of_the_sweep_and_names_it() -> None:
    made = plan(*COMMAND, inside=Path("/runs/s"), sweep="s")
    assert (made.directory, made.sweep) == ("/runs/s/20261121-1", "s")


def test_a_plan_names_the_code_and_the_run_that_it_replays() -> None:
    made = plan(*COMMAND, replay_of="other")
    assert (made.code, made.replay_of) == (Code("/project", "c0ffee"), "other")


def test_the_same_request_gives_the_same_plan() -> None:
    assert plan(*COMMAND, "env.set.A=1") == plan(*COMMAND, "env.set.A=1")


@pytest.mark.parametrize("argv", [COMMAND, (), ("data=mock", "env.set.A=\\ \n'ü"), ("gpu=cpu", "ranks_per_node=2")])
def test_a_plan_comes_back_from_its_json_unchanged(argv: tuple[str, ...]) -> None:
    made = plan(*argv)
    assert from_json(to_json(made)) == made
    assert to_json(from_json(to_json(made))) == to_json(made)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"schema": 2}, "plan schema 2, this Primus reads 1"),
        ({"job": None}, "job: expected a mapping, got nothing"),
        ({"job": {}}, "job.nodes: missing"),
        ({"environment": [{"name": "x"}]}, r"environment\[0\].variables: missing"),
        ({"run_id": None}, "run_id: expected text"),
        ({"comand": []}, "comand: no such key; .* Did you mean 'command'"),
    ],
)
def test_a_damaged_plan_is_refused_by_key(damage: dict[str, Any], named: str) -> None:
    document = json.loads(to_json(plan(*COMMAND))) | damage
    with pytest.raises(ValueError, match=named):
        from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises((DataError, ValueError)):
        from_json(text)


def test_what_is_about_the_command_is_no_part_of_the_plan() -> None:
    argv = ("dry_run=json", "debug=true", "sweep.resume=true", "replay_strict=true", "run=a", "to=b")
    made = plan(*COMMAND, *argv)
    assert not {*planning.OF_THE_COMMAND} & {*made.config}
    assert made.overrides == COMMAND
    assert made == plan(*COMMAND)


def test_the_config_in_the_plan_is_the_whole_resolved_config() -> None:
    data, _ = composed(*COMMAND)
    assert plan(*COMMAND).config == {k: v for k, v in data.items() if k not in planning.OF_THE_COMMAND}


def test_overrides_are_kept_as_they_can_be_typed_again() -> None:
    made = plan(*COMMAND, "env.set.A=a b", "console.ranks=0,3")
    assert made.overrides[2:] == ("env.set.A='a b'", "console.ranks='0,3'")


def test_what_the_kernel_does_not_take_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "_TOGETHER", carried._OF_OTHERS + 100)
    assert plan(*COMMAND, "env.set.A=a").job.command[-1] == "print(1)"
    assert "task.command and env.set: they have 137 bytes" in refusal(*COMMAND, f"env.set.A={'a' * 83}")


# The environment.


@pytest.mark.parametrize("task", ["train/pretrain", "benchmark/gemm", "benchmark/collectives"])
@pytest.mark.parametrize("nodes", ["two", "[1,2]", "null"])
def test_nodes_that_are_no_number_are_refused_whatever_the_task_makes_of_them(task: str, nodes: str) -> None:
    message = refusal("runtime=slurm", f"task={task}", f"runtime.nodes={nodes}")
    assert message.startswith("runtime.nodes: expected a whole number, got ")
    assert message.endswith(f"  (command line: runtime.nodes={nodes})")


@pytest.mark.parametrize("group", ["runtime", "backend", "data", "task"])
def test_a_group_without_its_name_is_refused(group: str) -> None:
    assert refusal(f"~{group}.name").startswith(f"{group}.name: missing: {group}=<choice> sets it  (command line: ~")
    assert f"{group}.name: 3 is none: {group}=<choice> sets it" in refusal(f"{group}.name=3")


def test_layers_stand_in_their_order_of_precedence() -> None:
    request, source = _request("env.set.D=user", "env.forward=[C]", "+gpu.environment.A=profile")
    work = Work(("x",), backend="titan", environment={"B": "b"})
    layers = planning.layers(request, work, source, place(C="shell"))
    assert [layer.name for layer in layers] == [
        *("gpu profile" for _ in (*gpus.every(), "auto")),
        *("network", "backend", "shell", "user"),
    ]
    assert layers[-3].variables == (Variable("B", "b", "conf/backend/titan.yaml"),)


def _request(*argv: str) -> Any:
    data, source = composed(*COMMAND, *argv)
    return reading.request(data, source), source


def layer(made: Plan, name: str) -> list[Variable]:
    return [v for found in made.environment if found.name == name for v in found.variables]


def test_each_variable_says_where_it_came_from() -> None:
    made = plan(*COMMAND, "env.set.A=1", "env.forward=[B*]", where=place(B1="x", B2="y", C="z"))
    assert layer(made, "user") == [Variable("A", "1", "command line: env.set.A")]
    assert layer(made, "shell") == [
        Variable("B1", "x", "shell (env.forward B*)"),
        Variable("B2", "y", "shell (env.forward B*)"),
    ]


def test_a_variable_of_the_profile_names_the_profile_or_what_was_typed() -> None:
    data, source = composed(*COMMAND)
    data["gpu"] = {"name": "mi300x", "environment": {"NCCL_IB_GID_INDEX": "3"}}
    request = reading.request(data, source)
    profile = planning.layers(request, Work(("x",)), source, place())[0]
    assert profile.variables == (Variable("NCCL_IB_GID_INDEX", "3", "conf/gpu/mi300x.yaml"),)
    typed = plan(*COMMAND, "+gpu.environment.NCCL_IB_GID_INDEX=1")
    assert layer(typed, "gpu profile")[-1].origin == "command line: gpu.environment.NCCL_IB_GID_INDEX"


def test_a_dry_run_explains_the_profile_and_the_network_that_a_node_like_this_machine_would_find() -> None:
    nodes = ("runtime=slurm", "runtime.nodes=2", *COMMAND)
    assert "network       each node with GPUs looks for its RDMA ports\n" in show.text(plan(*nodes), place())
    ports = rdma.judge(
        [
            rdma.Port("mlx5_0:1", "mellanox", "InfiniBand", "ACTIVE", 400),
            rdma.Port("mlx5_1:1", "mellanox", "InfiniBand", "DOWN", 10),
        ],
        8,
        "eth0",
    )
    found = Devices("nvidia", "NVIDIA H200", 8, tuple("01234567"), "580", ("10de:2335",))
    here = dataclasses.replace(place(), devices=found, ports=ports)
    shown = show.text(plan(*nodes, where=here), here)
    assert "profile       h200  (as on this machine)\n" in shown
    assert "network       mlx5_0:1; left out: mlx5_1:1 (down)  (as on this machine)\n" in shown
    assert "  NCCL_IB_HCA==mlx5_0:1  <- found on the node: 1 active RDMA port, 1 left out\n" in shown
    assert "NCCL_IB_HCA" not in show.text(plan(*nodes, "network.detect=false", where=here), here)


def test_a_gpu_that_no_profile_is_for_is_warned_of_before_the_job_starts() -> None:
    here = dataclasses.replace(place(), devices=Devices("amd", "AMD gfx1201", 1, ("0",), "6.14", ("1002:7550",)))
    (note,) = plan(*COMMAND, where=here).notes
    assert note.warning
    assert note.text.startswith("on this machine, no profile is for AMD gfx1201 (PCI 1002:7550)")


def test_a_pattern_that_matches_nothing_forwards_nothing() -> None:
    assert layer(plan(*COMMAND, "env.forward=[NCCL_*]"), "shell") == []


def test_a_name_that_is_not_set_is_refused() -> None:
    assert refusal(*COMMAND, "env.forward=[NCCL_DEBUG]").startswith("env.forward: NCCL_DEBUG is not set")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("env.set.RANK=3", "env.set.RANK"),
        ("env.set.MASTER_ADDR=host1", "env.set.MASTER_ADDR"),
        ("env.set.PRIMUS_RUN_DIR=/x", "env.set.PRIMUS_RUN_DIR"),
        ("env.forward=[RANK]", "env.forward"),
        ("+gpu.environment.NODE_RANK=1", "gpu.environment.NODE_RANK"),
    ],
)
def test_what_defines_a_rank_is_refused_and_not_overruled(word: str, key: str) -> None:
    assert refusal(*COMMAND, word, RANK="3").startswith(f"{key}: each rank has ")


def test_a_pattern_leaves_out_what_defines_a_rank_and_a_port_is_the_users_to_give() -> None:
    made = plan(*COMMAND, "env.forward=[*RANK,MASTER_*]", where=place(RANK="3", MASTER_PORT="29500", MY_RANK="x"))
    assert [variable.name for variable in made.environment[-2].variables] == ["MASTER_PORT", "MY_RANK"]


def test_a_variable_that_is_no_text_is_refused() -> None:
    broken = os.fsdecode(b"\xff")
    assert refusal(*COMMAND, "env.forward=[A]", A=broken) == "env.forward: the value of A is no valid UTF-8"


# Secrets.


@pytest.mark.parametrize("typed", ["env.set.HF_TOKEN=hf_abcdefgh", "env.set={HF_TOKEN: hf_abcdefgh}"])
def test_a_secret_that_was_typed_is_nowhere_in_the_plan(typed: str) -> None:
    made = plan(*COMMAND, typed)
    assert "hf_abcdefgh" not in everything_written(made)
    assert [(v.name, v.value) for v in layer(made, "user")] == [("HF_TOKEN", None)]
    assert made.config["env"]["set"] == {"HF_TOKEN": "<secret>"}


def test_a_secret_may_be_a_number() -> None:
    assert "12345678" not in everything_written(plan(*COMMAND, "env.set={DB_PASSWORD: 12345678}"))


def test_a_secret_of_the_shell_is_handed_on_by_its_name_alone() -> None:
    made = plan(*COMMAND, "env.forward=[HF_*]", where=place(HF_TOKEN="hf_abcdefgh", HF_HOME="/cache"))
    assert "hf_abcdefgh" not in everything_written(made)
    assert [(v.name, v.value) for v in layer(made, "shell")] == [("HF_HOME", "/cache"), ("HF_TOKEN", None)]


def test_a_secret_in_a_url_is_nowhere_in_the_plan() -> None:
    made = plan(*COMMAND, "env.set.DATABASE=postgres://me:pass@host/db", "tracking.uri=http://me:pass@host:5000")
    assert "pass@" not in everything_written(made)
    assert layer(made, "user")[0].value is None
    assert made.config["tracking"]["uri"] == "http://***@host:5000"


def test_a_url_with_a_secret_is_refused_where_every_process_list_would_show_it() -> None:
    assert refusal("task=command", "task.command=[curl,'http://me:pass@host']").startswith("task.command[1] holds")


def test_the_value_of_a_secret_of_this_shell_is_refused_wherever_it_stands() -> None:
    said = refusal("task=command", "task.command=[x,'--token=hf_abcdefgh']", HF_TOKEN="hf_abcdefgh")
    assert said == "task.command[1] holds the value of HF_TOKEN. Hand it on by name instead: env.forward=[HF_TOKEN]"


def test_building_a_plan_changes_nothing_that_it_was_given() -> None:
    data, source = composed(*COMMAND, "env.set.HF_TOKEN=hf_abcdefgh")
    before = json.dumps(data)
    planning.build(reading.request(data, source), data, source, place(), "1")
    assert json.dumps(data) == before


@pytest.mark.parametrize(("typed", "kept"), [("0", "0"), ("0, 3", "0,3"), ("all", "all"), ("none", "none")])
def test_ranks_to_be_shown(typed: str, kept: str) -> None:
    assert plan(*COMMAND, f"console.ranks={typed}").job.console_ranks == kept


def test_a_plan_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan(*COMMAND).run_id = "x"  # type: ignore[misc]  # frozen, as mypy knows
