"""Node 0 of several: the others come to it, and what one of them says it passes on to all."""

import resource
import socket
from typing import Callable, Dict, List, Mapping, Optional, Set

from primus.node import clock, network
from primus.node.channel import Link, Message, listen
from primus.node.ending import Requests
from primus.node.loop import Loop
from primus.node.meeting import ANSWER, Nodes, NotMet, Party, listed
from primus.node.rendezvous import Meeting, candidates, free_port
from primus.node.restart import Part, Verdict
from primus.node.typed import plain, read

_UNLIKE = "The slowest sets the pace, and each has its own profile's environment"
_FILES = 512  # that an agent may have open beside its connections: pipes of ranks, logs


class First(Nodes):
    """Node 0: the others come to it."""

    def __init__(self, party: Party, loop: Loop, requests: Requests) -> None:
        super().__init__(party, loop, requests)
        self._links: Dict[int, Link] = {}
        self._pending: Set[Link] = set()
        self._ready: Dict[int, int] = {}
        self._gpus: Dict[int, str] = {}
        self._parts: Dict[int, Part] = {}
        self._left: Set[int] = set()
        self._listener: Optional[socket.socket] = None

    def meet(self) -> None:
        """Wait for all other nodes; raises NotMet with the names of those that do not come, and Ended."""
        _allow_files(len(self._names))
        ports = candidates(self._party.allocation.key)
        self._listener = next(filter(None, map(listen, ports)), None)
        if self._listener is None:
            raise NotMet(f"{self._name} has no port for the others free: {', '.join(map(str, ports))} are taken")
        self._listener.setblocking(False)
        self._loop.on_readable(self._listener.fileno(), self._accept)
        others = range(1, len(self._names))
        come = self._wait(lambda: len(self._links) == len(others), self._party.within)
        self._close_listener()
        if not come:
            late = [self._names[n] for n in others if n not in self._links]
            raise NotMet(f"{listed(late)} did not come to {self._name} within {self._party.within:g} s")

    def agree(self, ranks: int, asked: Optional[str], gpus: str) -> Meeting:
        """Give out where the ranks meet, once every node has as many ranks as this one.

        Raises NotMet, with the names, where they have not, PlanError when the port that the plan asks for is not free.
        """
        self._ready[0], self._gpus[0] = ranks, gpus
        patience = self._party.within + self._party.hooks
        if not self._wait(lambda: len(self._ready) == len(self._names), patience):
            late = [name for n, name in enumerate(self._names) if n not in self._ready]
            raise NotMet(f"{listed(late)} did not say within {patience:g} s what devices it has")
        if len(set(self._ready.values())) > 1:
            raise NotMet(_unequal(self._names, self._ready))
        odd = _unlike(self._names, self._gpus)
        if odd and self._party.alike:
            raise NotMet(f"{odd}. node.alike=error refuses that: leave the odd ones out, with runtime.exclude")
        address = self._links[1].address
        port = free_port(self._party.run_id, asked)
        self._send_all({"world": [address, port]})
        return Meeting(address, port, network.interface(address), odd and f"{odd}. {_UNLIKE}")

    def share(self, told: Message) -> Message:
        """Tell all others what the hooks that run once asked for."""
        self._send_all({"told": told})
        return told

    def conclude(self, part: Part, decide: Callable[[Mapping[int, Part]], Verdict]) -> Verdict:
        """Hear how the start has ended on every node, decide what follows, and tell them."""
        self._parts[0] = part
        while not self._left.union(self._parts).issuperset(self._links) and not self._requests.impatient:
            self._loop.turn()
        parts, self._parts = self._parts, {}
        told, self._told = self._told, False  # while the next start is waited for, others are told of what ends the job
        verdict = decide(parts)
        self._told = verdict.start is None and (told or self._told)
        self._ready, self._gpus = {}, {}
        self._send_all({"verdict": plain(verdict)})
        return verdict

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it has given up meanwhile
            return

        def gone(why: str) -> None:
            self._pending.discard(link)

        def greet(message: Message) -> None:
            self._pending.discard(link)
            self._greet(link, message)

        def give_up() -> None:
            if link in self._pending:
                gone("")
                link.close()

        try:
            link = Link(self._loop, connection, self._party.lost_after, greet, gone)
        except OSError:
            connection.close()
            return
        self._pending.add(link)
        self._loop.after(ANSWER, give_up)

    def _greet(self, link: Link, message: Message) -> None:
        wrong = self._wrong(message)
        if wrong:
            link.send({"refused": wrong})
            link.close()
            return
        n = int(message["node"])
        link.on_message = lambda message: self._hear(n, message)
        link.on_end = lambda why: self._lose(n, why)
        self._links[n] = link
        link.send({"welcome": self._party.allocation.hosts[0], "time": clock.steady()})

    def _wrong(self, message: Message) -> Optional[str]:
        allocation = self._party.allocation
        asked = (message.get("primus"), message.get("key"), message.get("restart"))
        if asked != (self._party.run_id, allocation.key, allocation.restart):
            return f"this is run {self._party.run_id} of job {allocation.key}, start {allocation.restart}"
        n = message.get("node")
        if not isinstance(n, int) or not 0 < n < len(self._names):
            return f"there is no node {n} in this job"
        return f"{self._names[n]} is here already, from {self._links[n].peer}" if n in self._links else None

    def _hear(self, n: int, message: Message) -> None:
        if "ready" in message:
            self._ready[n], self._gpus[n] = int(message["ready"]), str(message.get("gpus", ""))
        elif "ended" in message:
            self._parts[n] = read(Part, message["ended"])
        elif "farewell" in message:
            self._left.add(n)
        elif "end" in message:
            self._pass_on(f"ended because of {self._names[n]}: {message['end']}", message, n)
        else:
            self.aside(n, message)

    def _lose(self, n: int, why: str) -> None:
        if self._listener is not None:  # before all have come it may come again
            del self._links[n]
            return
        said_farewell = n in self._left
        self._left.add(n)
        words = f"lost {self._names[n]}: {why}"
        if not said_farewell and self._miss(n, words):
            self._pass_on(words, {"code": 1, "killed": False}, n)

    def _pass_on(self, why: str, message: Message, source: int) -> None:
        if not self._told or (message.get("killed") and not self._killed):
            for n, link in self._links.items():
                if n != source:
                    link.send({**message, "end": why})
        self._follow(why, message)

    def tell(self, why: str, code: int, killed: bool) -> None:
        """As for every node; the others are to know whose reason it is."""
        super().tell(f"ended because of {self._name}: {why}", code, killed)

    def _send_all(self, message: Message) -> None:
        for link in self._links.values():
            link.send(message)

    def _all_over(self) -> bool:
        return self._left.issuperset(self._links)

    def _close(self) -> None:
        self._close_listener()
        self._send_all({"over": True})
        for link in [*self._links.values(), *self._pending]:
            link.close()

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None


def _allow_files(nodes: int) -> None:
    """Let this process have a connection to every node open, beside what it has already."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = nodes + _FILES
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard == resource.RLIM_INFINITY else min(need, hard), hard))


def _unequal(names: List[str], ranks: Dict[int, int]) -> str:
    told = _grouped(names, ranks)
    return f"the nodes have different numbers of devices: {told}. Leave the odd ones out, or set ranks_per_node"


def _unlike(names: List[str], gpus: Dict[int, str]) -> Optional[str]:
    if len(set(gpus.values())) < 2:
        return None
    told = _grouped(names, {n: model or "no GPU" for n, model in gpus.items()})
    return f"the nodes have different GPUs or drivers: {told}"


def _grouped(names: List[str], values: Mapping[int, object]) -> str:
    """Which nodes have what, the fewest nodes last: those are the odd ones."""
    groups: Dict[object, List[str]] = {}
    for n, value in sorted(values.items()):
        groups.setdefault(value, []).append(names[n])
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return "; ".join(f"{value} on {listed(which)}" for value, which in ordered)
