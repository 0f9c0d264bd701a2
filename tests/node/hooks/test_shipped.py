"""The hooks that come with Primus."""

from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node.hooks import shipped
from primus.node.hooks.shipped.data import files
from primus.node.hooks.shipped.dependencies import differences
from primus.node.hooks.shipped.deterministic import settings
from primus.node.hooks.shipped.monitor import summary

from ..conftest import Run
from .conftest import add_hooks

SHIPPED = Path(shipped.__file__).parent


def test_packages_are_compared_by_name_and_version() -> None:
    wanted = ["torch==2.13.0", "Typing_Extensions==4", "numpy>=2", "jax[cuda]==0.11", "absent==1; python_version<'3'"]
    installed = {"torch": "2.13.0+cu128", "typing-extensions": "3", "numpy": "1.0", "jax": "0.11"}
    assert differences(wanted, installed) == ["Typing_Extensions 3 where 4 is wanted", "absent is missing"]
    assert differences(["torchtitan==0.3.0"], {}, "torchtitan") == []


def test_determinism_is_asked_of_the_framework_and_set_for_the_devices_that_are_there() -> None:
    gpu = {"NCCL_ALGO": "Ring", "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "0"}
    assert settings("torchtitan", "cpu") == ({}, {"debug.deterministic": True})
    assert settings("", "nvidia") == ({**gpu, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}, {})
    assert settings("megatron", "amd") == ({**gpu, "ROCBLAS_DEFAULT_ATOMICS_MODE": "0"}, {"deterministic_mode": True})
    assert settings("maxtext", "amd", "--xla_a=1")[0]["XLA_FLAGS"] == "--xla_a=1 --xla_gpu_deterministic_ops=true"


def test_data_are_looked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt", "tokens.bin"):
        Path(name).write_text("text")
    assert sorted(files({"files": "*.txt"})) == ["a.txt", "b.txt"]
    with pytest.raises(FileNotFoundError, match=r"data\.files: no file matches '\*\.md' on this node"):
        list(files({"files": ["*.txt", "*.md"]}))
    with pytest.raises(FileNotFoundError, match=r"data\.paths: tokens\.idx is not on this node"):
        list(files({"paths": "tokens"}))


def test_the_monitor_sums_up() -> None:
    samples = [{"free": {"/tmp": 5e9}, "kernel": []}, {"free": {"/tmp": 3e9}, "kernel": ["NVRM: Xid 79"]}]
    assert summary(samples) == ["/tmp: at least 3.0 GB were free", "WARNING: the kernel said: NVRM: Xid 79"]


def test_the_monitor_runs_beside_the_ranks_and_ends_with_them(make: Callable[..., Run]) -> None:
    script = "import os, time; p = os.environ['PRIMUS_RUN_DIR'] + '/logs/node-0/monitor.jsonl'\n"
    run = make(script + "while not os.path.exists(p) or not os.path.getsize(p): time.sleep(0.01)")
    text = (SHIPPED / "monitor.py").read_text()
    add_hooks(run, {"before-monitor.py": text, "after-monitor.py": text}, call="Monitor")
    assert run.finish().code == 0
    assert "/tmp: at least" in run.text("logs/node-0/hooks.log")
    assert [h["status"] for h in run.facts["hooks"]] == ["done", "done"]
    assert "left behind" not in run.own_log


def test_the_others_have_nothing_to_do_for_a_program_on_a_cpu(make: Callable[..., Run]) -> None:
    for name, call in (("data", "Data"), ("dependencies", "Dependencies"), ("deterministic", "Deterministic")):
        run = make("")
        add_hooks(run, {f"before-{name}.py": (SHIPPED / f"{name}.py").read_text()}, call=call)
        assert run.finish().code == 0
        assert [h["status"] for h in run.facts["hooks"]] == ["skipped"]
