"""The command `primus-cli`: translate, say what the same is for `primus`, and run that."""

import os
import shlex
import sys
from collections.abc import Sequence

from primus.launch.cli import grammar
from primus.launch.cli.tasks import TASKS
from primus.launch.cli.translate import Translation, translate
from primus.launch.confidential import redacted_override
from primus.launch.problems import OK
from primus.node.secrets import redact_url


def execute(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Raises Complaint for what the user can mend."""
    if not argv or {"-h", "--help"} & set(argv):
        print(text())
        return OK
    told = Translation(("--version",)) if "--version" in argv else translate(argv, os.environ)
    for line in _lines(told):
        print(f"primus-cli: {redact_url(line)}", file=sys.stderr)
    from primus.launch.app import execute as primus

    return primus(told.words)


def command(told: Translation) -> str:
    """The command of `primus`, quoted for a shell, without secrets."""
    return shlex.join(["primus", *(redacted_override(word) for word in told.words)])


def text() -> str:
    """The help, from the tables."""
    lines = [
        "primus-cli: the grammar of AMD's Primus launcher, for the one command `primus`.",
        "",
        f"  {grammar.SHAPE}",
        "  slurm: srun stays and shows the job, sbatch returns; inside: slurm srun -N 2 -- container --image I -- task",
        "",
        "  --debug and --dry-run print the same command for `primus`; --dry-run shows its plan and starts nothing.",
        "",
        "Tasks: " + ", ".join(TASKS) + ", and every task of `primus --help` with a space for the slash.",
        "A setting of the task is a flag (--iterations 5) or an override (task.iterations=5), as all keys are.",
        "",
        "--config takes a Hydra experiment of Primus, a Primus YAML (modules.pre_trainer), a TOML of ours or of",
        "TorchTitan; --strict refuses one with keys that are not understood.",
        "",
        "Defaults come from ~/.primus.yaml (main, slurm, container, direct), below all of these; --dry-run says what",
        "of it is not taken, and why.",
    ]
    for mode, flags in grammar.MODES.items():
        lines += ["", f"{mode}:", *_wrapped(grammar.names(flags))]
    return "\n".join(lines)


def _lines(told: Translation) -> list[str]:
    shown = [*told.account, command(told)] if told.explain else []
    return [*told.warnings, *shown]


def _wrapped(names: Sequence[str], width: int = 110) -> list[str]:
    lines = [" "]
    for name in names:
        if len(lines[-1]) + len(name) + 2 > width:
            lines.append(" ")
        lines[-1] += f" {name}" + ";"
    return [line.rstrip(";") for line in lines]
