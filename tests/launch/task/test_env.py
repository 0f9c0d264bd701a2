"""`task=env`: every variable that a rank gets here, who set it, what it overrode."""

import json
from pathlib import Path
from typing import Any

import pytest

from ...conftest import Primus, Rank, everything


def said(primus: Primus, *words: str) -> dict[str, dict[str, Any]]:
    found = primus("task=env", "task.format=json", *words)
    assert (found.code, found.err) == (0, "")
    return {variable["name"]: variable for variable in json.loads(found.out)["environment"]}


def test_each_variable_says_who_set_it_and_what_it_overrode(primus: Primus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCCL_IB_GID_INDEX", "9")
    found = primus(
        *("task=env", "network.gid_index=2", "+gpu.environment.NCCL_IB_GID_INDEX=1", "env.forward=[NCCL_IB_GID_INDEX]"),
        *("env.set.NCCL_IB_GID_INDEX=5", "network.hca=[mlx5_0,mlx5_1:1]"),
    )
    assert (found.code, found.err) == (0, "")
    lost = (
        "9 of environment of the agent, 1 of command line: gpu.environment.NCCL_IB_GID_INDEX, 2 of network.gid_index, "
        "9 of shell (env.forward NCCL_IB_GID_INDEX)"
    )
    assert f"NCCL_IB_GID_INDEX=5  <- command line: env.set.NCCL_IB_GID_INDEX, over {lost}\n" in found.out
    assert "NCCL_IB_HCA==mlx5_0,mlx5_1:1  <- network.hca\n" in found.out
    assert "MASTER_PORT=(known when it starts)  <- node agent\n" in found.out


def test_it_is_what_a_rank_gets(primus: Primus, rank: Rank, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_MY_SHELL", "1")
    told = said(primus, "env.set.MINE=a b", "gpu=cpu", "backend=torchtitan")
    script = "import json, os; json.dump(dict(os.environ), open('got.json', 'w'))"
    words = (*rank(script), "tracking.enabled=false", "gpu=cpu", "env.set.MINE=a b")
    assert primus(*words).code == 0
    got = json.loads((work / "got.json").read_text())
    backend = {name for name, variable in told.items() if variable["origin"].startswith("conf/backend/")}
    known = {name: v["value"] for name, v in told.items() if v["value"] is not None and name not in backend}
    assert {name: got.get(name) for name in known} == known
    assert not set(got) - set(told) - {"LC_CTYPE"}
    assert told["OF_MY_SHELL"]["origin"] == "environment of the agent"


def test_hooks_and_patch_files_that_may_set_more_are_named(primus: Primus, work: Path) -> None:
    assert json.loads(primus("task=env", "task.format=json").out)["hooks"] == []
    for name in (
        "hooks/10_all.sh",
        "hooks/train/pretrain/20_own.sh",
        "hooks/asked.sh",
        "hooks/train/notes.txt",
        "fix.sh",
    ):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("echo env.A=1\n")
    (work / "hooks/30_after.sh").write_text("# primus-hook: when=after\n")
    words = ("task=env", "hooks.use=[asked]", "patches=[fix.sh]")
    names = ["asked", "hooks/10_all.sh", "hooks/train/pretrain/20_own.sh", "fix.sh"]
    assert json.loads(primus(*words, "task.format=json").out)["hooks"] == names
    told = f"hooks and patch files that may set more when a job of their task starts: {', '.join(names)}"
    assert primus(*words).out.splitlines()[-1] == told
    assert "hooks" not in primus("task=env", "hooks.enabled=false").out.splitlines()[-1]


def test_secrets_are_not_shown_and_nothing_is_written(
    primus: Primus, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    before = everything(work)
    found = primus("task=env", "env.set.MY_KEY=hidden1", "env.forward=[HF_TOKEN]")
    assert "hf_abcdef" not in found.out
    assert "hidden1" not in found.out
    assert "HF_TOKEN=***  <- shell (env.forward HF_TOKEN)" in found.out
    assert everything(work) == before


def test_a_value_of_the_network_that_cannot_be_is_refused_by_its_key(primus: Primus) -> None:
    found = primus("task=env", "network.traffic_class=300")
    assert found.code == 2
    assert "network.traffic_class" in found.err
