"""The node agent: one on each node, it runs that node's part of a plan, from its environment to its outcome."""

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Union

from primus.node import host, log, process, rundir, starts
from primus.node.allocation import Allocation, of_slurm
from primus.node.arguments import Arguments
from primus.node.devices import NoDevices
from primus.node.ending import Requests
from primus.node.environment import recorded
from primus.node.facts import Facts, add_outcome
from primus.node.loop import Loop
from primus.node.outcome import BAD_REQUEST, Outcome, by_request, describe, judge, unfit
from primus.node.plan import Plan, from_json
from primus.node.prepare import Prepared, prepare
from primus.node.rendezvous import Meet, alone
from primus.node.restart import counted
from primus.node.starts import Conclude
from primus.node.supervise import Supervisor
from primus.node.typed import plain
from primus.node.watch import Say, Watch

if TYPE_CHECKING:
    from primus.node.hooks.stage import Share, Stage
    from primus.node.meeting import Nodes
    from primus.node.watchdog import Watchdog

# Seconds between SIGTERM and SIGKILL for processes that hooks have left running, after the last rank has ended.
_BESIDE = 1.0


def run(arguments: Arguments, guard_pipe: int, known: Optional[Plan] = None) -> int:
    """The agent's whole life; returns its exit code. `guard_pipe` is where the guard's requests come from, `known` the
    plan where it has been read."""
    directory = arguments.plan.parent
    try:
        plan = known or from_json(arguments.plan.read_text(encoding="utf-8"))
        _make_folders(directory, arguments.node_rank)
        say = _own_log(directory, arguments.node_rank)
    except (OSError, ValueError) as error:  # without a plan or a run directory there is no other place to say it
        print(f"primus: the node agent cannot run {arguments.plan}: {error}", file=sys.stderr)
        return BAD_REQUEST
    facts = Facts(directory, arguments.node_rank, say)
    if plan.container and plan.container.engine == "pyxis":  # of another the one outside tells
        from primus.node.container import pyxis

        facts.add({"container": pyxis.identity(plan.container)})
    outcome = _run(plan, arguments, guard_pipe, facts, say)
    say(f"{outcome.status}" + (f": {outcome.message}" if outcome.message else ""), "INFO")
    facts.write(outcome)
    return outcome.exit_code


def lost(arguments: Arguments, code: int) -> None:
    """Called by the guard when the agent was killed or broke: say so, where the launch side looks for the outcome."""
    how = process.signal_name(code)
    message = f"the node agent was ended by {how}" if how else "the node agent broke (a fault of Primus: see above)"
    print(f"primus: {message}; its ranks were ended", file=sys.stderr)
    with suppress(OSError, ValueError):
        add_outcome(arguments.plan.parent, arguments.node_rank, Outcome("failed", code, message, None, ()))


def _run(plan: Plan, arguments: Arguments, guard_pipe: int, facts: Facts, say: Say) -> Outcome:
    trouble = host.pin(arguments.cores) if arguments.cores is not None else None
    if trouble:
        return unfit(trouble)
    stop_file = arguments.plan.parent / rundir.STOP
    if arguments.node_rank == 0:  # before any rank of any node starts: it was an earlier start that was asked to stop
        stop_file.unlink(missing_ok=True)
        (arguments.plan.parent / rundir.KILL).unlink(missing_ok=True)
    agent = _Agent(plan, arguments, facts, say)
    try:
        agent.listen_to(guard_pipe, arguments.lifeline)
    except OSError as error:
        return unfit(f"--lifeline {arguments.lifeline} is no pipe that this process has: {error.strerror}", BAD_REQUEST)
    outcome = agent.run()
    if outcome.status == "finished" and stop_file.exists():
        outcome = replace(outcome, message="stopped on request")
    return counted(outcome, agent.restarts)


