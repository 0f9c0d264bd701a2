"""What other programs write, read: any text at all gives what can be known of it, or the one refusal of its reader."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus.launch.problems import BadRequest
from primus.launch.record import tail
from primus.launch.run import NewestMetrics
from primus.launch.slurm import checks, controller, options, partitions
from primus.node import allocation, devices, load, rdma
from primus.node.checks import nvidia
from primus.node.container import handover
from primus.node.hooks import protocol
from primus.node.hooks.protocol import Told
from primus.node.plan import SCHEMA, Hook, Job, Layer, Plan, Variable, from_json, to_json
from primus.node.topology import smi, sysfs

from ..node.topology import test_smi as printed

ODD = st.sampled_from(
    ["", "²", "-1", "9" * 5000, "1e999", "0-99999999999", "[/x]", "\0", "\x1b[2J", "é", "🜁", "{", "[" * 5000]
)
TEXT = st.text() | ODD
FINITE = st.floats(allow_nan=False, allow_infinity=False)
"""Numbers that are none, or too large; deep nesting; what a terminal obeys."""


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """A text with something odd in the place of some of it."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    return text[:start] + draw(TEXT) + text[end:]


# Metrics.

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**30), 10**30) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
LINES = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.dictionaries(st.sampled_from(["time", "step", "loss", "x"]), JSON, max_size=4).map(
        lambda v: json.dumps(v).encode()
    ),
    st.builds(lambda t, loss: json.dumps({"time": t, "loss": loss}).encode(), st.floats(0, 1e10), st.floats()),
    st.just(b"[" * 5_000),
)


@settings(max_examples=60)
@given(lines=st.lists(LINES, max_size=8), torn=st.binary(max_size=9).map(lambda raw: raw.replace(b"\n", b"")))
def test_metrics_are_read_by_whole_lines_whatever_is_in_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    directory = tmp_path_factory.getbasetemp() / "metrics-lines"
    (directory / "metrics").mkdir(parents=True, exist_ok=True)
    path = directory / "metrics/rank-0.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + torn)
    found = tail.read(path, tail.Position())
    assert [line.after.lines for line in found] == list(range(1, len(lines) + 1))
    assert [line.after.bytes for line in found] == [
        sum(len(one) + 1 for one in lines[:n]) for n in range(1, len(lines) + 1)
    ]
    assert tail.rest(path, found[-1].after if found else tail.Position()) == len(torn)
    for n, line in enumerate(found):
        assert tail.read(path, line.after) == found[n + 1 :]
        if line.value is not None:
            assert all(isinstance(value, float) for value in tail.numbers(line.value).values())
    assert tail.last_objects(path) == [line.value for line in found if line.value is not None]
    NewestMetrics(directory).read()


# Hooks.


@given(st.from_regex(r"(env|extra|artifact)\.[A-Za-z_.]{0,8}=?", fullmatch=True) | TEXT, TEXT)
def test_a_line_of_a_hook_gives_its_value_byte_for_byte_or_nothing_or_is_refused(start: str, value: str) -> None:
    line = start + value
    try:
        told = Told(0, "a hook").line(line)
    except ValueError:
        return
    kinds = {"env": told.environment, "extra": told.arguments, "artifact": told.artifacts}
    found = [(kind, name, taken) for kind, values in kinds.items() for name, taken in values.items()]
    assert [f"{kind}.{name}={taken}" for kind, name, taken in found] in ([], [line])
    assert not {name for _, name, _ in found}.intersection(protocol._DEFINED)
    secrets = protocol.secrets([told])
    assert protocol.masked(line) == (f"env.{found[0][1]}=***" if secrets else line)


# What goes into a container.


@settings(max_examples=40)
@given(
    st.dictionaries(st.text(min_size=1), st.text() | st.binary().map(os.fsdecode), max_size=5), st.binary(max_size=20)
)
def test_the_environment_that_is_handed_over_arrives_byte_for_byte_and_no_byte_after_it_is_taken(
    given: dict[str, str], after: bytes
) -> None:
    reading, writing = os.pipe()
    line = json.dumps({"environment": given, "container": None}).encode() + b"\n"

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(line + after)

    thread = threading.Thread(target=write)
    thread.start()
    environ: dict[str, str] = {}
    handover.receive(reading, environ)
    with os.fdopen(reading, "rb") as left:
        assert left.read() == after
    thread.join()
    assert environ == {**given, handover.CONTAINER: "null"}


@given(st.binary(max_size=40).filter(lambda data: b"\n" not in data) | st.just(b"[" * 50_000))
def test_any_other_first_line_is_refused(line: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, line[:60_000] + b"\n")
    os.close(writing)
    try:
        with pytest.raises(ValueError):  # noqa: PT011 -- of json's many, the program's start catches ValueError
            handover.receive(reading, {})
    finally:
        os.close(reading)


# Plans.


