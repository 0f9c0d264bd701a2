"""What hooks ask for, and what they get."""

import json
from dataclasses import replace

import pytest

from primus.node.hooks.protocol import EXTRA, Told, applied, masked, secrets
from primus.node.plan import SCHEMA, Code, Job, Layer, Plan, Variable

RANKS = ("python3", "{primus.package}/rank", "torchtitan", "{primus.run_dir}/rank.json")


def plan(
    *layers: Layer,
    command: tuple[str, ...] = RANKS,
    args: dict[str, object] | None = None,
    decided: dict[str, str] | None = None,
) -> Plan:
    job = Job(1, 1, command, "/", "cpu", {}, "0", 1.0, 0.0)
    config = {"backend": {"args": args or {}}}
    code = Code("/", None)
    found = Plan(SCHEMA, "id", "/run", "train/pretrain", "torchtitan", config, (), code, job, layers, (), ())
    return replace(found, decided=decided or {})


def told(*lines: str, position: int = 0, hook: str = "10_a.sh") -> Told:
    found = Told(position, hook)
    for line in lines:
        found = found.line(line)
    return found


def layer(name: str, **variables: str | None) -> Layer:
    return Layer(name, tuple(Variable(n, v, f"{name}.{n}") for n, v in variables.items()))


def variables(plan: Plan) -> dict[str, str | None]:
    """As the ranks get them: later layers win."""
    return {v.name: v.value for layer in plan.environment for v in layer.variables}


def test_lines_of_the_protocol_are_taken_and_all_others_are_text() -> None:
    found = told(
        "env.A=1", "hello env.B=2", " env.C=3", "env.D=a=b c", "extra.x.y=3", "artifact.list=/tmp/list", "env."
    )
    assert found.environment == {"A": "1", "D": "a=b c"}
    assert (found.arguments, found.artifacts) == ({"x.y": "3"}, {"list": "/tmp/list"})


@pytest.mark.parametrize("line", ["env.RANK=3", "env.MASTER_ADDR=host", "env.PRIMUS_RUN_DIR=/", "env.a-b=1"])
def test_what_defines_a_rank_is_not_for_a_hook_to_set(line: str) -> None:
    with pytest.raises(ValueError, match=r"env\.\S+ is not for a hook to set"):
        told(line)


def test_a_secret_is_no_argument() -> None:
    with pytest.raises(ValueError, match=r"extra\.hub\.api_key: a secret is no argument"):
        told("extra.hub.api_key=abcdef")


def test_a_secret_is_masked_where_it_is_logged_and_looked_for_in_the_output_of_the_ranks() -> None:
    assert masked("env.HF_TOKEN=hf_abcdef") == "env.HF_TOKEN=***"
    assert masked("env.NCCL_DEBUG=INFO") == "env.NCCL_DEBUG=INFO"
    assert secrets([told("env.HF_TOKEN=hf_abcdef", "env.A=1")]) == ["hf_abcdef"]


def test_variables_win_over_profile_and_backend_and_later_hooks_over_earlier() -> None:
    before = plan(layer("gpu profile", A="profile", B="profile"), layer("shell"), layer("user"))
    after, refused = applied(before, [told("env.A=second", position=1), told("env.A=first", "env.C=first")])
    assert refused == ()
    assert variables(after) == {"A": "second", "B": "profile", "C": "first"}
    assert [one.name for one in after.environment] == ["gpu profile", "hooks", "hooks", "shell", "user"]


def test_the_user_wins_and_it_is_said() -> None:
    before = plan(layer("shell", A="mine", B="same"), layer("user", C="also mine", HF_TOKEN=None))
    after, refused = applied(before, [told("env.A=1", "env.B=same", "env.C=2", "env.HF_TOKEN=hf_hook")])
    assert variables(after) == {"A": "mine", "B": "same", "C": "also mine", "HF_TOKEN": None}
    assert [(r.what, r.why) for r in refused] == [
        ("env.A", "shell.A says mine"),
        ("env.C", "user.C says also mine"),
        ("env.HF_TOKEN", "user.HF_TOKEN says ***"),
    ]


def test_what_was_typed_for_the_gpu_or_the_network_is_the_users_word_as_well() -> None:
    typed = Variable("FOO", "typed", "command line: gpu.environment.FOO")
    before = plan(
        Layer("gpu profile", (typed, Variable("BAR", "profile", "conf/gpu/h200.yaml"))),
        Layer("network", (Variable("NCCL_SOCKET_IFNAME", "=eth7", "network.interface"),)),
        layer("user"),
    )
    after, refused = applied(before, [told("env.FOO=hook", "env.NCCL_SOCKET_IFNAME=hookif", "env.BAR=hook")])
    assert variables(after) == {"FOO": "typed", "BAR": "hook", "NCCL_SOCKET_IFNAME": "=eth7"}
    assert [(r.what, r.why) for r in refused] == [
        ("env.FOO", "command line: gpu.environment.FOO says typed"),
        ("env.NCCL_SOCKET_IFNAME", "network.interface says =eth7"),
    ]


def test_arguments_reach_ranks_of_a_framework_as_values() -> None:
    after, _ = applied(plan(), [told("extra.training.gc_freq=10", "extra.x=True", "extra.lr=1e-4", "extra.name=a b")])
    extra = variables(after)[EXTRA]
    assert extra is not None
    values = {"training.gc_freq": 10, "x": True, "lr": 1e-4, "name": "a b"}
    assert json.loads(extra) == {name: {"value": value, "hook": "10_a.sh"} for name, value in values.items()}


def test_arguments_that_the_user_has_set_by_either_spelling_stay_his() -> None:
    before = plan(args={"training": {"gc_freq": 5}, "micro-batch-size": 2})
    after, refused = applied(before, [told("extra.training.gc_freq=10", "extra.micro_batch_size=4")])
    assert after == before
    assert [(r.what, r.why) for r in refused] == [
        ("extra.training.gc_freq", "the user's own is backend.args.training.gc_freq=5"),
        ("extra.micro_batch_size", "the user's own is backend.args.micro-batch-size=2"),
    ]


def test_what_the_user_typed_in_neutral_terms_stays_his_and_so_do_the_options_of_a_whole_part() -> None:
    before = plan(decided={"training.steps": "task.steps=3"})
    after, refused = applied(before, [told("extra.training.steps=1", 'extra.training={"steps": 2}', "extra.x=1")])
    assert json.loads(variables(after)[EXTRA] or "") == {"x": {"value": 1, "hook": "10_a.sh"}}
    assert [(r.what, r.why) for r in refused] == [
        ("extra.training.steps", "the user's own is task.steps=3"),
        ("extra.training", "the user's own is task.steps=3"),
    ]


def test_arguments_of_a_program_are_options_at_its_end() -> None:
    before = plan(command=("train.py", "--lr=3"))
    after, refused = applied(before, [told("extra.lr=5", "extra.data.path=/data")])
    assert after.job.command == ("train.py", "--lr=3", "--data.path=/data")
    assert [r.why for r in refused] == ["the user's own is --lr=3"]
