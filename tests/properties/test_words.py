"""What a user types reaches the ranks byte for byte, by every way that jobs run, or is refused with exit code 2.

Nothing in it is taken for a part of a shell, of a batch script, of an engine's command line, or of a path.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from primus.launch.config.arguments import quoted

from ..cluster.docker import Docker
from ..cluster.slurm import Slurm
from ..conftest import PATIENCE, Primus, Start

SHELL = [
    *("$(touch evil)", "`touch evil`", ";touch evil", "&& touch evil", "| touch evil", "> evil", "a\ntouch evil\n"),
    *("'", '"', "'; touch evil; '", '"; touch evil; "', "\\", "\\\\", "a\\", "$HOME", "${HOME}", "~", "*", "!x", "#"),
    *("", "\n", "\\n", "\\x00"),
]
HYDRA = ["a,b", "[1,2]", "{a: b}", "a=b", "null", "1e3", "true", "${oc.env:HOME}", "${env.set}", "\\${x}", "'a,b'"]
OTHERS = [
    *("--help", "-rf /", "-", "--", "../../evil", "/etc/passwd", "%j", "%a%A", "{primus.evil}", "{}", "{0}"),
    *("\x1b[2J", "a\tb\r\x7f", "é🜁\u202e", " lead and trail ", "a" * 100_000, "#SBATCH --uid=0", "a:b:ro", "a//../b"),
]
WORDS = [*SHELL, *HYDRA, *OTHERS]
TELLS = """
import json, os, sys
told = [sys.argv[1:], {n: os.environ.get(n) for n in json.loads(os.environ["NAMES"])}, os.getcwd()]
open(os.environ["PRIMUS_RUN_DIR"] + "/told.json", "w").write(json.dumps(told))
"""
MOST = 1 << 17
"""Bytes of one word that the kernel takes (MAX_ARG_STRLEN)."""


def asked_for(work: Path, words: list[str]) -> list[str]:
    """The overrides of a job with each word as an argument of its ranks, and as a variable."""
    (work / "tells.py").write_text(TELLS)
    names = [f"ODD{n}" for n in range(len(words))]
    command = ",".join(map(quoted, ["python3", "-I", "-S", "tells.py", *words]))
    given = [f"env.set.{name}={word}" for name, word in zip(names, words, strict=True)]
    return [
        *("task=command", f"task.command=[{command}]", *given, f"env.set.NAMES={json.dumps(names)}"),
        *("tracking.enabled=false", "node.metrics_interval=0"),
    ]


def told(work: Path) -> tuple[list[str], list[str]]:
    """The arguments and the variables that the rank of the one run has got."""
    (file,) = work.glob("*/*/*/told.json")
    arguments, variables, _ = json.loads(file.read_text())
    return arguments, list(variables.values())


def test_every_word_reaches_a_rank_of_this_machine_byte_for_byte(primus: Primus, work: Path) -> None:
    said = primus(*asked_for(work, WORDS))
    assert said.code == 0, said.err
    assert told(work) == (WORDS, WORDS)
    assert sorted(p.name for p in work.iterdir()) == ["outputs", "tells.py"]


def test_and_once_more_when_the_run_is_done_again(primus: Primus, work: Path) -> None:
    assert primus(*asked_for(work, WORDS)).code == 0
    (run,) = (work / "outputs/default").iterdir()
    run.rename(work / run.name)
    assert primus(f"replay={work / run.name}").code == 0
    assert told(work) == (WORDS, WORDS)


@pytest.mark.docker
@pytest.mark.slow
def test_every_word_reaches_a_rank_in_a_container(primus: Primus, docker: Docker, work: Path) -> None:
    odd = work / "odd $(touch evil) `x` 'q'\n"
    words = [word for word in WORDS if len(word) < 1000]
    said = primus(
        *(*asked_for(work, words), "runtime=container", "container=docker", f"container.image={docker.image}"),
        *(f"output.root={quoted('out put;$(touch evil)')}", "container.environment=['A=$(touch evil);b']"),
    )
    assert said.code == 0, said.err
    assert told(work) == (words, words)
    assert not [path for path in (work, odd.parent) if (path / "evil").exists()]


@pytest.mark.slurm
@pytest.mark.slow
def test_every_word_reaches_a_rank_on_a_cluster(start: Start, slurm: Slurm, work: Path) -> None:
    name = "$(touch evil);`touch evil` 'a' \"b\" \\ #%j"
    begun = start(
        *(*asked_for(work, WORDS), "runtime=slurm", f"output.root={quoted('out put;$(touch evil)%j')}"),
        *(f"runtime.job_name={quoted(name)}", f"runtime.options.comment={quoted(name)}"),
        f"runtime.setup=[[touch,{quoted('$(touch evil)')}]]",
    )
    out, err = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 0, out + err
    assert told(work) == (WORDS, WORDS)
    assert not list(work.rglob("evil"))
    (job,) = [line.split()[1] for line in out.splitlines() if line.startswith("job ")]
    assert slurm.ask("squeue", "--states=all", "--noheader", f"--jobs={job}", "--Format=Name:99").rstrip() == name


# What cannot be: refused, by its key.


def of_a_file(work: Path, **config: Any) -> list[str]:
    """The overrides that choose a config of the user's own: a command line holds no zero byte, a file of YAML does."""
    (work / "conf/experiment").mkdir(parents=True)
    text = yaml.safe_dump({"experiment": {"name": "x"}, **config}, allow_unicode=False)
    (work / "conf/experiment/odd.yaml").write_text("# @package _global_\n" + text)
    return ["--config-dir", str(work / "conf"), "experiment=odd", "tracking.enabled=false"]


