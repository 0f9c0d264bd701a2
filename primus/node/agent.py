"""The node agent: one on each node, it runs that node's part of a plan, from its environment to its outcome."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, List, Optional

from primus.node import host, log, process, rundir
from primus.node.arguments import Arguments
from primus.node.console import Console, Show, prefixed
from primus.node.devices import NoDevices
from primus.node.ending import Requests
from primus.node.environment import recorded
from primus.node.facts import Facts, add_outcome
from primus.node.load import Load
from primus.node.loop import Loop
from primus.node.outcome import BAD_REQUEST, Outcome, judge, unfit
from primus.node.output import Output
from primus.node.packages import ask_packages
from primus.node.plan import Plan, from_json
from primus.node.prepare import Prepared, prepare
from primus.node.secrets import redactor
from primus.node.sidecar import Sidecar
from primus.node.supervise import Supervisor

# Seconds between SIGTERM and SIGKILL for processes that the ranks left behind, after the last rank has ended.
_LEFT_BEHIND = 1.0
# Seconds that the end of a job waits for the ranks' interpreter to name its packages: it had the whole job for it.
_PACKAGES = 2.0

Say = Callable[[str, str], None]


def run(arguments: Arguments, guard_pipe: int) -> int:
    """The agent's whole life; returns its exit code. `guard_pipe` is where the guard's requests come from."""
    directory = arguments.plan.parent
    try:
        plan = from_json(arguments.plan.read_text(encoding="utf-8"))
        _make_folders(directory, arguments.node_rank)
        say = _own_log(directory, arguments.node_rank)
    except (OSError, ValueError) as error:  # without a plan or a run directory there is no other place to say it
        print(f"primus: the node agent cannot run {arguments.plan}: {error}", file=sys.stderr)
        return BAD_REQUEST
    facts = Facts(directory, arguments.node_rank, say)
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
    try:
        part = prepare(plan, arguments.plan.parent, arguments.node_rank, arguments.devices, os.environ)
    except NoDevices as error:
        return unfit(str(error))
    except ValueError as error:
        return unfit(str(error), BAD_REQUEST)
    if part.warning:
        say(part.warning, "WARN")
    facts.found(part.cpu, part.devices, part.world, recorded(part.environment, part.base))
    try:
        watch = _Watch(plan, part, arguments, guard_pipe, facts, say)
    except OSError as error:
        return unfit(f"--lifeline {arguments.lifeline} is no pipe that this process has: {error.strerror}", BAD_REQUEST)
    return watch.run()


class _Watch:
    """The loop around the ranks, with everything that hangs on it."""

    def __init__(
        self, plan: Plan, part: Prepared, arguments: Arguments, guard_pipe: int, facts: Facts, say: Say
    ) -> None:
        self._plan, self._part, self._facts, self._say = plan, part, facts, say
        self._directory = arguments.plan.parent
        self._loop = Loop()
        self._console = Console(self._loop)
        self._ranks = Supervisor(self._loop, plan.job.grace_period, say)
        self._requests = Requests(self._loop, self._ranks, say)
        self._requests.watch_guard(guard_pipe)
        if arguments.lifeline is not None:
            self._requests.watch_lifeline(arguments.lifeline)

    def run(self) -> Outcome:
        """Start, watch, and clean up after, all ranks of this node."""
        process.adopt_orphans()
        memory_ran_out = host.out_of_memory_kills()
        trouble = self._start_ranks()
        self._facts.write()
        packages = None if trouble else self._ask_packages()
        load = self._watch_load()
        self._wait(packages)
        for helper in (packages, load):
            if helper:
                helper.stop()
        self._end_left_behind([helper.pid for helper in (packages, load and load.smi) if helper])
        ends = self._ranks.finish()
        self._console.finish()
        self._loop.close()
        memory_ran_out = host.out_of_memory_kills() - memory_ran_out
        return trouble or judge(ends, self._requests.reason, self._requests.code, memory_ran_out > 0)

    def _start_ranks(self) -> Optional[Outcome]:
        secrets = self._part.secrets
        redact = redactor(secrets)
        overlap = max((len(os.fsencode(secret)) for secret in secrets), default=0)
        for command in self._part.commands:
            source = f"{host.name()} r{command.rank}"
            output = Output(source, str(self._directory / command.log), redact, overlap, self._show(command.rank))
            try:
                self._ranks.start(command, output)
            except (OSError, ValueError) as error:
                self._ranks.kill()
                return unfit(_cannot_start(command.argv[0], command.directory, error))
        return None

    def _show(self, rank: int) -> Optional[Show]:
        if rank not in self._part.shown:
            return None
        return self._console.show if len(self._part.shown) == 1 else prefixed(self._console.show, rank)

    def _ask_packages(self) -> Optional[Sidecar]:
        command = self._part.commands[0]

        def answer(told: "dict[str, object]") -> None:
            self._facts.interpreter(told)
            self._facts.write()

        return ask_packages(self._loop, command.argv, command.environ, command.directory, answer)

    def _watch_load(self) -> Optional[Load]:
        interval = self._plan.job.metrics_interval
        if interval <= 0:
            return None
        path = self._directory / rundir.host_metrics(self._part.world.node_rank)
        return Load(self._loop, path, interval, self._part.devices, self._say)

    def _wait(self, packages: Optional[Sidecar]) -> None:
        while self._ranks.running:
            self._loop.turn()
        until = time.monotonic() + _PACKAGES
        while packages and packages.running and not self._requests.reason and time.monotonic() < until:
            self._loop.turn()

    def _end_left_behind(self, helpers: List[int]) -> None:
        count, stuck = process.end_descendants(_LEFT_BEHIND, uncounted=helpers)
        if count:
            self._say(f"ended {count} process{'es' if count > 1 else ''} that the ranks had left behind", "WARN")
        if stuck:
            self._say(f"processes that do not end on SIGKILL: {', '.join(map(str, stuck))}", "ERROR")


def _make_folders(directory: Path, node_rank: int) -> None:
    for path in (rundir.agent_log(node_rank), rundir.node_facts(node_rank), rundir.host_metrics(node_rank)):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)


def _own_log(directory: Path, node_rank: int) -> Say:
    fd = os.open(directory / rundir.agent_log(node_rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    source = f"{host.name()} agent"

    def say(text: str, level: str = "INFO") -> None:
        with suppress(OSError):  # a full disk
            os.write(fd, log.line(text, time.time(), source, level))

    return say


def _cannot_start(program: str, directory: str, error: Exception) -> str:
    if not os.path.isdir(directory):
        return f"the working directory of the ranks is missing on this node: {directory}"
    if isinstance(error, FileNotFoundError):
        return f"the program of the ranks is not on this node: {program}"
    return f"the program of the ranks cannot be run: {program}: {getattr(error, 'strerror', None) or error}"
