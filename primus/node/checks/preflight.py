"""All checks of one node, and at node 0 those of all nodes beside each other."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from primus.node import devices, host, rundir
from primus.node.checks import compare, fabric, gpus, hosts, links, said, software, star, storage
from primus.node.checks.compare import Placed
from primus.node.checks.finding import FAIL, Finding, Notes, Report, Settings
from primus.node.checks.links import Link
from primus.node.outcome import UNFIT
from primus.node.typed import plain, read

_PORT = "NCCL, Gloo or JAX could not meet there"


class Preflight:
    """One node of a preflight. `began` is when it did, by the monotonic clock."""

    def __init__(self, settings: Settings, run_dir: Path, node: int, nodes: int, began: float) -> None:
        self._settings, self._run_dir, self._node, self._nodes = settings, run_dir, node, nodes
        self._until = began + settings.within
        self._began = began
        self._master = os.environ.get("MASTER_ADDR", "127.0.0.1")
        self._own = Report(node, host.name())

    def run(self) -> int:
        """Check this node, then with the others; the exit code."""
        self._alone()
        try:
            verdict = self._follow() if self._node else self._lead()
        finally:
            storage.unmark(self._settings, self._node)
        report = self._run_dir / rundir.checks_report(self._node, "preflight")
        rundir.write_json(report, {**verdict, "report": plain(self._own)})
        return 0 if verdict["passed"] else UNFIT

    def _alone(self) -> None:
        """What this node can tell by itself; the ranks' interpreter, which takes longest, runs beside the rest."""
        wanted = self._settings.checks
        found: List[Notes] = []
        if "gpu" in wanted:  # before the probe: that is a process on the GPUs too
            found += [gpus.check(self._settings)]
        ask = {"software", "gpu"} & set(wanted)
        probe = software.Probe(self._settings, str(self._run_dir)) if ask else None
        if "host" in wanted:
            found += [hosts.check()]
        if "network" in wanted:
            some = devices.detect(self._settings.gpu, os.environ).count > 0
            found += [fabric.check(self._nodes, some, self._master), *self._port()]
        if "storage" in wanted:
            found += [storage.check(self._settings, self._node)]
        if probe:
            told = probe.finish(self._until - time.monotonic() - 0.2 * self._settings.within)
            found += [notes for notes in software.check(self._settings, *told) if notes.area in wanted]
        for notes in found:
            self._add(notes)

    def _add(self, notes: Notes) -> None:
        findings, facts = (*self._own.findings, *notes.findings), (*self._own.facts, *notes.facts)
        self._own = replace(self._own, findings=findings, facts=facts)

    def _port(self) -> List[Notes]:
        """Whether the ranks can listen where they are to meet."""
        notes, port = Notes("network"), int(os.environ.get("MASTER_PORT", "0"))
        if self._node == 0 and port:
            try:
                socket.create_server(("", port)).close()
                notes.info("MASTER_PORT", f"{port} is free")
            except OSError as error:
                seen = f"{port}: {(error.strerror or '').lower()}; {_PORT}"
                notes.fail("MASTER_PORT", seen, "free", "env.set.MASTER_PORT=<another>, or leave it to Primus")
        return [notes]

    def _follow(self) -> Dict[str, Any]:
        """At another node than 0: answer what that one asks."""
        server = links.Server(self._settings.run_id)
        hello = {"node": self._node, "report": plain(self._own), "port": server.port}
        try:
            within = self._until - time.monotonic()
            line = star.reach(self._settings.run_id, self._master, hello, within, self._until)
            while "verdict" not in (asked := line.wait()):
                line.tell(self._answer(asked))
            verdict: Dict[str, Any] = asked["verdict"]
            return verdict
        except (OSError, ValueError) as error:
            message = f"{self._own.host} lost touch with node 0 ({self._master}): {error or 'connection closed'}"
            return {"passed": False, "message": message}
        finally:
            server.close()

    def _answer(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        if "clock" in asked:
            return {"time": time.time()}
        if "peers" in asked:
            self._peers: List[Tuple[str, int]] = [(str(a), int(p)) for a, p in asked["peers"]]
            notes = self._see_others()
            return {"findings": plain(notes.findings), "links": plain(self._reach())}
        return {"links": plain(self._transfer(asked["pairs"]))}

    def _see_others(self) -> Notes:
        return storage.shared(self._settings, self._node, self._nodes - 1 if "storage" in self._settings.checks else 0)

    def _reach(self) -> List[Link]:
        """To every other node: a firewall may let one way pass alone."""
        if "network" not in self._settings.checks:
            return []
        targets = [n for n, (address, _) in enumerate(self._peers) if n != self._node and address]
        return links.reached(self._settings.run_id, self._node, self._peers, targets)

    def _transfer(self, pairs: Sequence[Sequence[int]]) -> List[Link]:
        size = self._settings.megabytes << 20
        return [links.measure(self._settings.run_id, a, b, self._peers[b], size) for a, b in pairs if a == self._node]

    def _lead(self) -> Dict[str, Any]:
        """At node 0: ask the others, compare, and give out the verdict."""
        reports: Dict[int, Report] = {0: self._own}
        placed: List[Placed] = []
        measured: List[Link] = []
        lines: Dict[int, star.Line] = {}
        if self._nodes > 1:
            server = links.Server(self._settings.run_id)
            within = 0.5 * (self._until - time.monotonic())
            lines, hellos = star.gather(self._settings.run_id, self._nodes - 1, within, self._until)
            reports.update({n: read(Report, hello["report"]) for n, hello in sorted(hellos.items())})
            placed, measured = self._together(lines, {n: int(h["port"]) for n, h in hellos.items()}, server.port)
            server.close()
        names = [reports[n].host if n in reports else f"node {n}" for n in range(self._nodes)]
        for n in range(self._nodes):
            if n not in reports:
                mend = "its log in the run directory says how far it came"
                lost = Finding("network", "answer", FAIL, "none", "an answer to node 0", mend)
                placed.append((n, lost))
        placed += [*compare.odd_ones(list(reports.values())), *links.judge(measured, names)]
        placed = [*((n, f) for n, report in sorted(reports.items()) for f in report.findings), *placed]
        found = said.Found(names, placed, measured, time.monotonic() - self._began)
        said.write(found, self._run_dir)
        verdict = said.verdict(found)
        for line in lines.values():
            with suppress(OSError):
                line.tell({"verdict": verdict})
                line.close()
        return verdict

    def _together(
        self, lines: Dict[int, star.Line], ports: Dict[int, int], port: int
    ) -> Tuple[List[Placed], List[Link]]:
        """What several nodes find: clocks, the same directories, links. A node that falls silent is left out."""
        placed: List[Placed] = []
        offsets: Dict[int, Tuple[float, float]] = {}
        for n in sorted(lines):
            with _Excused(n, lines, placed):
                offsets[n] = star.offset(lines[n])
        if "host" in self._settings.checks:
            placed += compare.clocks(offsets, self._own.host)
        ours = next((line.ours for line in lines.values()), self._master)
        self._peers = [(lines[n].theirs, ports[n]) if n in lines else ("", 0) for n in range(self._nodes)]
        self._peers[0] = (ours, port)
        measured = self._ask({"peers": self._peers}, lines, placed)
        if self._settings.megabytes and "network" in self._settings.checks:
            reached = {(link.source, link.target) for link in measured if link.ms is not None}
            measured = [link for link in measured if link.ms is None]
            for pairs in links.rounds(self._nodes):
                pairs = [pair for pair in pairs if pair in reached]
                measured += self._ask({"pairs": pairs}, lines, placed)
        return placed, measured

    def _ask(self, question: Dict[str, Any], lines: Dict[int, star.Line], placed: List[Placed]) -> List[Link]:
        """Ask all, this node too, and collect what they measured and found."""
        measured: List[Link] = []
        for n in sorted(lines):
            with _Excused(n, lines, placed):
                lines[n].tell(question)
        answers = {0: self._answer(question)}
        for n in sorted(lines):
            with _Excused(n, lines, placed):
                answers[n] = lines[n].wait()
        for n, answer in answers.items():
            measured += [read(Link, link) for link in answer.get("links", ())]
            placed += [(n, read(Finding, finding)) for finding in answer.get("findings", ())]
        return measured


class _Excused(suppress):
    """A node that fails to answer is a finding, and is asked no more."""

    def __init__(self, n: int, lines: Dict[int, star.Line], placed: List[Placed]) -> None:
        super().__init__(OSError, ValueError, KeyError)
        self._n, self._lines, self._placed = n, lines, placed

    def __exit__(self, kind: Any, error: Any, where: Any) -> bool:
        excused = bool(super().__exit__(kind, error, where))
        if excused and self._n in self._lines:
            del self._lines[self._n]
            mend = "its log in the run directory says how far it came"
            finding = Finding("network", "answer", FAIL, f"none any more: {error}", "an answer to node 0", mend)
            self._placed.append((self._n, finding))
        return excused
