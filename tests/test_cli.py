"""The console script: Hydra's own options, and how the command ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import primus as package

from .conftest import PATIENCE, Primus, Start


def test_the_version_is_told(primus: Primus) -> None:
    assert primus("--version").out == f"primus {package.__version__}\n"


def test_cfg_job_prints_the_composed_config(primus: Primus) -> None:
    said = primus("--cfg", "job", "task.steps=3")
    assert (said.code, said.err) == (0, "")
    config = yaml.safe_load(said.out)
    assert config["task"]["steps"] == 3
    assert config["model"]["name"] == "tiny"


@pytest.mark.parametrize("option", [("--cfg", "job"), ("--info", "config")])
def test_a_config_that_is_printed_has_no_secret_that_was_typed(start: Start, option: tuple[str, str]) -> None:
    words = ("env.set.HF_TOKEN=hf_abcdef", "env.set.A=b", "tracking.uri=https://me:passw0rd@host")
    out, err = start(*words, *option).communicate(timeout=PATIENCE)
    assert "    HF_TOKEN: <secret>\n    A: b\n" in out
    assert "uri: https://***@host\n" in out
    assert "hf_abcdef" not in out + err
    assert "passw0rd" not in out + err


@pytest.mark.parametrize("package_", ["task", "task.optimizer"])
def test_a_part_of_the_config_can_be_printed(primus: Primus, package_: str) -> None:
    assert "lr: 0.002" in primus("--cfg", "job", "--package", package_).out


@pytest.mark.parametrize("what", ["defaults-tree", "defaults", "config", "plugins", "searchpath", "all"])
def test_info_tells_how_it_was_composed(start: Start, what: str) -> None:
    """In a process of its own: Hydra prints through logging, to the output that there was when it was set up."""
    process = start("--info", what, "data=mock")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    if what == "defaults-tree":
        assert "task: train/pretrain" in out
        assert "data: mock" in out
    assert out


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("primus data=", ["data=hf", "data=megatron", "data=mock", "data=text"]),
        ("primus backend=torch", ["backend=torchtitan"]),
        ("primus task=tr", ["task=train/evaluate", "task=train/pretrain"]),
        ("primus task.st", ["task.steps="]),
        ("primus experi", ["experiment.", "experiment="]),
    ],
)
def test_tab_completion_offers_groups_choices_and_keys(start: Start, line: str, offered: list[str]) -> None:
    process = start("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert sorted(out.split()) == offered


def test_tab_completion_can_be_installed_as_the_help_says(start: Start) -> None:
    process = start("-sc", "install=bash")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert subprocess.run(["bash", "-n"], input=out, text=True, timeout=PATIENCE, check=False).returncode == 0
    assert "COMP_LINE" in out


def test_a_reader_who_has_seen_enough_is_no_error(start: Start) -> None:
    """`primus --help | head -1`"""
    for words in (("--help",), ("--cfg", "job"), ("dry_run=json",)):
        process = start(*words)
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")


def test_nor_is_one_who_leaves_when_all_but_the_end_is_written(work: Path) -> None:
    """What is in a buffer then Python itself would write last of all, with an exit code of its own where it cannot."""
    script = "from primus.launch import streams; print('the end'); streams.settle()"
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-I", "-c", script]  # without PYTHONUNBUFFERED
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_primus_runs_as_a_module_as_well(work: Path) -> None:
    root = str(Path(package.__file__).parents[1])
    argv = [sys.executable, "-m", "primus", "--version"]
    done = subprocess.run(argv, env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == f"primus {package.__version__}\n"


def test_a_working_directory_that_is_gone_is_said_without_a_traceback(primus: Primus, work: Path) -> None:
    work.rmdir()
    said = primus("dry_run=true")
    assert said.code == 2
    assert said.err.startswith("primus: ")
    assert "Traceback" not in said.err
