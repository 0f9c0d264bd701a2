"""The starts of a node's ranks: after a failure all ranks of all nodes end, and start again in the same run."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from primus.node import clock, host, log, progress, rundir
from primus.node.ending import Requests
from primus.node.facts import Facts
from primus.node.loop import Loop
from primus.node.outcome import Outcome, judge, unfit
from primus.node.plan import WORKERS, Plan
from primus.node.prepare import Prepared
from primus.node.restart import NO_MORE, Part, Policy, Verdict, repeatable
from primus.node.typed import plain
from primus.node.watch import Say, Watch

Decide = Callable[[Mapping[int, Part]], Verdict]
Conclude = Callable[[Part, Decide], Verdict]
"""How a node learns what follows a start, from its own part of it; node 0 is given what decides for all."""


def alone(part: Part, decide: Decide) -> Verdict:
    """Of a job of one node."""
    return decide({0: part})


class Starts:
    """Starts the ranks of a node, and again after a failure, as the plan allows. `restarts`: how often so far."""

    def __init__(
        self, plan: Plan, directory: Path, watch: Watch, loop: Loop, requests: Requests, facts: Facts, say: Say
    ) -> None:
        self.restarts = 0
        self._plan, self._job, self._directory = plan, plan.job, directory
        self._workers = WORKERS in plan.job.command
        self._stop = directory / rundir.STOP
        self._watch, self._loop, self._requests = watch, loop, requests
        self._facts, self._say = facts, say
        self._policy = Policy(plan.job.restarts, plan.job.restart_backoff, self._workers)
        self._ended: List[Dict[str, Any]] = []

    def run(
        self,
        part: Prepared,
        prepare: Callable[[], Union[Prepared, Outcome]],
        conclude: Conclude,
        clock_offset: float,
        beside: Sequence[int],
    ) -> Outcome:
        """Run the ranks to the end of their last start. `prepare` readies them once more, or says why it cannot be.

        `clock_offset` (seconds) makes this node's clock that of node 0; processes of hooks are `beside` the ranks.
        """
        while True:
            sizes = {rank: progress.mend(self._directory, rank) for rank in part.world.ranks}
            began = clock.steady()
            outcome = self._run(part, beside)
            if not self._job.restarts:
                return outcome
            asked, step = self._requests.asked, progress.last_step(self._directory, sizes)
            self._keep({"start": len(self._ended) + 1, "began": began, "step": step, **plain(outcome)})
            verdict = conclude(self._told(outcome, step, clock_offset), self._decide)
            if verdict.start is None:
                return self._last(outcome, verdict, asked is None)
            self._mark(verdict, part, step)
            again = prepare()
            trouble = again if isinstance(again, Outcome) else _changed(part, again)
            if trouble:
                return trouble
            assert isinstance(again, Prepared)
            part = again

    def _run(self, part: Prepared, beside: Sequence[int]) -> Outcome:
        """One start. Ranks of another node may have failed before those of this one were started at all."""
        if self._requests.reason:
            return judge((), self._requests.reason, self._requests.code, False)
        return self._watch.run(part, beside)

    def _keep(self, start: Dict[str, Any]) -> None:
        self._ended.append(start)
        self._facts.add({"starts": self._ended})
        if start["status"] != "finished":
            self._facts.write()

    def _told(self, outcome: Outcome, step: Optional[int], clock_offset: float) -> Part:
        """What node 0 is to know of this node's part of a start."""
        cause = outcome.root_cause
        when = (cause.time if cause else clock.steady()) + clock_offset
        final = self._requests.asked is not None or not repeatable(outcome, self._workers)
        return Part(outcome.status, outcome.message or outcome.status, when, step, final or self._stop.exists())

    def _decide(self, parts: Mapping[int, Part]) -> Verdict:
        """On node 0, once all nodes have told: whether there is a next start. Waits until it is due."""
        if len(parts) < self._job.nodes:
            return NO_MORE
        self._requests.renew()
        self._watch.look_away()
        verdict = self._policy.decide(parts.values())
        if verdict.start is None:
            if verdict.words:
                self._announce(verdict.words)
            return verdict
        count = f"start {verdict.start} of {self._job.restarts + 1} in {verdict.seconds:g} s"
        self._announce(f"{verdict.words}; {count}{_whence(progress.saved_step(self._plan, self._directory))}")
        until = time.monotonic() + verdict.seconds
        self._loop.after(verdict.seconds, lambda: None)
        # Ranks that are asked to stop meanwhile start at once: theirs is to save and end in good order.
        while time.monotonic() < until and not self._requests.reason and not self._stop.exists():
            self._loop.turn()
        return NO_MORE if self._requests.reason else verdict

    def _last(self, outcome: Outcome, verdict: Verdict, was_not_asked: bool) -> Outcome:
        """The outcome of the job on this node."""
        asked = self._requests.asked
        if asked and was_not_asked and outcome.status != "finished":  # while it waited for the next start
            return Outcome("killed", asked[1], asked[0], None, outcome.ranks)
        if outcome.status == "failed" and verdict.words:
            return replace(outcome, message=f"{outcome.message}; {verdict.words}")
        return outcome

    def _announce(self, text: str) -> None:
        """Node 0 tells what follows, where people look."""
        self._say(text, "WARN")
        if self._job.console_ranks != "none":
            self._watch.show(f"primus: {text}\n")
        _append(self._directory / rundir.LAUNCH_LOG, log.line(text, time.time(), "agent", "WARN"))

    def _mark(self, verdict: Verdict, part: Prepared, step: Optional[int]) -> None:
        """Note the next start in the logs of the ranks, in the metrics and in the facts."""
        assert verdict.start
        self.restarts = verdict.start - 1
        text = f"--- start {verdict.start} of {self._job.restarts + 1}, after: {verdict.words} ---"
        self._say(text, "INFO")
        for command in part.commands:
            line = log.line(text, time.time(), f"{host.name()} r{command.rank}", "WARN")
            _append(self._directory / command.log, line)
        if part.world.node_rank == 0:
            saved = progress.saved_step(self._plan, self._directory)
            with suppress(OSError):  # a full disk
                progress.note_restart(self._directory, 0, self.restarts, saved if saved is not None else step or 0)
        self._facts.add({"restarts": self.restarts})
        self._facts.write()


def _changed(before: Prepared, now: Prepared) -> Optional[Outcome]:
    """Trouble, where the node has other ranks than it had: a GPU has gone, and the job would be another one."""
    if before.world.size == now.world.size and before.world.ranks == now.world.ranks:
        return None
    had, has = before.devices.count, now.devices.count
    return unfit(f"the node has {has} devices now, and had {had} when the job started: it is not started again")


def _whence(saved: Optional[int]) -> str:
    if saved is None:
        return ""
    return f", from the checkpoint of step {saved}" if saved else ", from the beginning: there is no checkpoint"


def _append(path: Path, line: bytes) -> None:
    with suppress(OSError), path.open("ab", buffering=0) as file:  # a full disk ends no job
        file.write(line)
