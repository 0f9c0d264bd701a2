"""The life of a job on its first node: from the start of its agents to the result, or to the next start."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from primus.launch import handle, outcome, rundirectory
from primus.launch.job import agents, requeue
from primus.launch.problems import JOB_FAILED
from primus.launch.record.files import read_json
from primus.node import allocation, clock, copies, guard, part, process, rundir
from primus.node.loop import Loop
from primus.node.plan import Plan, from_json

if TYPE_CHECKING:
    from primus.launch.running import Recorder

TRACKING = "PRIMUS_TRACKING_URI"
"""Variable with the address of MLflow, which ranks do not get; see slurm/submission.py."""

_LOOK = 0.1
"""Seconds between two looks at what the agent of this node has written."""
_LAST_WORDS = 1 / 6
"""For the agents that are left to say how their ranks ended, once one has lost another; as a part of `node.lost_after`.
Less than they wait for this process (survivor.py)."""


class FirstProcess:
    """Starts what the job needs, waits, and says how it ended. `recorded`: by a recorder of its own. `shared` are open
    files that this job's agent has in common with those of other jobs of this process."""

    def __init__(self, directory: Path, recorded: bool, shared: Sequence[int] = ()) -> None:
        self._directory, self._shared = directory, shared
        self._job_id = allocation.job(os.environ)
        self._restart = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        self._started = clock.steady()
        self._ended_by: int | None = None
        self._uri = os.environ.pop(TRACKING, None)
        self._loop = Loop()
        self._loop.on_signals(
            [signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], self._take_signal
        )
        if self._restart or (directory / rundir.node_facts(0)).exists():
            from primus.launch import attempts  # here, as below: what most jobs do not need costs each one time

            attempts.requeued(directory)
        for name in (rundir.STOP, rundir.KILL, rundir.ORPHANED):  # of an earlier start
            (directory / name).unlink(missing_ok=True)
        self._plan: Plan = from_json((directory / rundir.PLAN).read_text(encoding="utf-8"))
        self._settings: dict[str, Any] = self._plan.config["runtime"]
        self._tracking: dict[str, Any] = self._plan.config["tracking"]
        self._recorded = recorded and bool(self._tracking["enabled"])
        self._recorder: Recorder | None = None
        self._seen = 0
        self._loses = self._given_up = self._stepped = False
        self._lifeline: int | None = None
        self._keep_handle()

    @property
    def told_to_end(self) -> bool:
        """Whether a signal said so."""
        return self._ended_by is not None

    def close(self) -> None:
        """Take the signals that have come by now, and leave nothing open: another job may follow in this process."""
        self._loop.after(0.0, lambda: None)
        self._loop.turn()
        self._loop.close()

    def run(self) -> int:
        """The exit code of the job: that of the rank that failed first, so that Slurm shows it."""
        if self._settings.get("requeue") and self._restart > int(self._settings["max_restarts"]):
            return self._once_too_often()
        status = self._run_agents()
        report = self._report()
        if report.lost and self._is_itself_lost():
            return 1
        why = requeue.reason(report, self._settings, self._restart, requeue.steps(self._plan))
        if why and self._start_again(why):
            return 0
        told = requeue.told(self._job_id) if report.told_to_end else None
        if told and self._settings.get("requeue") and (told.again or report.lost):
            self._say("INFO", f"Slurm ends this start ({told.why}) and will start the job again")
            self._leave_record()
            return 0
        if told and told.limit and self._start_after_limit(report, told):
            return 0
        self._say("INFO", f"the agents ended with {status}")
        return self._end(self._result(report, told))

    def _result(self, report: requeue.Report, told: requeue.Told | None) -> dict[str, Any]:
        message = f"Slurm ended job {self._job_id}: {told.why}" if told else self._message(report)
        result = outcome.summary(self._directory, self._started, clock.steady(), told is not None, message)
        used_up = requeue.used_up(report, self._settings, self._restart, requeue.steps(self._plan))
        if used_up and not told:
            result["message"] = used_up
            if result["status"] == "FINISHED":  # it saved and ended as it was asked to, but is not done
                result |= {"status": "FAILED", "exit_code": JOB_FAILED}
        return result

    def _end(self, result: dict[str, Any]) -> int:
        """Write the result, unless another node has, in the place of this one; the exit code of the job."""
        written = read_json(self._directory / rundir.RESULT)
        if outcome.SURVIVOR in written:
            self._say("WARN", f"node {written[outcome.SURVIVOR]} took this one for lost and has ended the job")
            result = written
        else:
            result = outcome.close(self._directory, result)
            self._say("INFO", f"the run is {result['status']}")
        if self._recorded:
            self._record().finish(lambda: self._ended_by is not None)
        return exit_code(result)

    def _once_too_often(self) -> int:
        """Slurm starts a job that it preempts again by itself, however often."""
        most = self._settings["max_restarts"]
        step, metrics = outcome.last_metrics(self._directory)
        at = f" at step {step}" if step is not None else ""
        message = (
            f"not done{at}, this is start {self._restart + 1}: runtime.max_restarts={most} allows no further start"
        )
        known = {"started": self._started, "ended": clock.steady(), "step": step, "metrics": metrics}
        return self._end({**known, "status": "FAILED", "exit_code": JOB_FAILED, "message": message, "root_cause": None})

    def _is_itself_lost(self) -> bool:
        """Whether this node, which misses others, reaches Slurm no more either: then those end the job, or Slurm does.

        Meanwhile nobody records here, for a survivor's result is recorded by whoever finds it.
        """
        self._leave_record()
        if requeue.in_touch(self._job_id):
            return False
        self._say("ERROR", "this node has lost the others and cannot ask Slurm: it is the one that is lost")
        return True

    def _run_agents(self) -> int:
        """Start them and wait for their end; the shell's exit code of what was started."""
        watched = bool(self._settings.get("requeue"))
        self._stepped = agents.by_srun(self._plan, watched)
        poll = self._start_step() if self._stepped else self._start_agent()
        if self._ended_by is not None:
            self._take_signal(self._ended_by)
        look_no_more = self._loop.every(_LOOK, self._look)
        while poll() is None and not self._given_up:
            self._loop.turn()
        look_no_more()  # the record may be left to the next start, while this one waits for its end
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        status = poll()
        if status is None:
            return process.BROKEN
        return status if status >= 0 else 128 - status

    def _start_step(self) -> Callable[[], int | None]:
        argv = agents.step(self._plan, self._directory, os.environ)
        step = process.start(argv, cwd=self._plan.job.directory, stdout=None)
        self._say("INFO", f"job {self._job_id} started {' '.join(argv)}")
        return step.poll

    def _start_agent(self) -> Callable[[], int | None]:
        theirs, self._lifeline = os.pipe()
        words = (*agents.words(self._directory, "0"), "--lifeline", str(theirs))
        signal.pthread_sigmask(signal.SIG_BLOCK, guard.handled())  # the guard unblocks them, once it has handlers
        agent = copies.start(
            lambda: part.run(words, self._plan), cwd=self._plan.job.directory, pass_fds=(theirs, *self._shared)
        )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, guard.handled())
        os.close(theirs)
        self._say("INFO", f"job {self._job_id} started the agent of its node: {' '.join(words)}")
        return agent.poll

    def _take_signal(self, number: int) -> None:
        """SIGUSR1 asks the ranks to save and end; any other ends them. Slurm itself tells the tasks of a step.

        It may tell an agent beside this process too. By the lifeline the agent knows it from a second request.
        """
        if number == signal.SIGUSR1:
            self._say("INFO", "asked to stop early: the time limit or a preemption is near")
            rundir.write_text(self._directory / rundir.STOP, "SIGUSR1\n")
        elif number != signal.SIGCHLD:
            self._ended_by = number
            if self._lifeline is not None:
                with suppress(BrokenPipeError):
                    os.write(self._lifeline, bytes([signal.SIGTERM]))

    def _look(self) -> None:
        """Record once the ranks run, whose start the recorder's imports would slow; notice a step that cannot end."""
        facts = self._directory / rundir.node_facts(0)
        try:
            changed = facts.stat().st_mtime_ns
        except OSError:
            return
        if self._recorded and not self._recorder:
            self._record()
        if not self._stepped or self._loses:
            return
        self._loses = (self._directory / rundir.ORPHANED).exists()
        if changed != self._seen:
            self._seen = changed
            self._loses |= bool((read_json(facts).get("outcome") or {}).get("lost"))
        if self._loses:
            self._loop.after(_LAST_WORDS * self._plan.job.lost_after, self._give_up)

    def _give_up(self) -> None:
        """srun waits for the lost node until Slurm misses it too, which may take minutes; or, where it is the agent of
        this one that others miss, for those, who wait for this process."""
        self._given_up = True

    def _record(self) -> "Recorder":
        from primus.launch.running import Recorder

        self._recorder = self._recorder or Recorder(self._directory, self._uri, float(self._tracking["wait"]))
        return self._recorder

    def _start_again(self, why: str) -> bool:
        """Have Slurm start the job again; False where it does not, and the end is to be told instead."""
        self._leave_record()
        self._say("INFO", f"{why}: requeued, for start {self._restart + 2}")
        print(f"primus: {why}; the job goes back into the queue", flush=True)
        if not requeue.requeue(self._job_id):
            self._say("ERROR", "Slurm does not take the job back")
            return False
        late: list[bool] = []
        self._loop.after(requeue.PATIENCE, lambda: late.append(True))
        while self._ended_by is None and not late:
            self._loop.turn()
        return True

    def _start_after_limit(self, report: requeue.Report, told: requeue.Told) -> bool:
        """From the last checkpoint: the ranks have not saved when they were asked to."""
        if not requeue.out_of_time(report, self._settings, self._restart, requeue.steps(self._plan)):
            return False
        self._leave_record()
        self._say("INFO", f"{told.why}: requeued, for start {self._restart + 2}")
        print(f"primus: {told.why}; the job goes back into the queue", flush=True)
        return requeue.requeue(self._job_id, ending=True)

    def _leave_record(self) -> None:
        """The recorder of the next start goes on where this one was."""
        if self._recorder:
            self._recorder.abandon()
            self._recorder = None

    def _report(self) -> requeue.Report:
        told = self._ended_by is not None
        found = outcome.summary(self._directory, self._started, clock.steady(), False, None)
        stopped = (self._directory / rundir.STOP).exists()
        lost = requeue.node_lost(self._directory, self._plan.job.nodes, told)
        return requeue.Report(found["status"], str(found["message"]), found["step"], lost, stopped, told)

    def _message(self, report: requeue.Report) -> str | None:
        return "stopped on request" if report.asked_to_stop and report.status == "FINISHED" else None

    def _keep_handle(self) -> None:
        """What the launcher could not know; where it was killed too soon, which job this is."""
        job_id, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        known = handle.of(self._directory) or handle.ours("slurm")
        here = replace(known, job_id=job_id or self._job_id, array_index=int(index) if index else None)
        handle.write(self._directory, replace(here, cluster=known.cluster or os.environ.get("SLURM_CLUSTER_NAME")))

    def _say(self, level: str, text: str) -> None:
        rundirectory.log(self._directory, level, text)


def exit_code(result: dict[str, Any]) -> int:
    """For Slurm: the root cause's own exit code where a rank failed, else that of the run."""
    cause = result.get("root_cause") or {}
    if result["status"] == "FAILED" and cause.get("exit_code"):
        return int(cause["exit_code"])
    return int(result["exit_code"])


def main(directory: Path, recorded: bool) -> int:
    """Run the job; what keeps it from running at all is said in its log."""
    try:
        return FirstProcess(directory, recorded).run()
    except (OSError, ValueError, KeyError) as error:
        print(f"primus: the job in {directory} cannot run: {error}", file=sys.stderr)
        return 2
