"""Find a recorded run: by directory, by exported file, by run id, or by MLflow run id."""

import contextlib
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from primus.launch.problems import BadRequest
from primus.launch.record.files import own, read_json
from primus.launch.replaying import sound
from primus.node import rundir
from primus.node.plan import Plan, from_json
from primus.node.secrets import redact_url


@dataclass(frozen=True)
class SavedRun:
    """A recorded run, read: `where` is what the user would type to name it again."""

    where: str
    directory: Path | None
    plan: Plan
    config: dict[str, Any]
    nodes: tuple[dict[str, Any], ...]
    result: dict[str, Any] | None

    @property
    def run_id(self) -> str:
        """The id of the run; a job of a sweep is `<sweep>/<index>`."""
        return f"{self.plan.sweep}/{self.plan.run_id}" if self.plan.sweep else self.plan.run_id


def find(key: str, word: str, output_root: str, tracking_uri: str | None, offline: bool) -> SavedRun:
    """The run that `<key>=<word>` names. Raises BadRequest when there is none, or when it cannot be read.

    `offline`: no tracking server is asked.
    """
    path = Path(word).expanduser()
    if path.is_dir():
        return from_directory(path)
    if path.is_file():
        return from_archive(path)
    root = Path(output_root).expanduser()
    local = _in_root(word, root)
    if local:
        return from_directory(local)
    if "/" in word or path.suffix:
        raise BadRequest(f"{key}={word}: there is no such run directory or file.")
    if offline:
        raise BadRequest(f"{key}={word}: not under {root}/, and a dry run opens no connection to ask MLflow for it.")
    return _from_mlflow(key, word, tracking_uri, root)


def from_directory(directory: Path) -> SavedRun:
    """Read a run directory. Raises BadRequest that names the file that is missing or damaged."""
    directory = directory.resolve()
    if (directory / "sweep.json").is_file():
        raise BadRequest(f"{directory} is a sweep: name one of its jobs, such as {directory}/0")

    def text(name: str) -> str | None:
        file = own(directory, name)
        if file and file.stat().st_size > sound.LARGEST:
            raise ValueError(f"it has {file.stat().st_size} bytes")
        return file.read_text(encoding="utf-8") if file else None

    nodes = sorted(p.relative_to(directory).as_posix() for p in (directory / "nodes").glob("*.json"))
    return _read(str(directory), directory, text, nodes)


def from_archive(file: Path) -> SavedRun:
    """Read an exported run without unpacking it. Raises BadRequest."""
    from primus.launch.replaying.archive import texts

    try:
        found = texts(file)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise BadRequest(f"{file} is no exported run: {error}") from None
    nodes = sorted(n for n in found if n.startswith("nodes/") and n.endswith(".json"))
    return _read(str(file), None, found.get, nodes)


def _read(where: str, directory: Path | None, text: Callable[[str], str | None], nodes: list[str]) -> SavedRun:
    name = rundir.PLAN
    try:
        sound.document(_need(text, name))
        plan = from_json(_need(text, name))
        name = rundir.CONFIG
        config = sound.config(_need(text, name))
        facts = []
        for name in nodes:
            facts.append(sound.node(sound.document(_need(text, name))))
        name = rundir.RESULT
        result = sound.result(sound.document(text(name) or "null"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadRequest(f"{where} is no run that can be read: {name}: {error}") from None
    return SavedRun(where, directory, plan, config, tuple(facts), result)


def _need(text: Callable[[str], str | None], name: str) -> str:
    content = text(name)
    if content is None:
        raise ValueError("missing")
    return content


def _in_root(word: str, root: Path) -> Path | None:
    """A run under the output root whose directory is named so, or whose record has this MLflow run id."""
    for pattern in ("[!.]*/*", "[!.]*/*/*"):
        for record in (*root.glob(f"{pattern}/{rundir.PLAN}"), *root.glob(f"{pattern}/{rundir.RECORD}")):
            directory = record.parent
            if "/".join(directory.relative_to(root).parts[1:]) == word:  # a run, or <sweep>/<job>
                return directory
            if record.name == rundir.RECORD and read_json(record).get("run_id") == word:
                return directory
    return None


def _from_mlflow(key: str, run_id: str, uri: str | None, root: Path) -> SavedRun:
    from primus.launch.record import read, store

    where = uri or store.tracking_uri(root)
    into = Path(tempfile.mkdtemp(prefix="primus-"))
    try:
        directory = read.fetch_run(run_id, where, root, into)
    except store.Unavailable as error:
        raise BadRequest(f"{key}={run_id}: not under {root}/, and MLflow cannot be asked: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            into.rmdir()  # where nothing had to be downloaded
    if directory is None:
        raise BadRequest(f"{key}={run_id}: no run of that id under {root}/, nor in MLflow at {redact_url(where)}.")
    return from_directory(directory)
