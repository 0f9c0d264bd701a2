"""The nodes of one job find each other, agree where the ranks meet, and end together. A star: all are linked to node 0.

to node 0: {"primus": run id, "key", "restart", "node", "host"}    from it: {"welcome": host, "time"} or {"refused"}
                                          where hooks run once for all:     {"told": what node 0's hooks asked for}
           {"ready": ranks, "gpus": their names}                            {"world": [address, port]}
both ways: {"end": why, "code", "killed"}
           where ranks may start again: {"ended": restart.Part}            {"verdict": restart.Verdict}
           {"farewell": status}                                             {"over": true}
What is none of these is for others: see primus.node.watchdog.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Callable, Dict, List

from primus.node.allocation import Allocation
from primus.node.channel import Message
from primus.node.ending import Requests
from primus.node.loop import Loop
from primus.node.outcome import Outcome, without

ANSWER = 5.0  # seconds for one try to connect, and for the other side to say what it is
_NAMED = 8  # nodes in a message


class NotMet(Exception):
    """The nodes did not find each other, or are no world together; the text says which and why."""


class Ended(Exception):
    """The job was asked to end meanwhile."""


@dataclass(frozen=True)
class Party:
    """What a node needs to meet the others. Times are in seconds; `hooks`: how long a node's may take at the most.

    `alike`: nodes with different GPUs or drivers are no world together.
    """

    run_id: str
    allocation: Allocation
    within: float
    lost_after: float
    hooks: float = 0.0
    alike: bool = False


class Nodes(ABC):
    """What both ends have in common. `offset` is what to add to this node's clock to have that of node 0 (seconds)."""

    def __init__(self, party: Party, loop: Loop, requests: Requests) -> None:
        self.offset = 0.0
        self.aside: Callable[[int, Message], None] = lambda node, message: None  # which node, and what it says besides
        self._party, self._loop, self._requests = party, loop, requests
        self._told = self._killed = False
        self._lost: Dict[str, str] = {}
        self._names = self.names = [f"node {n} ({host})" for n, host in enumerate(party.allocation.hosts)]
        self._name = self._names[party.allocation.node_rank]

    def tell(self, why: str, code: int, killed: bool) -> None:
        """The ranks of this node are ending, for a reason of its own: those of the others are to end as well.

        `killed`: because the whole job was asked to end, which is told also where ranks are ending already.
        """
        if not self._told or (killed and not self._killed):
            self._told, self._killed = True, killed
            self._send_all({"end": why, "code": code, "killed": killed})

    def send(self, message: Message) -> None:
        """Something that is for `aside`: to node 0, and from it to all others."""
        self._send_all(message)

    def part(self, outcome: Outcome) -> Outcome:
        """Tell how this node's part ended, wait until all others' have, and return what that makes of it."""
        if outcome.status != "finished" and not self._told:
            self.tell(outcome.message or outcome.status, outcome.exit_code, outcome.status == "killed")
        self._send_all({"farewell": outcome.status})  # to node 0; the others learn of node 0's by `over`
        while not self._all_over() and not self._requests.impatient:
            self._loop.turn()
        self._close()
        return without(outcome, self._lost) if self._lost else outcome

    def _follow(self, why: str, message: Message) -> None:
        """End the ranks of this node because of another."""
        self._told, self._killed = True, self._killed or bool(message.get("killed"))
        self._requests.end_with_others(why, int(message.get("code", 1)), bool(message.get("killed")))

    def _miss(self, n: int, why: str) -> bool:
        """A node is gone without a farewell; False where that was to be expected, since someone ends the job."""
        if not self._killed:
            self._lost[self._names[n]] = why
        return not self._killed

    def _wait(self, done: Callable[[], object], seconds: float) -> bool:
        """Serve the loop until `done`, or so many seconds; raises Ended when the job is to end before that."""
        until = time.monotonic() + seconds
        self._loop.after(seconds, lambda: None)
        while not done() and time.monotonic() < until:
            if self._requests.reason:
                raise Ended
            self._loop.turn()
        if self._requests.reason and not done():
            raise Ended
        return bool(done())

    @abstractmethod
    def _send_all(self, message: Message) -> None: ...

    @abstractmethod
    def _all_over(self) -> bool: ...

    @abstractmethod
    def _close(self) -> None: ...


def listed(names: List[str]) -> str:
    """`a, b and 3 more`."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
