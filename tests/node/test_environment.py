"""The environment of the ranks: who wins over whom, and what is written down of it."""

from dataclasses import replace

import pytest

from primus.node import environment
from primus.node.devices import NONE, Devices
from primus.node.environment import SHELL, Overridden, Resolved, World
from primus.node.plan import Job, PlanError

GPUS = Devices("nvidia", "NVIDIA H200", 8, tuple("01234567"), "580")
JOB = Job(1, None, ("true",), "/", "auto", {}, "0", 10.0, 0.0)


def test_a_later_layer_wins_and_what_it_overrode_is_kept(layer):
    layers = [
        layer("gpu profile", "conf/gpu/mi300x.yaml", NCCL_IB_GID_INDEX="3", ONLY="here"),
        layer("task", "conf/task/x.yaml", NCCL_IB_GID_INDEX="1"),
        layer("user", "env.set.NCCL_IB_GID_INDEX", NCCL_IB_GID_INDEX="5"),
    ]
    resolved = environment.resolve(layers, {"NCCL_IB_GID_INDEX": "9"}, {})
    assert resolved == (
        Resolved(
            "NCCL_IB_GID_INDEX",
            "5",
            "env.set.NCCL_IB_GID_INDEX",
            (Overridden("9", SHELL), Overridden("3", "conf/gpu/mi300x.yaml"), Overridden("1", "conf/task/x.yaml")),
        ),
        Resolved("ONLY", "here", "conf/gpu/mi300x.yaml"),
    )


def test_a_secret_is_taken_by_name_from_the_agents_own_environment(layer):
    layers = [layer("shell", "shell", HF_TOKEN=None, MISSING_TOKEN=None, PLAIN_NAME=None)]
    resolved = environment.resolve(layers, {"HF_TOKEN": "hf_123456", "PLAIN_NAME": "private"}, {})
    assert [(v.name, v.value) for v in resolved] == [("HF_TOKEN", "hf_123456"), ("PLAIN_NAME", "private")]
    assert [v.redacted().value for v in resolved] == ["***", "***"]
    assert environment.secrets(resolved, {"A_KEY": "k"}) == {
        "HF_TOKEN": "hf_123456",
        "PLAIN_NAME": "private",
        "A_KEY": "k",
    }


def test_placeholders_are_what_the_node_knows(layer):
    world = World(2, 1, 8)
    values = environment.placeholders("/runs/x", "id7", GPUS, world)
    names = ("run_dir", "run_id", "devices", "vendor", "node_rank", "world_size")
    text = " ".join(f"{{primus.{name}}}" for name in names) + " {other}"
    (variable,) = environment.resolve([layer("task", "t", X=text)], {}, values)
    assert variable.value == "/runs/x id7 0,1,2,3,4,5,6,7 nvidia 1 16 {other}"


def test_threads_are_shared_among_the_ranks_unless_someone_said_otherwise(layer):
    def threads(resolved=(), base=None):
        found = environment.defaults(resolved, base or {}, 64, World(1, 0, 8))
        return {v.name: (v.value, v.origin) for v in found}.get("OMP_NUM_THREADS")

    assert threads() == ("8", "64 cores / 8 ranks")
    assert threads(base={"OMP_NUM_THREADS": "2"}) is None
    assert threads(environment.resolve([layer("user", "u", OMP_NUM_THREADS="3")], {}, {})) is None
    assert environment.defaults((), {}, 2, World(1, 0, 8))[0].value == "1"


def test_what_defines_a_rank_wins_over_everything(layer):
    resolved = environment.resolve([layer("user", "u", RANK="99", MASTER_ADDR="x", MINE="1")], {}, {})
    base = {"WORLD_SIZE": "7", "HOME": "/root", "MINE": "0"}
    world = World(2, 1, 4, "node0", 29001)
    environ = environment.for_rank(base, resolved, world, 6, {"PRIMUS_RUN_ID": "r"})
    assert environ == {
        "HOME": "/root",
        "MINE": "1",
        "PRIMUS_RUN_ID": "r",
        "RANK": "6",
        "LOCAL_RANK": "2",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "4",
        "NODE_RANK": "1",
        "MASTER_ADDR": "node0",
        "MASTER_PORT": "29001",
    }


def test_there_is_a_rank_for_each_gpu_unless_the_job_says_how_many():
    assert environment.lay_out(JOB, GPUS, 0).ranks_per_node == 8
    assert environment.lay_out(JOB, NONE, 0).ranks_per_node == 1
    assert environment.lay_out(replace(JOB, ranks_per_node=2), GPUS, 0).size == 2
    assert list(environment.lay_out(replace(JOB, nodes=3), GPUS, 2).ranks) == list(range(16, 24))


def test_a_layout_that_cannot_be_is_refused():
    with pytest.raises(PlanError, match="8 ranks in all is not a multiple of tensor 3"):
        environment.lay_out(replace(JOB, parallel={"tensor": 3}), GPUS, 0)
    with pytest.raises(PlanError, match=r"node rank 1 is not among the 1 of this plan"):
        environment.lay_out(JOB, GPUS, 1)


def test_values_that_prevail_keep_what_they_overrode(layer):
    resolved = environment.resolve([layer("user", "env.set", CUDA_VISIBLE_DEVICES="0,1")], {}, {})
    (variable,) = environment.prevail(resolved, {"CUDA_VISIBLE_DEVICES": "1"}, "devices given to this job", {})
    assert variable == Resolved(
        "CUDA_VISIBLE_DEVICES", "1", "devices given to this job", (Overridden("0,1", "env.set"),)
    )


def test_of_the_agents_own_environment_what_matters_is_recorded_redacted(layer):
    resolved = environment.resolve([layer("user", "env.set", NCCL_DEBUG="INFO")], {}, {})
    base = {
        "PATH": "/bin",
        "NCCL_DEBUG": "WARN",
        "TORCH_LOGS": "+dynamo",
        "HF_TOKEN": "hf_123456",
        "HF_ENDPOINT": "https://me:pw@hub.local/x",
        "EDITOR": "vi",
    }
    recorded = environment.recorded(resolved, base)
    assert [(v.name, v.value) for v in recorded] == [
        ("HF_ENDPOINT", "https://***@hub.local/x"),
        ("HF_TOKEN", "***"),
        ("NCCL_DEBUG", "INFO"),
        ("PATH", "/bin"),
        ("TORCH_LOGS", "+dynamo"),
    ]


def test_only_the_plan_can_ask_for_a_port(layer):
    assert environment.master_port([]) is None
    assert environment.master_port([layer("a", "a", MASTER_PORT="1"), layer("b", "b", MASTER_PORT="2")]) == "2"


def test_several_nodes_use_the_interface_that_leads_to_the_first_unless_the_user_names_one():
    world = World(2, 1, 8, "10.0.0.1", 20000, "ib0")
    found = {v.name: v for v in environment.defaults((), {"NCCL_SOCKET_IFNAME": "eth7"}, 64, world)}
    assert (found["GLOO_SOCKET_IFNAME"].value, found["GLOO_SOCKET_IFNAME"].origin) == ("ib0", "route to node 0")
    assert "NCCL_SOCKET_IFNAME" not in found
