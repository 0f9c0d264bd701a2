"""What a check finds, and what it is told: plain values that travel between nodes as JSON."""

from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Tuple

INFO, WARN, FAIL = "info", "warn", "fail"
LEVELS = (INFO, WARN, FAIL)


@dataclass(frozen=True)
class Finding:
    """`area` is host, gpu, network, storage or software; `name` says what was looked at.

    `expected` and `mend` are empty where all is well.
    """

    area: str
    name: str
    level: str
    seen: str
    expected: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Fact:
    """A value that is to be the same on all nodes; `level` is that of a finding where it is not."""

    area: str
    name: str
    value: str
    level: str
    mend: str


@dataclass(frozen=True)
class Report:
    """What one node found by itself."""

    node: int
    host: str
    findings: Tuple[Finding, ...] = ()
    facts: Tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Directory:
    """A directory that the job uses: `role` is run, data or checkpoint; only what is `written` must be writable."""

    role: str
    path: str
    written: bool


@dataclass(frozen=True)
class Settings:
    """preflight.json. Times are in seconds, `free` in GiB, `megabytes` are sent over each link between nodes (0: none).

    `gpus` is how many each node must have (None: as the others), `gpu_models` are patterns of their names. `python` is
    the ranks' interpreter and `modules` what it must import; None: there is none to ask. `engine` is the container's.
    """

    run_id: str
    within: float
    checks: Tuple[str, ...]
    gpu: str
    gpus: Optional[int]
    gpu_models: Tuple[str, ...]
    directories: Tuple[Directory, ...]
    free: float
    megabytes: int
    python: Optional[str]
    modules: Tuple[str, ...]
    product: bool
    engine: Optional[str]

    def at(self, run_id: str, run_dir: str) -> "Settings":
        """With what the node alone knows."""
        there = tuple(replace(one, path=one.path or run_dir) for one in self.directories)
        return replace(self, run_id=run_id, directories=there)


@dataclass
class Notes:
    """Collects what one area finds."""

    area: str
    findings: List[Finding] = field(default_factory=list)
    facts: List[Fact] = field(default_factory=list)

    def info(self, name: str, seen: str) -> None:
        """All is well, or nobody can say what would be right."""
        self.findings.append(Finding(self.area, name, INFO, seen))

    def well(self, name: str, known: bool, seen: str) -> None:
        """One line for all GPUs where none has a finding of this name (`gpu 0 ecc`): that it was looked at can be seen.

        Not `known`: nobody says it of all of them.
        """
        if not any(one.level != INFO and f" {one.name}".endswith(f" {name}") for one in self.findings):
            self.info(name, seen if known else "the driver does not say")

    def warn(self, name: str, seen: str, expected: str, mend: str) -> None:
        """The job may run, slower or less safely than it should."""
        self.findings.append(Finding(self.area, name, WARN, seen, expected, mend))

    def fail(self, name: str, seen: str, expected: str, mend: str) -> None:
        """The job would not run, or not rightly."""
        self.findings.append(Finding(self.area, name, FAIL, seen, expected, mend))

    def same(self, name: str, value: object, level: str, mend: str) -> None:
        """To be compared with the other nodes."""
        self.facts.append(Fact(self.area, name, str(value), level, mend))


def counts(findings: Tuple[Finding, ...]) -> Dict[str, int]:
    """How many of each level."""
    return {level: sum(finding.level == level for finding in findings) for level in LEVELS}
