"""Where a value came from: the word on the command line, or the file and line. Only asked when something is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from primus.launch.confidential import redacted_override
from primus.launch.config import catalog
from primus.launch.config.arguments import key_of


@dataclass(frozen=True)
class Origins:
    """What the config was composed from: the user's overrides, the config directories, the choice of each group.

    `before`: the values that were typed for the run that this one repeats, and for those that it repeated.
    """

    overrides: tuple[str, ...]
    directories: tuple[Path, ...]
    chosen: Mapping[str, str]
    before: tuple[str, ...] = ()

    def of(self, key: str) -> str:
        """`command line: task.steps=x`, `conf/task/train/pretrain.yaml:3`, or an empty string when nothing set it."""
        override = self._last(self.overrides, key)
        if override is not None:
            return f"command line: {redacted_override(override)}"
        for path, prefix in self._files(key.split(".", 1)[0]):
            line = _line_of(path, [*key.split("[")[0].removeprefix(prefix).split(".")])
            if line:
                return f"{path}:{line}"
        return ""

    def typed(self, key: str) -> str | None:
        """The override that set it on the command line, as it was typed; None: none did. No file is read for this."""
        return self._last(self.every, key)

    @property
    def every(self) -> tuple[str, ...]:
        """All overrides; the last one of a key counts. What was typed for a run is so for a replay of it."""
        return (*self.before, *self.overrides)

    def _last(self, overrides: Sequence[str], key: str) -> str | None:
        for override in reversed(overrides):
            word = key_of(override)
            if word not in self.chosen and (_within(key, word) or _within(word, key)):
                return override
        return None

    def _files(self, group: str) -> Sequence[tuple[Path, str]]:
        """Files that may set keys of `group`, the winning one first, and the prefix that their keys lack."""
        files: list[tuple[Path, str]] = []
        for member, prefix in (("experiment", ""), (group, f"{group}.")):
            name = self.chosen.get(member)
            choice = catalog.choices(member, self.directories).get(name) if name else None
            if choice:
                files.append((choice.path, "" if _of_the_whole_config(choice.path) else prefix))
        return [*files, *((d / "config.yaml", "") for d in self.directories if (d / "config.yaml").is_file())]


def _of_the_whole_config(path: Path) -> bool:
    """Whether its keys are whole, as `# @package _global_` in its first line says."""
    with path.open(encoding="utf-8") as file:
        return file.readline().split() == ["#", "@package", "_global_"]


def _within(key: str, parent: str) -> bool:
    return key == parent or key.startswith((f"{parent}.", f"{parent}["))


def _line_of(path: Path, parts: Sequence[str]) -> int:
    """The line (from 1) that sets the dotted key in a YAML file, or of its nearest parent there; 0 if there is none."""
    node, line = yaml.compose(path.read_text(encoding="utf-8")), 0
    for part in parts:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((k, v) for k, v in node.value if k.value == part), None)
        if found is None:
            return 0
        line, node = found[0].start_mark.line + 1, found[1]
    return line