ANY = {Any: st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)}
PLANS = st.builds(
    Plan,
    schema=st.just(SCHEMA),
    config=st.dictionaries(st.text(), ANY[Any], max_size=3),
    job=st.builds(Job, *(st.from_type(t) for t in (int, int, tuple[str, ...])), st.text(), st.text(),
                  st.dictionaries(st.text(), st.integers(), max_size=2), st.text(), FINITE, FINITE),
    environment=st.lists(st.builds(Layer, st.text(), st.lists(st.from_type(Variable), max_size=2).map(tuple)),
                         max_size=2).map(tuple),
    hooks=st.lists(st.builds(Hook, timeout=FINITE), max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=30)
@given(PLANS)
def test_a_plan_is_read_back_as_it_was(plan: Plan) -> None:
    assert from_json(to_json(plan)) == plan


@settings(max_examples=200)
@given(
    damaged('{"schema": 1, "run_id": "a", "directory": "/x", "task": "command", "job": {"nodes": 1, "command": []}}')
    | TEXT
)
def test_what_is_no_plan_is_refused_with_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- DataError and JSONDecodeError are two of them
        from_json(text)


# Slurm.


@given(st.lists(st.text(alphabet="ab019-,[]² ", max_size=12) | ODD, max_size=3).map(",".join))
def test_a_host_list_gives_hosts_or_is_refused(text: str) -> None:
    try:
        assert all(allocation.expand(text))
    except ValueError:
        return


PARTITION = (
    "PartitionName=debug AllowGroups=ALL Default=YES MaxNodes=UNLIMITED MaxTime=2-12:30:00 State=UP TotalNodes=2"
)


@given(damaged(PARTITION))
def test_partitions_are_read_as_far_as_they_can_be(text: str) -> None:
    found = partitions.read(text)
    try:
        list(partitions.check(options.Settings("slurm", 1, time="4:00:00"), found, {}))
    except BadRequest:
        return


@given(damaged("PreemptType             = preempt/qos\nSlurmctldParameters = a,preempt_send_user_signal\n"))
def test_the_configuration_of_a_cluster_is_read_as_far_as_it_can_be(text: str) -> None:
    assert checks.asks_before_preemption(checks.read_config(text)) in (True, False)


@given(damaged("17|17|3|RUNNING|768|2|c0n[1-2]|None|"))
def test_a_line_of_squeue_is_a_state_however_odd(line: str) -> None:
    if line.count("|") >= 8:
        key, state = controller._squeue_line(line)
        assert isinstance(key, str)
        assert state.over or state.pending or state.name


@given(TEXT)
def test_a_time_limit_is_minutes_or_none(text: str) -> None:
    found = options.minutes(text)
    assert found is None or found >= 0


# Tools and files of drivers.

PARSERS: list[tuple[Callable[[str], Any], str]] = [
    (smi.nvidia_matrix, printed.MATRIX),
    (smi.nvidia_links, printed.nvlinks(["26.562 GB/s", "<inactive>"], ["26.562 GB/s", "26.562 GB/s"])),
    (smi.rocm_links, printed.rocm("XGMI")),
    (
        smi.amd_links,
        json.dumps([{"gpu": 0, "bdf": "0000:01:00.0", "links": [{"bdf": "0000:02:00.0", "link_type": "XGMI"}]}]),
    ),
]


@pytest.mark.parametrize(("parse", "text"), PARSERS, ids=lambda p: getattr(p, "__name__", ""))
def test_what_a_tool_prints_is_read_or_is_unread(parse: Callable[[str], Any], text: str) -> None:
    assert parse(text)

    @given(damaged(text))
    def any_damage(text: str) -> None:
        try:
            parse(text)
        except smi.Unread:
            return

    any_damage()


@given(damaged("35, 1024, 2048, 50, 300.12"))
def test_a_line_of_nvidia_smi_gives_numbers_alone(line: str) -> None:
    assert all(isinstance(value, float) for value in load.gpu_figures(line).values())


@given(damaged("0-3,8"))
def test_a_list_of_cores_is_never_longer_than_any_machine(text: str) -> None:
    assert len(sysfs.listed(text)) < 1 << 20
    assert sysfs.listed(sysfs.short(sysfs.listed(text))) == tuple(sorted(sysfs.listed(text)))


@settings(max_examples=30)
@given(st.data())
def test_any_text_in_the_files_of_a_driver_gives_devices_and_a_topology(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("machine")
    files = {
        "proc/driver/nvidia/gpus/0000:17:00.0/information": "Model: NVIDIA H200\nGPU UUID: GPU-1\nDevice Minor: 0",
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release",
        "sys/class/kfd/kfd/topology/nodes/1/properties": "simd_count 304\nlocation_id 256\ndomain 0\nvendor_id 4098",
        "sys/devices/system/node/node0/cpulist": "0-3",
        "sys/devices/system/node/node0/distance": "10 21",
        "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       1024 kB",
        "sys/class/net/eth0/speed": "1000",
        "proc/cpuinfo": "model name : A CPU",
        "proc/meminfo": "MemTotal: 1024 kB",
        "sys/fs/cgroup/cpu.max": "max 100000",
        "sys/fs/cgroup/memory.max": "max",
        "sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE",
        "sys/class/infiniband/mlx5_0/ports/1/rate": "400 Gb/sec (4X NDR)",
    }
    which = data.draw(st.sampled_from(sorted(files)))
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(data.draw(damaged(text)) if path == which else text)
    _look(root)


def _look(root: Path) -> None:
    from primus.node import host

    devices.detect("auto", {}, root)
    host.survey(root)
    sysfs.survey(root)
    rdma.survey(2, root)


@given(damaged("0, GPU-1, NVIDIA H200, 96.00, 10, 143771, 0, No, 0x0000000000000004, 35"))
def test_an_answer_of_nvidia_smi_is_never_more_than_a_finding(line: str) -> None:
    from primus.node.checks.finding import Notes

    answers = nvidia.Answers(line, line, line, 0.1)
    nvidia.check(answers, devices.Devices("nvidia", "NVIDIA H200", 1, ("0",), "580.95"), Notes("gpus"))
