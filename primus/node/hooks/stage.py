"""The hooks and patch files of a plan on one node: those before the ranks, and those after."""

import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node import environment, host, log, process, rundir
from primus.node.ending import Requests
from primus.node.facts import Facts
from primus.node.hooks import protocol
from primus.node.hooks.program import Program
from primus.node.hooks.protocol import Told
from primus.node.hooks.spec import SKIPPED
from primus.node.loop import Loop
from primus.node.outcome import BAD_REQUEST, Outcome, judge, unfit
from primus.node.plan import Hook, Plan, fill
from primus.node.secrets import is_secret, redactor, worth_masking
from primus.node.supervise import Supervisor

# Seconds of a hook's run after which the console says what it waits for.
_PATIENCE = 3.0
# Bytes; a larger artifact stays where it is: copying it would hold up the agent.
_LARGEST = 256 << 20
# Bytes of what hooks that run once ask for: it goes to the other nodes in one message.
_SHARED = 32 << 10

Say = Callable[[str, str], None]
Share = Callable[[Dict[str, Any]], Dict[str, Any]]


class Stage:
    """Runs them in the order of the plan. `directory` is the run directory."""

    def __init__(
        self, plan: Plan, directory: Path, node_rank: int, loop: Loop, children: Supervisor, requests: Requests,
        facts: Facts, say: Say,
    ) -> None:  # fmt: skip
        self._plan, self._directory, self._node_rank = plan, directory, node_rank
        self._loop, self._children, self._requests = loop, children, requests
        self._facts, self._say = facts, say
        self._told: List[Told] = []
        self._done: List[Dict[str, Any]] = []
        self._log = -1

    def before(self, share: Optional[Share]) -> Optional[Outcome]:
        """Run those before the ranks; an outcome where the job must not go on.

        `share` tells the other nodes what those that run once asked for, and raises for itself.
        """
        process.adopt_orphans()  # of what a hook leaves running
        for position, hook in self._own("before"):
            trouble = self._run(position, hook, {})
            if trouble:
                return trouble
        shares = share is not None and any(hook.once and hook.phase == "before" for hook in self._plan.hooks)
        return self._share(share) if share is not None and shares else None

    def after(self, outcome: Outcome) -> None:
        """Run those after the ranks, however these ended; one that fails is told and changes nothing."""
        how = {"PRIMUS_STATUS": outcome.status, "PRIMUS_EXIT_CODE": str(outcome.exit_code)}
        for position, hook in self._own("after"):
            trouble = self._run(position, hook, how)
            if trouble:
                self._say(trouble.message or "a hook failed", "ERROR")
                _show(f"primus: {trouble.message}")
        process.end_descendants(1.0)

    def plan(self) -> Plan:
        """The plan with what the hooks asked for."""
        plan, refused = protocol.applied(self._plan, self._told)
        for refusal in refused:
            self._warn(f"{refusal.what} of hook {refusal.hook} is not taken: {refusal.why}")
        return plan

    def background(self) -> List[int]:
        """Processes that hooks have left running beside the job."""
        return process.descendants(os.getpid())

    def _own(self, phase: str) -> List[Tuple[int, Hook]]:
        """Those of this node, with their place in the plan."""
        hooks = enumerate(self._plan.hooks)
        return [(i, h) for i, h in hooks if h.phase == phase and (self._node_rank == 0 or not h.once)]

    def _share(self, share: Share) -> Optional[Outcome]:
        once = [one for one in self._told if self._plan.hooks[one.position].once]
        message = {str(one.position): [one.environment, one.arguments] for one in once}
        if len(json.dumps(message)) > _SHARED:
            return unfit(f"hooks that run once ask for more than {_SHARED} bytes of variables and arguments")
        told = share(message)
        if self._node_rank != 0:
            names = [hook.name for hook in self._plan.hooks]
            self._told += [Told(int(i), names[int(i)], dict(env), dict(args)) for i, (env, args) in told.items()]
        return None

    def _run(self, position: int, hook: Hook, how: Mapping[str, str]) -> Optional[Outcome]:
        """Run one; an outcome where it did not end well."""
        kind = "patch" if hook.patch else "hook"
        file = self._directory / hook.file
        try:
            same = hashlib.sha256(file.read_bytes()).hexdigest() == hook.sha256
        except OSError as error:
            return unfit(f"{kind} {hook.name}: {file} cannot be read: {error.strerror}")
        if not same:
            return unfit(f"{kind} {hook.name}: {file} is not what the plan says (sha256 {hook.sha256[:12]})")
        environ = self._environ(hook, how)
        try:
            code, late, told, words, began = self._watch(position, hook, environ)
        except OSError as error:
            return unfit(f"{kind} {hook.name} cannot be started: {error.strerror or error}")
        except ValueError as error:
            return unfit(f"{kind} {hook.name}: {error}", BAD_REQUEST)
        self._note(hook, code, late, told, began)
        if how or not self._requests.reason:
            return self._judge(kind, hook, code, late, words)
        return judge((), self._requests.reason, self._requests.code, False)

    def _watch(
        self, position: int, hook: Hook, environ: Mapping[str, str]
    ) -> Tuple[int, bool, Told, Optional[str], float]:
        """Start it and serve the loop until it ends: code, whether it was late, what it told, its last words, when."""
        told, wrong, lines = Told(position, hook.name), [], []  # type: Told, List[str], List[str]
        known = [value for name, value in environ.items() if is_secret(name)]

        def line(text: str) -> None:
            nonlocal told
            try:
                told = told.line(text)
            except ValueError as error:
                wrong.append(str(error))
            redact = redactor(worth_masking([*known, *protocol.secrets([*self._told, told])]))
            shown = redact(protocol.masked(text).encode(errors="replace")).decode(errors="replace")
            self._write(shown, hook.name, log.level(shown.encode()))
            if not text.startswith(("env.", "extra.", "artifact.")):
                lines[:] = [*lines[-9:], shown]

        began = time.monotonic()
        argv = _argv(hook, self._directory)
        directory = str(self._working_directory())
        program = Program(self._loop, self._children, argv, environ, directory, hook.timeout, line)
        self._announce(hook, program)
        while program.code is None:
            self._loop.turn()
            if hook.phase == "before" and self._requests.reason:
                program.stop()
            if self._requests.impatient:
                program.kill()
        if wrong:
            raise ValueError(wrong[0])
        if program.code == 0:
            self._told.append(told)
        return program.code, program.late, told, protocol.last_words(lines), began

    def _judge(self, kind: str, hook: Hook, code: int, late: bool, words: Optional[str]) -> Optional[Outcome]:
        where = f"its output: {rundir.hooks_log(self._node_rank)}"
        if late:
            limit = f"took longer than {hook.timeout:g} s"
            return unfit(f"{kind} {hook.name} {limit} and was ended (set its timeout, or hooks.timeout); {where}")
        if code not in (0, SKIPPED):
            said = f": {words}" if words else ""
            return unfit(f"{kind} {hook.name} ended with exit code {code}{said}; {where}")
        return None

    def _note(self, hook: Hook, code: int, late: bool, told: Told, began: float) -> None:
        """What the run keeps of it, and the files that it wants to be kept."""
        status = "late" if late else {0: "done", SKIPPED: "skipped"}.get(code, "failed")
        self._say(f"{hook.phase} the ranks: {hook.name}: {status}", "INFO" if code in (0, SKIPPED) else "ERROR")
        kept = {name: self._keep(hook, name, path) for name, path in told.artifacts.items()} if code == 0 else {}
        self._done.append(
            {
                "name": hook.name, "phase": hook.phase, "patch": hook.patch, "sha256": hook.sha256, "status": status,
                "exit_code": code, "seconds": round(time.monotonic() - began, 3),
                "environment": sorted(told.environment), "arguments": sorted(told.arguments), "artifacts": kept,
            }
        )  # fmt: skip
        self._facts.add({"hooks": self._done})

    def _keep(self, hook: Hook, name: str, path: str) -> Optional[str]:
        """Copy a file into the run; returns where it is there, None where it is not."""
        source = self._working_directory() / path
        target = self._directory / rundir.ARTIFACTS / f"node-{self._node_rank}" / name
        what = f"artifact.{name} of hook {hook.name} is not kept: {source}"
        try:
            if source.stat().st_size > _LARGEST:
                self._warn(f"{what} is larger than {_LARGEST >> 20} MiB and stays there")
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            self._warn(f"{what}: {error.strerror or error}")
            return None
        return str(target.relative_to(self._directory))

    def _working_directory(self) -> Path:
        """That of hooks, as of the ranks."""
        return Path(fill(self._plan.job.directory, {"run_dir": str(self._directory)}))

    def _warn(self, text: str) -> None:
        """In both logs of the node."""
        self._say(text, "WARN")
        self._write(text, "agent", "WARN")

    def _environ(self, hook: Hook, how: Mapping[str, str]) -> Dict[str, str]:
        """What the ranks get as far as it is known, and what the hook is to know of the job."""
        plan = protocol.applied(self._plan, self._told)[0]
        values = {
            "run_dir": str(self._directory),
            "run_id": plan.run_id,
            "node_rank": str(self._node_rank),
            "package": str(Path(__file__).resolve().parents[2]),
        }
        given = environment.overlay(os.environ, plan.environment)
        first = fill(plan.job.command[0], values)
        python = {"PRIMUS_RANK_PYTHON": first} if "python" in os.path.basename(first) else {}
        return {
            **{name: fill(value, values) for name, value in given.items()},
            **python,
            "PRIMUS_RUN_DIR": str(self._directory),
            "PRIMUS_RUN_ID": plan.run_id,
            "PRIMUS_TASK": plan.task,
            "PRIMUS_BACKEND": plan.backend,
            "PRIMUS_NODES": str(plan.job.nodes),
            "PRIMUS_NODE_RANK": str(self._node_rank),
            "PRIMUS_HOOK": hook.name,
            "PRIMUS_HOOK_ORIGIN": hook.origin,
            "PYTHONUNBUFFERED": "1",
            **how,
        }

    def _announce(self, hook: Hook, program: Program) -> None:
        """The console shows ranks alone: where it waits for a hook it must say so."""

        def tell() -> None:
            if program.code is None:
                where = self._directory / rundir.hooks_log(self._node_rank)
                _show(f"primus: waiting for {hook.name}; what it says is in {where}")

        if self._node_rank == 0 and self._plan.job.console_ranks != "none":
            self._loop.after(_PATIENCE, tell)

    def _write(self, text: str, source: str, level: str) -> None:
        with suppress(OSError):  # a full disk
            if self._log < 0:
                path = self._directory / rundir.hooks_log(self._node_rank)
                self._log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.write(self._log, log.line(text, time.time(), f"{host.name()} {source}", level))


def _argv(hook: Hook, directory: Path) -> Sequence[str]:
    file = str(directory / hook.file)
    if hook.call:
        return [sys.executable, str(Path(__file__).with_name("call.py")), file, hook.call, hook.phase]
    return [sys.executable if file.endswith(".py") else shutil.which("bash") or "sh", file]


def _show(text: str) -> None:
    with suppress(OSError):
        print(text, flush=True)
