"""What can be chosen: the config groups, their choices and the line that describes each, from the YAML files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import plugins

GROUPS = ("runtime", "container", "gpu", "backend", "model", "data", "task", "experiment")


def conf_dir() -> Path:
    """Primus's own `conf/`: inside the package when installed from a wheel, beside it in a source tree."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def directories() -> list[Path]:
    """Where choices are, beside the user's own directories: Primus's `conf/`, then those of plugins."""
    return [conf_dir(), *plugins.directories("conf")]


@dataclass(frozen=True)
class Choice:
    """One YAML file of a group: `name` is what the user types after `group=`."""

    name: str
    path: Path

    @property
    def summary(self) -> str:
        """The file's first comment line that is not a directive to Hydra."""
        for line in self.path.read_text(encoding="utf-8").splitlines():
            comment = re.match(r"#(?!\s*@)\s*(.+)", line)
            if comment:
                return comment.group(1).strip()
            if line.strip() and not line.startswith("#"):
                break
        return ""


def choices(group: str, directories: Sequence[Path]) -> dict[str, Choice]:
    """The choices of a group over several config directories, the first directory winning, sorted by name."""
    found: dict[str, Choice] = {}
    for directory in directories:
        root = directory / group
        for path in root.rglob("*.yaml"):
            name = path.relative_to(root).with_suffix("").as_posix()
            found.setdefault(name, Choice(name, path))
    return dict(sorted(found.items()))


def groups(directories: Sequence[Path]) -> list[str]:
    """Primus's groups in their own order, then groups that only the user's directories have."""
    own = {p.name for d in directories for p in d.iterdir() if p.is_dir() and any(p.rglob("*.yaml"))}
    return [*GROUPS, *sorted(own - set(GROUPS) - {"hydra"})]