RANK = [sys.executable, "-c", "pass"]
HALF = "\ud800"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"env": {"set": {"A": "a\0b"}}}, "env.set.A: it holds a zero byte"),
        ({"env": {"set": {"A": HALF}}}, "env.set.A: its text is no valid UTF-8"),
        ({"env": {"set": {"A": "x" * (1 << 20)}}}, "env.set.A: it has 1048578 bytes, and the kernel takes"),
        ({"env": {"set": {"A": "x" * (MOST - 2)}}}, "env.set.A: it has 131072 bytes"),
        ({"env": {"set": {"A=B": "x"}}}, "env.set: 'A=B' is no name of a variable"),
        ({"env": {"set": {"": "x"}}}, "env.set: '' is no name of a variable"),
        ({"env": {"set": {"A\0": "x"}}}, r"env.set.A\x00: it holds a zero byte"),
        ({"task": {"command": [*RANK, "a\0b"]}}, "task.command[3]: it holds a zero byte"),
        ({"task": {"command": [*RANK, "x" * 150_000]}}, "task.command: its word 3 has 150000 bytes"),
        ({"output": {"root": "a\0b"}}, "output.root: it holds a zero byte"),
        ({"output": {"root": "x" * 5000}}, "output.root: cannot write the run directory"),
        ({"output": {"root": "/dev/null/x"}}, "output.root: cannot write the run directory"),
        ({"experiment": {"name": "x" * 5000}}, "experiment.name: "),
        ({"experiment": {"name": "../x"}}, "experiment.name: '../x' must be a plain folder name"),
        ({"experiment": {"name": "-x"}}, "experiment.name: '-x' must be a plain folder name"),
        ({"hooks": {"dirs": ["a\0b"]}}, "hooks.dirs[0]: it holds a zero byte"),
        ({"hooks": {"dirs": ["-rf\n"]}}, "hooks.dirs: "),
        ({"hooks": {"use": ["../../evil"]}}, "hooks.use: there is no hook '../../evil'"),
        ({"patches": ["../evil"]}, "patches: '../evil' is neither a file"),
    ],
    ids=lambda value: value.split(":")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_no_rank_can_be_given_is_refused_by_its_key_and_nothing_is_written(
    primus: Primus, work: Path, config: dict[str, Any], key: str
) -> None:
    words = of_a_file(work, **{"task": {"command": RANK}, **config})
    said = primus("task=command", *words)
    assert (said.code, said.err[: len("primus: " + key)]) == (2, "primus: " + key)
    assert len(said.err) < 6000
    assert not (work / "outputs").exists()


