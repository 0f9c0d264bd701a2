"""Slurm's controller, asked through its own commands: submit, state, cancel. Every call has a time limit."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from primus.launch.problems import BadRequest, Unfit
from primus.node import process
from primus.node.digits import whole

INTERVAL = 2.0
"""Least seconds between two calls while a command waits, however many jobs it waits for: a controller serves many."""

_SECONDS = 15.0
"""Time limit of a call: a busy controller answers within a few seconds, one that is down never does."""
_PING_SECONDS = (1.5, 8.0)
"""Those of the first and the second ping: without a configuration Slurm's commands look for one for a minute."""

_FIELDS = ("JobID", "ArrayJobID", "ArrayTaskID", "State", "exit_code", "RestartCnt", "NodeList", "Reason")
_WIDTHS = (":24|", ":24|", ":24|", ":32|", ":16|", ":16|", ":4096|", ":512|")

_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_OVER = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "DEADLINE"),
    *("BOOT_FAIL", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL"),
)
"""Of any other word, which a younger Slurm may have, the job is taken to live: what is over is closed for good."""


@dataclass(frozen=True)
class State:
    """What Slurm says of one job, or of one element of an array.

    `name` is Slurm's word (PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, NODE_FAIL, PREEMPTED, ...).
    `exit_code` is that of its script, 128 + N for signal N. `nodes` is Slurm's own list, `c0n[1-2]`; `reason` says why
    it waits or ended, empty for none. `restarts`: how often it was requeued.
    """

    name: str
    reason: str = ""
    exit_code: int = 0
    nodes: str = ""
    restarts: int = 0

    @property
    def pending(self) -> bool:
        """Whether it waits for its nodes."""
        return self.name in _WAITING

    @property
    def held_back(self) -> bool:
        """Whether it was requeued and waits for no more than Slurm's delay after that."""
        return self.name == "PENDING" and self.restarts > 0 and self.reason == "BeginTime"

    @property
    def over(self) -> bool:
        """Whether it will not run any more. COMPLETING counts as running: its processes may be there yet."""
        return self.name in _OVER


@dataclass(frozen=True)
class Answer:
    """How a command ended; `code` None: it was not there, or took too long."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """Its complaint in one line, without the name of the program."""
        lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in self.err.splitlines()]
        return "; ".join(dict.fromkeys(line for line in lines if line)) or "it said nothing"


class Denied(Unfit):
    """The job is another user's."""


class Pace:
    """When the controller may be asked again: at most once in `interval` seconds."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._next = 0.0

    def due(self) -> bool:
        """Whether it may be asked now; it is taken to be asked then."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._interval
        return True

    def rest(self) -> None:
        """Wait until it may be asked, and take it to be asked then."""
        while not self.due():
            time.sleep(max(0.0, self._next - time.monotonic()))


def check_reachable(environ: Mapping[str, str] | None = None) -> None:
    """Raise Unfit unless a controller answers: having sbatch is not having a cluster."""
    for seconds in _PING_SECONDS:
        answer = call(["scontrol", "ping"], seconds, environ)
        if answer.code is not None or "cannot stat file" in answer.err:
            break
    if answer.code != 0 or " is UP" not in answer.out:
        raise Unfit(_unreachable(answer, "scontrol ping"))


def cluster(environ: Mapping[str, str] | None = None) -> str:
    """The name of the cluster that answers here: a number of a job means nothing to another. Raises Unfit."""
    answer = call(["scontrol", "show", "config"], _SECONDS, environ)
    found = re.search(r"^ClusterName\s*=\s*(\S+)$", answer.out, re.MULTILINE)
    if answer.code != 0 or not found:
        raise Unfit(_unreachable(answer, "scontrol show config"))
    return found.group(1)


