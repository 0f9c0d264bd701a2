"""A job whose ranks make no progress: every node takes the stacks of its ranks, and node 0 says who holds it up.

Progress is a new line of metrics or a heartbeat, of any rank of any node. Each agent looks at the files of its own
ranks; what they compare is whether a file has changed, never a clock.

to node 0: {"moved": true}              from it: {"stacks": true}
           {"stacked": reports}                  {"hung": message, "rank", "node"}
"""

import os
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from primus.node import clock, plan, rundir, straggler
from primus.node.channel import Message
from primus.node.look import PATIENCE, Look
from primus.node.loop import Loop
from primus.node.outcome import Outcome, RankEnd, RootCause, root_cause
from primus.node.straggler import Report, Verdict
from primus.node.supervise import Supervisor
from primus.node.typed import plain, read

_LOOKS = 10  # in the time after which a job hangs
_SOONEST, _LATEST = 0.05, 10.0  # seconds between two looks
_ANSWERS = 10.0  # seconds for the stacks of another node to arrive, beside those that taking them may take


class Watchdog:
    """Looks on from `start` to `close`, and ends the ranks of this node at a hang, where the settings say so.

    Of several nodes: `say_to` sends to node 0, or from it to all others; what they send comes to `hear`. `names` are
    those of all nodes. `end(message)` is called on node 0, to end the others' ranks.
    """

    def __init__(
        self,
        settings: plan.Watchdog,
        directory: Path,
        node: int,
        names: Sequence[str],
        loop: Loop,
        ranks: Supervisor,
        say: Callable[[str, str], None],
    ) -> None:
        self.end: Callable[[str], None] = lambda message: None
        self.say_to: Callable[[Message], None] = lambda message: None
        self._settings, self._directory, self._node, self._names = settings, directory, node, names
        self._loop, self._ranks, self._say = loop, ranks, say
        self._interval = min(_LATEST, max(_SOONEST, settings.timeout / _LOOKS))
        self._files: List[Path] = []
        self._seen: Tuple[object, ...] = ()
        self._quiet = 0.0
        self._looked = 0.0
        self._closed = self._hangs = self._asking = False
        self._reports: Dict[int, List[Report]] = {}
        self._stacks = Look(directory, node, loop, ranks, say)
        self._verdict: Optional[Verdict] = None
        self._judged = 0.0

    def start(self, ranks: Sequence[int]) -> None:
        """The ranks of this node have been started."""
        self._files = [self._directory / path(n) for n in ranks for path in (rundir.heartbeat, rundir.rank_metrics)]
        self._seen = self._signature()
        self._looked = time.monotonic()
        self._loop.after(self._interval, self._look)

    def over(self, ends: Sequence[RankEnd]) -> Optional[Outcome]:
        """The ranks of this node have ended; its outcome where it was a hang that ended them. Node 0 looks on."""
        self._stacks.ends = ends
        verdict = self._verdict
        if verdict is None or root_cause(ends):
            return None
        culprits = [self._cause(end, verdict.message) for end in ends if end.rank == verdict.rank]
        ranks = tuple(sorted(ends, key=lambda end: end.rank))
        return Outcome("failed", 1, verdict.message, culprits[0] if culprits else None, ranks)

    def close(self) -> None:
        """Look no more."""
        self._closed = True

    def hear(self, node: int, message: Message) -> None:
        """What another node says."""
        if "moved" in message:
            self._moves()
        elif "stacks" in message:
            self._stacks.take(lambda reports: self.say_to({"stacked": [plain(one) for one in reports]}))
        elif "stacked" in message:
            self._gather(node, [read(Report, one) for one in message["stacked"]])
        elif "hung" in message:
            self._conclude(Verdict(str(message["hung"]), message.get("rank"), message.get("node")))

    def _cause(self, end: RankEnd, message: str) -> RootCause:
        return RootCause(end.rank, end.exit_code, end.signal, end.log, self._judged, message, hung=True)

    def _look(self) -> None:
        if self._closed:
            return
        now, seen = time.monotonic(), self._signature()
        # An agent that was held up itself, by a file system or with its whole machine, has not seen the ranks stand.
        self._quiet += min(now - self._looked, 2 * self._interval)
        self._looked = now
        if seen != self._seen:
            self._seen = seen
            self._moves()
            if self._node:
                self.say_to({"moved": True})
        elif not self._node and not self._hangs and self._quiet >= self._settings.timeout and not self._ranks.stopping:
            self._hang()
        self._loop.after(self._interval, self._look)

    def _moves(self) -> None:
        self._quiet = 0.0
        if self._verdict is None:  # it has gone on, if only while its stacks were taken: another hang counts anew
            self._hangs = self._asking = False

    def _signature(self) -> Tuple[object, ...]:
        found: List[object] = []
        for path in self._files:
            try:
                status = os.stat(path)
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return tuple(found)

    def _hang(self) -> None:
        """Of node 0: have all nodes take stacks, and judge when all have."""
        self._hangs = self._asking = True
        self._reports = {}
        self._say(f"no rank has made progress for {self._settings.timeout:g} s: taking their stacks", "ERROR")
        self.say_to({"stacks": True})
        self._stacks.take(lambda reports: self._gather(0, reports))
        if len(self._names) > 1:
            self._loop.after(PATIENCE + _ANSWERS, self._judge)

    def _gather(self, node: int, reports: List[Report]) -> None:
        self._reports[node] = reports
        if len(self._reports) == len(self._names):
            self._judge()

    def _judge(self) -> None:
        if self._closed or not self._asking:
            return
        self._asking = False
        silent = [name for n, name in enumerate(self._names) if n not in self._reports]
        reports = [one for found in self._reports.values() for one in found]
        verdict = straggler.judge(reports, silent, self._settings.timeout)
        self.say_to({"hung": verdict.message, "rank": verdict.rank, "node": verdict.node})
        self._conclude(verdict)

    def _conclude(self, verdict: Verdict) -> None:
        self._say(verdict.message, "ERROR")
        for _, _, output in self._ranks.living:
            output.note([f"primus: {verdict.message}"], time.time(), "ERROR")
        if self._settings.action != "end" or self._ranks.stopping:
            return
        self._verdict, self._judged = verdict, clock.steady()
        self._ranks.stop()
        if not self._node:
            self.end(verdict.message)
