"""Throughput under Primus beside the same framework started bare, alternating in one session.

    python bench/training.py torchtitan --model llama3.2_1b --gpus 1 [--rounds 3] [--steps 40] [key=value ...]

`key=value` are overrides of `primus` (task.micro_batch=4 task.compile=true ...); those that a bare command knows are
given to it as well, any other is refused. A round is one run of each, each beginning with the other. The figure of a
run is the median over its steps after the first `--skip`, in tokens per second and GPU; RESULTS.md has what was seen.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bare import FRAMEWORKS
from rich.console import Console
from rich.table import Table

LIMIT = 560.0
"""Seconds after which a run is ended, and the benchmark with it."""
GOAL = 0.99
"""Of bare throughput."""
_TERMS = {
    "task.sequence_length": int,
    "task.micro_batch": int,
    "task.compile": lambda text: text == "true",
    "task.activation_checkpointing": str,
}


@dataclass(frozen=True)
class Settings:
    """What both sides train, and how."""

    model: str
    gpus: int
    steps: int
    sequence_length: int
    micro_batch: int
    compile: bool
    activation_checkpointing: str
    attention: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One run: median tokens per second and GPU; MFU and peak memory (bytes) where the run tells them."""

    tokens: float
    mfu: float | None = None
    memory: float | None = None


def main(argv: Sequence[str]) -> int:
    """Run all, print the table; 1 when a run fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", choices=sorted(FRAMEWORKS))
    parser.add_argument("--model", default="llama3.2_1b")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--skip", type=int, default=10)
    parser.add_argument(
        "--attention", choices=["own", "fused"], default="own", help="of a bare Megatron: fused is ours"
    )
    parser.add_argument("--logs", type=Path, help="a folder for the output of every run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_intermixed_args(argv)
    settings = _settings(arguments)
    samples: dict[str, list[Sample]] = {"primus": [], "bare": []}
    for number in range(arguments.rounds):
        for side in ("primus", "bare") if number % 2 == 0 else ("bare", "primus"):
            with tempfile.TemporaryDirectory() as folder:
                sample = (
                    _primus(arguments, settings, Path(folder))
                    if side == "primus"
                    else _bare(arguments, settings, Path(folder))
                )
                if arguments.logs:
                    arguments.logs.mkdir(parents=True, exist_ok=True)
                    shutil.copy(Path(folder) / "log", arguments.logs / f"{side}-{number}.log")
            samples[side].append(sample)
            print(f"{side}: {sample.tokens:,.0f} tokens/s/GPU {sample.mfu or ''}", flush=True)
    _report(arguments, settings, samples)
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    given = {"task.sequence_length": 4096, "task.micro_batch": 1, "task.compile": False}
    given["task.activation_checkpointing"] = "none"
    for override in arguments.overrides:
        key, _, value = override.partition("=")
        if key not in _TERMS:
            sys.exit(f"{key}: a bare command of the framework has no word for it here; there are: {', '.join(_TERMS)}")
        given[key] = _TERMS[key](value)
    library = Path(os.__file__).parent
    files = tuple(str(path) for path in sorted(library.glob("*.py")))
    terms = {key.removeprefix("task."): value for key, value in given.items()}
    return Settings(
        arguments.model, arguments.gpus, arguments.steps, attention=arguments.attention, files=files, **terms
    )


def _primus(arguments: argparse.Namespace, settings: Settings, folder: Path) -> Sample:
    words = [
        *(f"backend={arguments.backend}", f"model={settings.model}", f"ranks_per_node={settings.gpus}"),
        *(f"task.steps={settings.steps}", f"task.sequence_length={settings.sequence_length}", "task.precision=bf16"),
        *(f"data.files={json.dumps(list(settings.files))}", f"output.root={folder}", "data.held_out=0"),
        *(["backend.args.dataset_type=synthetic"] if arguments.backend == "maxtext" else []),  # as its bare side
        *arguments.overrides,
    ]
    _run([sys.executable, "-m", "primus", *words], folder, {})
    (metrics,) = folder.glob("default/*/metrics/rank-*.jsonl")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    steady = [line for line in lines if line["step"] >= arguments.skip]
    mfu = [line["mfu"] for line in steady if "mfu" in line]
    # From line to line, as the bare framework's own figure is: with all that comes between two steps.
    seconds = statistics.median(after["time"] - line["time"] for line, after in itertools.pairwise(steady))
    return Sample(
        settings.micro_batch * settings.sequence_length / seconds,
        statistics.median(mfu) if mfu else None,
        max(line["memory_peak"] for line in lines),
    )


def _bare(arguments: argparse.Namespace, settings: Settings, folder: Path) -> Sample:
    bare = FRAMEWORKS[arguments.backend]
    argv, environ = bare.command(settings, folder)
    said = _run(argv, folder, environ)
    figures = [bare.tokens(match, settings) for match in re.finditer(bare.PATTERN, said)]
    if len(figures) < settings.steps:
        sys.exit(f"only {len(figures)} steps in the output of {' '.join(argv)}:\n{said[-4000:]}")
    return Sample(statistics.median(figures[arguments.skip :]))


def _run(argv: Sequence[str], folder: Path, environ: dict[str, str]) -> str:
    log = folder / "log"
    with log.open("w") as file:
        done = subprocess.run(
            argv, env={**os.environ, **environ}, stdout=file, stderr=subprocess.STDOUT, timeout=LIMIT, check=False
        )
    said = log.read_text(errors="replace")
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(argv)}:\n{said[-6000:]}")
    return said


def _report(arguments: argparse.Namespace, settings: Settings, samples: dict[str, list[Sample]]) -> None:
    middle = {side: statistics.median(s.tokens for s in found) for side, found in samples.items()}
    ratio = middle["primus"] / middle["bare"]
    table = Table(title=f"{arguments.backend} {settings.model} on {settings.gpus} GPU: {' '.join(arguments.overrides)}")
    for name in ("", "tokens/s/GPU", "of each run", "MFU", "peak GiB"):
        table.add_column(name)
    for side, found in samples.items():
        mfu = [s.mfu for s in found if s.mfu]
        memory = [s.memory for s in found if s.memory]
        table.add_row(
            side,
            f"{middle[side]:,.0f}",
            " ".join(f"{s.tokens:,.0f}" for s in found),
            f"{statistics.median(mfu):.1%}" if mfu else "",
            f"{max(memory) / 2**30:.1f}" if memory else "",
        )
    Console(width=140).print(table)
    print(f"primus / bare: {ratio:.4f} (goal {GOAL}: {'met' if ratio >= GOAL else 'missed'})")
    if arguments.json:
        content = {"backend": arguments.backend, "settings": asdict(settings) | {"files": len(settings.files)}}
        content |= {"ratio": ratio, **{side: [asdict(s) for s in found] for side, found in samples.items()}}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