def submit(argv: Sequence[str], environ: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Submit and return the job id: `argv` is sbatch with its options, --parsable among them; `text` is its script
    where no file is named.

    Raises BadRequest with Slurm's words where it refuses the job, Unfit where there is no cluster.
    """
    if "SBATCH_CLUSTERS" in (os.environ if environ is None else environ):
        raise BadRequest("SBATCH_CLUSTERS: sbatch alone heeds it; set SLURM_CLUSTERS, or submit from that cluster")
    answer = call(argv, 2 * _SECONDS, environ, text)
    found = re.search(r"^(\d+)(;\S+)?$", answer.out.strip(), re.MULTILINE)
    if answer.code == 0 and found:
        return found.group(1)
    if answer.code is None or _no_controller(answer):
        raise Unfit(_unreachable(answer, "sbatch"))
    raise BadRequest(f"runtime=slurm: sbatch refuses the job: {answer.said}")


def states(job_ids: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, State]:
    """The state of each job that Slurm knows, in one call to the controller; an id is a job's or an element's, `12_3`.

    A whole array, asked for as `12`, gives its elements as `12_0`, `12_1`, ... What has left the controller's memory
    comes from the accounting database, where there is one; what nobody knows is left out. Raises Unfit.
    """
    asked = list(dict.fromkeys(job_ids))
    if not asked:
        return {}
    form = ",".join(name + width for name, width in zip(_FIELDS, _WIDTHS, strict=True))
    jobs = sorted({job.partition("_")[0] for job in asked}, key=int)
    argv = ["squeue", "--states=all", "--noheader", "--array", f"--jobs={','.join(jobs)}", f"--Format={form}"]
    answer = call(argv, _SECONDS, environ)
    if answer.code != 0 and "nvalid job id" not in answer.err:
        raise Unfit(_unreachable(answer, "squeue"))
    found = dict(_squeue_line(line) for line in answer.out.splitlines() if line.count("|") >= len(_FIELDS))
    gone = [job for job in jobs if not any(known.partition("_")[0] == job for known in found)]
    if gone:
        found.update(_accounting(gone, environ))
    whole = {job for job in asked if "_" not in job}
    return {job: state for job, state in found.items() if job in asked or job.partition("_")[0] in whole}


def directory(job_id: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The working directory of a job or an array that waits or runs; None for one that does not. Raises Unfit."""
    argv = ["squeue", "--noheader", f"--jobs={job_id}", "--Format=WorkDir:4096"]
    answer = call(argv, _SECONDS, environ)
    if answer.code != 0 and "nvalid job id" not in answer.err:
        raise Unfit(_unreachable(answer, "squeue"))
    return next((line.strip() for line in answer.out.splitlines() if line.strip()), None)


def cancel(job_ids: Iterable[str], environ: Mapping[str, str] | None = None) -> None:
    """Cancel jobs or elements; those that are over already are no error. Raises Unfit, Denied too."""
    asked = list(job_ids)
    if not asked:
        return
    answer = call(["scancel", "--quiet", *asked], _SECONDS, environ)
    if answer.code is None or _no_controller(answer):
        raise Unfit(_unreachable(answer, "scancel"))
    if "permission denied" in answer.err:
        raise Denied(f"runtime=slurm: {answer.said}")


def release(job_ids: Iterable[str], environ: Mapping[str, str] | None = None) -> None:
    """Let requeued jobs or elements start in two seconds.

    Slurm makes a job that was requeued wait for two minutes (BeginTime), until every credential of its earlier start
    has run out. A node refuses a credential that is not younger than the end of that start, both by the clock of the
    controller (slurm_cred.c, 22.05), so that the next second will do. One that was refused waits as Slurm wants it to.
    """
    asked = list(job_ids)
    if asked:
        call(["scontrol", "update", f"JobId={','.join(asked)}", "StartTime=now+2"], _SECONDS, environ)


def call(
    argv: Sequence[str], seconds: float, environ: Mapping[str, str] | None = None, text: str | None = None
) -> Answer:
    """Run one of Slurm's commands for `seconds` at most, `text` on its standard input.

    Of the user's defaults for it (SQUEUE_PARTITION, SCANCEL_STATE, ...) it sees nothing: they would hide jobs from it.
    Those of sbatch are the job's, whose script says which count (`script.environment`).
    """
    defaults = f"{argv[0].upper()}_"
    environ = os.environ if environ is None else environ
    if argv[0] != "sbatch":
        environ = {name: value for name, value in environ.items() if not name.startswith(defaults)}
    try:
        stdin = process.PIPE if text is not None else process.DEVNULL
        started = process.start(argv, env=environ, stdin=stdin, stdout=process.PIPE, stderr=process.PIPE)
    except OSError as error:
        return Answer(None, "", f"{argv[0]}: {error.strerror}")
    with started:
        late = ""
        try:
            out, err = started.communicate(text.encode() if text is not None else None, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.end_group(started.pid, 9)
            late = f"\nno answer within {seconds:g} s"
            out = err = b""
            with suppress(subprocess.TimeoutExpired):
                out, err = started.communicate(timeout=1)
    code = None if late else started.returncode
    return Answer(code, out.decode(errors="replace"), err.decode(errors="replace") + late)


def _squeue_line(line: str) -> tuple[str, State]:
    job, array, element, name, code, restarts, nodes, reason = (f.strip() for f in line.split("|")[: len(_FIELDS)])
    key = f"{array}_{element}" if whole(element) else job
    told = "" if reason in ("None", "N/A") else reason
    return key, State(name, told, _exit_code(code), nodes, int(restarts) if whole(restarts) else 0)


def _exit_code(text: str) -> int:
    """From the status that squeue gives as of waitpid (768), or as `3:0`, code and signal, as sacct does."""
    if whole(text):
        status = int(text)
        return 128 + (status & 127) if status & 127 else status >> 8
    code, _, signum = text.partition(":")
    if whole(signum) and int(signum):
        return 128 + int(signum)
    return int(code) if whole(code) else 0


def _accounting(jobs: Sequence[str], environ: Mapping[str, str] | None) -> Iterator[tuple[str, State]]:
    """Jobs that the controller has forgotten; none where the cluster keeps no accounts. Restarts are not told there."""
    form = "JobID,State,ExitCode,NodeList"
    argv = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(jobs)}", f"--format={form}"]
    answer = call(argv, _SECONDS, environ)
    for line in answer.out.splitlines() if answer.code == 0 else ():
        if line.count("|") == 3:
            job, name, code, nodes = line.split("|")
            yield job, State(name.split(" ")[0], "", _exit_code(code), nodes)  # "CANCELLED by 1000"


def _no_controller(answer: Answer) -> bool:
    signs = ("Unable to contact", "onnection refused", "cannot stat file", "timed out")
    return any(sign in answer.err for sign in signs)


def _unreachable(answer: Answer, tried: str) -> str:
    said = answer.said if answer.err.strip() else " ".join(answer.out.split("\n")[0].split())
    return (
        f"runtime=slurm: no Slurm cluster can be reached from here ({tried}: {said}). "
        "Submit from a login node of the cluster, or name its configuration with SLURM_CONF"
    )
