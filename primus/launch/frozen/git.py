"""Git's plumbing on a checkout that is only read: with a copy of its index, and an object directory of its own."""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from primus.launch.problems import Unfit
from primus.node import process

WAY_OUT = "runtime.frozen=false runs the source as it is when the job starts"

_SECONDS = 120.0
"""Time limit for each step of git."""
# None of the user's settings may start a program or wait for one.
_SETTINGS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.addEmbeddedRepo=false")


class Git:
    """Git on one checkout, with an index and objects in `scratch`."""

    def __init__(self, root: Path, scratch: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        # A hook or an alias of git from which the command was typed names another repository.
        self._environ = {k: v for k, v in environ.items() if not k.startswith("GIT_") or k.startswith("GIT_CONFIG")}
        self._environ["LC_ALL"] = "C"
        told = self.run("rev-parse", "--git-path", "index", "--git-path", "objects").split("\n")
        index, objects = (root / path for path in told[:2])
        scratch.mkdir()
        (scratch / "objects").mkdir()
        with contextlib.suppress(FileNotFoundError):  # nothing was ever added
            # Not HEAD's: it knows which files have not changed. By its own time git tells which may have since, unseen.
            shutil.copy2(index, scratch / "index")
        self._environ["GIT_INDEX_FILE"] = str(scratch / "index")
        self._environ["GIT_OBJECT_DIRECTORY"] = str(scratch / "objects")
        self._environ["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(objects.resolve())

    def run(self, *words: str, given: str = "") -> str:
        """What git prints. Raises Unfit with its last words where it fails."""
        code, out, err = self._run(words, given)
        if code:
            said = " ".join(err.strip().splitlines()[-3:])
            raise Unfit(f"git {words[0]} cannot freeze {self.root}: {said}. {WAY_OUT}")
        return out

    def says_no(self, *words: str) -> bool:
        """Whether a question to git is answered with exit code 1."""
        return self._run(words, "")[0] == 1

    def _run(self, words: Sequence[str], given: str) -> tuple[int, str, str]:
        argv = ["git", *_SETTINGS, "-C", str(self.root), *words]
        pipe = process.PIPE
        try:
            started = process.start(argv, env=self._environ, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise Unfit(f"{self.root} cannot be frozen without git: {error.strerror}. {WAY_OUT}") from None
        with started:
            try:
                out, err = started.communicate(given.encode(errors="surrogateescape"), _SECONDS)
            except subprocess.TimeoutExpired:
                process.end_group(started.pid, signal.SIGKILL)
                raise Unfit(f"git {words[0]} took longer than {_SECONDS:.0f} s in {self.root}. {WAY_OUT}") from None
        return started.returncode, out.decode(errors="surrogateescape"), err.decode(errors="replace")