class _Agent:
    """One node's part of a plan, alone or with those of other nodes."""

    def __init__(self, plan: Plan, arguments: Arguments, facts: Facts, say: Say) -> None:
        self._plan, self._arguments, self._facts, self._say = plan, arguments, facts, say
        self._directory = arguments.plan.parent
        self._loop = Loop()
        self._ranks = Supervisor(self._loop, plan.job.grace_period, say)
        self._requests = Requests(self._loop, self._ranks, self._directory / rundir.STOP, say)
        interval, loop, requests = plan.job.metrics_interval, self._loop, self._requests
        self._watch = Watch(self._directory, interval, loop, self._ranks, requests, facts, say, self._watchdog)
        self._starts = starts.Starts(plan, self._directory, self._watch, loop, requests, facts, say)
        self._hooks = self._stage() if plan.hooks else None
        self._others: Optional[Nodes] = None

    def listen_to(self, guard_pipe: int, lifeline: Optional[int]) -> None:
        """Where requests come from beside signals; raises OSError when `lifeline` is not open."""
        self._requests.watch_guard(guard_pipe)
        if lifeline is not None:
            self._requests.watch_lifeline(lifeline)

    @property
    def restarts(self) -> int:
        """How often the ranks have started again."""
        return self._starts.restarts

    def run(self) -> Outcome:
        """Meet the other nodes, run this one's part, and leave when all have ended."""
        try:
            allocation = self._allocation()
        except ValueError as error:
            return unfit(str(error), BAD_REQUEST)
        if allocation is None:
            outcome = self._run_ranks(lambda ranks, asked, gpus: alone(self._plan.run_id, asked), starts.alone)
        else:
            outcome = self._run_among_others(allocation)
        self._watch.look_away()
        if self._hooks:
            self._hooks.after(outcome)
        self._loop.close()
        return outcome

    def _allocation(self) -> Optional[Allocation]:
        """The nodes of the job, None where this is the only one; raises ValueError where nothing says which."""
        nodes = self._plan.job.nodes
        if not self._arguments.slurm:
            if nodes > 1:
                raise ValueError(f"the plan has {nodes} nodes, and nothing says where they meet (--node-rank slurm)")
            return None
        found = of_slurm(os.environ, nodes)
        apart = self._plan.job.checks == "smoke" and not self._plan.job.command  # one sick node hinders no other
        return found if nodes > 1 and not apart else None

    def _run_among_others(self, allocation: Allocation) -> Outcome:
        from primus.node import first, meeting, other  # here: their import costs a node alone time for nothing

        job = self._plan.job
        hooks = sum(hook.timeout for hook in self._plan.hooks if hook.phase == "before")
        alike = job.alike == "error"
        party = meeting.Party(self._plan.run_id, allocation, job.meet_within, job.lost_after, hooks, alike)
        end: Callable[..., Union[first.First, other.Other]] = other.Other if allocation.node_rank else first.First
        others = self._others = end(party, self._loop, self._requests)
        self._requests.announce = lambda reason, code: others.tell(reason, code, killed=True)
        self._ranks.failed = lambda end: others.tell(describe(end), end.exit_code, killed=by_request([end]))
        self._facts.write()  # who has come, for whoever looks on
        try:
            others.meet()
            self._say(f"all {job.nodes} nodes have met", "INFO")
            self._facts.clock(others.offset)
            outcome = self._run_ranks(others.agree, others.conclude, others.share, others.offset)
        except meeting.Ended:
            outcome = judge((), self._requests.reason, self._requests.code, False)
        except meeting.NotMet as error:
            outcome = unfit(str(error))
        return others.part(outcome)

    def _run_ranks(
        self, meet: Meet, conclude: Conclude, share: "Optional[Share]" = None, clock_offset: float = 0.0
    ) -> Outcome:
        plan = self._plan
        if self._hooks:
            trouble = self._hooks.before(share)
            if trouble:
                return trouble
            plan = self._hooks.plan()
        part = self._prepare(plan, meet)
        if isinstance(part, Outcome):
            return part
        if plan.job.checks:
            from primus.node.checks import stage  # here: most jobs have none

            outcome = stage.run(plan, part, self._directory, self._loop, self._ranks, self._requests)
            if outcome or not part.commands:
                return outcome or judge((), None, 0, False)
        beside = self._hooks.background() if self._hooks else ()
        try:
            return self._starts.run(part, lambda: self._prepare(plan, meet), conclude, clock_offset, beside)
        finally:
            if beside:
                process.end_descendants(_BESIDE)

    def _prepare(self, plan: Plan, meet: Meet) -> Union[Prepared, Outcome]:
        """Ready the ranks for a start; an outcome where that cannot be."""
        arguments, facts = self._arguments, self._facts
        try:
            part = prepare(plan, self._directory, arguments.node_rank, arguments.devices, os.environ, meet)
        except NoDevices as error:
            return unfit(str(error))
        except ValueError as error:
            return unfit(str(error), BAD_REQUEST)
        for warning in part.warnings:
            self._say(warning, "WARN")
        facts.add(part.known())
        facts.found(part.cpu, part.devices, part.world, recorded(part.environment, part.base))
        if part.bindings:
            facts.add({"bindings": plain(part.bindings)})
        return part

    def _watchdog(self) -> "Optional[Watchdog]":
        """One for the ranks of one start."""
        settings = self._plan.job.watchdog
        if settings is None:
            return None
        from primus.node.watchdog import Watchdog  # here: its import costs a job without one time for nothing

        node, others = self._arguments.node_rank, self._others
        names = others.names if others else [f"node {node} ({host.name()})"]
        dog = Watchdog(settings, self._directory, node if others else 0, names, self._loop, self._ranks, self._say)
        if others:
            dog.say_to, others.aside = others.send, dog.hear
            dog.end = lambda message: others.tell(message, 1, killed=False)
        return dog

    def _stage(self) -> "Stage":
        from primus.node.hooks.stage import Stage  # here: most jobs have none

        plan, rank = self._plan, self._arguments.node_rank
        return Stage(plan, self._directory, rank, self._loop, self._ranks, self._requests, self._facts, self._say)


def _make_folders(directory: Path, node_rank: int) -> None:
    own = (rundir.agent_log(node_rank), rundir.node_facts(node_rank), rundir.host_metrics(node_rank))
    for path in (*own, rundir.heartbeat(0)):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)


def _own_log(directory: Path, node_rank: int) -> Say:
    fd = os.open(directory / rundir.agent_log(node_rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    source = f"{host.name()} agent"

    def say(text: str, level: str = "INFO") -> None:
        with suppress(OSError):  # a full disk
            os.write(fd, log.line(text, time.time(), source, level))

    return say
