"""A node of several other than node 0: it goes there, and tells why where it does not arrive."""

import errno
import socket
import time
from typing import Callable, Dict, List, Mapping, Optional, Tuple, Union

from primus.node import clock, network
from primus.node.channel import Link, Message, reason
from primus.node.ending import Requests
from primus.node.loop import Loop
from primus.node.meeting import ANSWER, Ended, Nodes, NotMet, Party
from primus.node.rendezvous import Meeting, candidates
from primus.node.restart import NO_MORE, Part, Verdict
from primus.node.typed import plain, read

_AGAIN = 0.5  # seconds between rounds of tries: node 0 may start later
_NO_ROUTE = 15.0  # seconds of tries where no way leads to node 0; what is not up yet refuses, which is waited for
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)


class Other(Nodes):
    """Any other node: it goes to node 0."""

    def __init__(self, party: Party, loop: Loop, requests: Requests) -> None:
        super().__init__(party, loop, requests)
        self._link: Optional[Link] = None
        self._world: Optional[Tuple[str, int]] = None
        self._shared: Optional[Message] = None
        self._verdict: Optional[Verdict] = None
        self._over = False

    def meet(self) -> None:
        """Reach node 0; raises NotMet, with both names and what was tried, when that cannot be done, and Ended."""
        began = time.monotonic()
        ports = candidates(self._party.allocation.key)
        while self._link is None:
            tries, unreachable = self._round(ports)
            tried = time.monotonic() - began
            if self._link is None:
                if tried > self._party.within or (unreachable and tried > min(_NO_ROUTE, self._party.within)):
                    raise NotMet(f"{self._name} cannot reach {self._names[0]}{tries}")
                self._wait(lambda: False, _AGAIN)

    def _round(self, ports: Tuple[int, ...]) -> Tuple[str, bool]:
        """Try every address and port once. Returns what came of it, in words, and whether no way leads there."""
        host = self._party.allocation.hosts[0]
        try:
            addresses = network.addresses(host)
        except OSError as error:
            return f": {host} has no address here: {error.strerror}", True
        there = [address for address in addresses if not network.is_loopback(address)]
        if not there:
            here = self._party.allocation.hosts[self._party.allocation.node_rank]
            raise NotMet(
                f"{self._name} cannot reach {self._names[0]}: on {here} the name {host} stands for {addresses[0]}, "
                f"which is {here} itself: mend /etc/hosts or the name server there"
            )
        codes: List[object] = []
        said: Dict[str, str] = {}
        for address in there:
            for port in ports:
                why = self._dial(address, port)
                if self._link is not None:
                    return "", False
                codes.append(why)
                words = why if isinstance(why, str) else reason(why)
                said.setdefault(words, f"{address}:{port}")
        words = "; ".join(f"{where}: {what}" for what, where in said.items())
        return f" ({words})", all(code in _UNREACHABLE for code in codes)

    def _dial(self, address: str, port: int) -> Optional[Union[int, str]]:
        """Connect and be made welcome: None, else the error number or the words of what went wrong."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            code = self._connect(connection, address, port)
            if code:
                connection.close()
                return code
            return self._introduce(connection)
        except OSError as error:
            connection.close()
            return error.errno
        except Ended:
            connection.close()
            raise

    def _connect(self, connection: socket.socket, address: str, port: int) -> int:
        code = connection.connect_ex((address, port))
        if code != errno.EINPROGRESS:
            return code
        connected: List[bool] = []
        fd = connection.fileno()

        def settled() -> None:
            connected.append(True)
            self._loop.forget(fd)

        self._loop.on_writable(fd, settled)
        try:
            self._wait(lambda: connected, ANSWER)
        finally:
            if not connected:
                self._loop.forget(fd)
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if connected else errno.ETIMEDOUT

    def _introduce(self, connection: socket.socket) -> Optional[str]:
        answers: List[Message] = []
        ends: List[str] = []
        link = Link(self._loop, connection, self._party.lost_after, answers.append, ends.append)
        allocation = self._party.allocation
        sent = clock.steady()
        link.send({"primus": self._party.run_id, "key": allocation.key, "restart": allocation.restart,
                   "node": allocation.node_rank, "host": allocation.hosts[allocation.node_rank]})  # fmt: skip
        try:
            self._wait(lambda: answers or ends, ANSWER)
        except Ended:
            link.close()
            raise
        answer = answers[0] if answers else {}
        if "welcome" not in answer:
            link.close()
            return str(answer.get("refused") or "what listens there is no agent of Primus")
        self.offset = float(answer["time"]) - (sent + clock.steady()) / 2
        self._link = link
        link.on_message, link.on_end = self._hear, self._lose
        for message in answers[1:]:
            self._hear(message)
        if ends:
            self._lose(ends[0])
        return None

    def agree(self, ranks: int, asked: Optional[str], gpus: str) -> Meeting:
        """Say how many ranks and which GPUs this node has, and hear where all meet; raises NotMet and Ended."""
        assert self._link is not None
        self._link.send({"ready": ranks, "gpus": gpus})
        # Node 0 knows best who is late: it is given the time to say so.
        patience = self._party.within + self._party.hooks
        if not self._wait(lambda: self._world, patience + ANSWER):
            raise NotMet(f"{self._names[0]} did not say within {patience:g} s where the ranks meet")
        assert self._world is not None
        return Meeting(*self._world, network.interface(self._link.address))

    def share(self, told: Message) -> Message:
        """What the hooks that run once, on node 0, asked for; raises NotMet and Ended. `told` is empty here."""
        patience = self._party.within + self._party.hooks
        if not self._wait(lambda: self._shared is not None, patience + ANSWER):
            raise NotMet(f"{self._names[0]} did not say within {patience:g} s what its hooks ask for")
        assert self._shared is not None
        return self._shared

    def conclude(self, part: Part, decide: Callable[[Mapping[int, Part]], Verdict]) -> Verdict:
        """Tell node 0 how the start has ended here, and hear what follows; `decide` is node 0's."""
        assert self._link is not None
        self._link.send({"ended": plain(part)})
        while self._verdict is None and not self._over and not self._requests.impatient:
            self._loop.turn()
        verdict, self._verdict = self._verdict or NO_MORE, None
        if verdict.start is not None:
            self._told, self._world = False, None
            self._requests.renew()
        return verdict

    def _hear(self, message: Message) -> None:
        if "told" in message:
            self._shared = message["told"]
        elif "world" in message:
            address, port = message["world"]
            self._world = (str(address), int(port))
        elif "end" in message:
            self._follow(str(message["end"]), message)
        elif "verdict" in message:
            self._verdict = read(Verdict, message["verdict"])
        elif "farewell" in message:  # node 0 leaves: there is no next start
            self._verdict = self._verdict or NO_MORE
        elif "over" in message:
            self._over = True
        else:
            self.aside(0, message)

    def _lose(self, why: str) -> None:
        if not self._over:
            self._over = True
            words = f"lost the connection to {self._names[0]}: {why}"
            if self._miss(0, words):
                self._follow(words, {"code": 1})

    def _send_all(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(message)

    def _all_over(self) -> bool:
        return self._over or self._link is None

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