OFF = f"task=command task.command=[{sys.executable}] tracking.enabled=false".split()
CONTAINER = (*OFF, "runtime=container", "container=docker")
IMAGE = (*CONTAINER, "container.image=i")
SLURM = (*OFF, "runtime=slurm")


@pytest.mark.parametrize(
    ("where", "word", "key"),
    [
        (CONTAINER, "container.image='--privileged'", "container.image: "),
        (IMAGE, "container.python='-c'", "container.python: "),
        (IMAGE, "container.user='--privileged'", "container.user: "),
        (IMAGE, "container.options=['--name=x']", "container.options: --name is Primus's own"),
        (IMAGE, "container.options=['--entrypoint','sh']", "container.options: --entrypoint"),
        (IMAGE, "container.mounts=['/a:b:c:d']", "container.mounts: "),
        (IMAGE, "container.mounts=['']", "container.mounts: "),
        (IMAGE, "container.environment=['A=a\nB=b']", "container.environment: "),
        (SLURM, "runtime.job_name='a\nb'", "runtime.job_name: "),
        (SLURM, "runtime.options.comment='a\n#SBATCH --uid=0'", "runtime.options.comment: "),
        (SLURM, "runtime.partition='a\nb'", "runtime.partition: "),
        (SLURM, "runtime.options.x-=1", "runtime.options.x-: "),
        (SLURM, "runtime.options.wrap=id", "runtime.options.wrap: Primus sets --wrap itself"),
        (SLURM, "runtime.setup=[['a\nb']]", "runtime.setup: "),
        (SLURM, "output.root='a\nb'", ""),
        (SLURM, "output.root='a\\\\b'", "output.root: Slurm takes a backslash out"),
        ((), "data.files='-rf $(id)'", "data.files: no file matches '-rf $(id)'"),
        (OFF[:2], "output.root='a?b'", "output.root: "),
    ],
)
def test_what_would_be_more_than_a_word_to_the_next_program_is_refused(
    primus: Primus, work: Path, where: tuple[str, ...], word: str, key: str
) -> None:
    said = primus(*where, word, "dry_run=true")
    assert (said.code, said.err[: len("primus: " + key)]) == (2, "primus: " + key), said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("word", ["run=$(touch evil)", "run=-rf", "run=../../x", "run=a\nb", "run=" + "x" * 5000])
@pytest.mark.parametrize("task", ["status", "logs", "cancel", "export"])
def test_a_run_that_is_none_is_no_run_whatever_it_is_called(primus: Primus, work: Path, task: str, word: str) -> None:
    said = primus(f"task={task}", word, "to=x.tar.gz", "dry_run=true")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert not [path for path in work.iterdir() if path.name != "outputs"]


@pytest.mark.parametrize("key", ["replay", "resume"])
@pytest.mark.parametrize("word", ["$(touch evil)", "-rf", "../../x", "a\nb", "${oc.env:HOME}", "--help", "x" * 5000])
def test_nor_is_it_replayed(primus: Primus, work: Path, key: str, word: str) -> None:
    said = primus(f"{key}={word}", "dry_run=true")
    assert (said.code, "Traceback" in said.err) == (2, False)
    assert not [*work.iterdir()]


def test_a_folder_whose_name_is_no_text_is_refused(primus: Primus, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = os.fsencode(work) + b"/\xff"
    os.mkdir(odd)
    monkeypatch.chdir(os.fsdecode(odd))
    said = primus("task=command", f"task.command=[{sys.executable}]", "tracking.enabled=false")
    assert said.code == 2
    assert "is no valid UTF-8: rename it, or work from another folder" in said.err


# Overrides, translated.


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), max_size=4))
def test_any_text_in_quotes_is_that_text_to_hydra(words: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    parsed = OverridesParser.create().parse_override(f"a.b=[{','.join(map(quoted, words))}]")
    assert OmegaConf.to_container(OmegaConf.create({"x": parsed.value()}), resolve=True) == {"x": words}
