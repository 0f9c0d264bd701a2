"""The network as this node sees it by itself: interfaces, InfiniBand and RoCE ports, and what NCCL is told of them."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import List, Mapping

from primus.node import network, rdma
from primus.node.checks.files import below, text
from primus.node.checks.finding import WARN, Notes
from primus.node.rdma import Port

_TCP = "NCCL falls back to TCP, and says so in none but its debug output"


def check(
    nodes: int, gpus: bool, master: str, environ: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> Notes:
    """`nodes` of the job; `master` is the address of node 0."""
    notes = Notes("network")
    found = rdma.every(root)
    _interfaces(_route(master) if nodes > 1 else "", environ, [name for _, name in socket.if_nameindex()], notes)
    _ports(found, notes)
    chosen = _chosen(found, environ, notes)
    _remote_memory(nodes, gpus, chosen, environ, root, notes)
    every = ", ".join(f"{port.name} {port.rate:g}" for port in found) or "none"
    notes.same("ports", every, WARN, "compare the adapters")
    return notes


def _interfaces(route: str, environ: Mapping[str, str], there: List[str], notes: Notes) -> None:
    """`route` is the interface that leads to node 0, empty where it cannot be told; `there` are all."""
    if route:
        mtu = network.mtu(route)
        notes.info("route to node 0", f"{route}, mtu {mtu}")
        notes.same("mtu", mtu, WARN, f"set the MTU of {route} alike on all nodes")
    for variable in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"):
        asked = environ.get(variable, "")
        if not asked:
            continue
        names = [name for name in there if _interface_fits(name, asked)]
        if not names:
            mend = f"env.set.{variable}={route or 'the right one'}, or leave it to Primus"
            notes.fail(variable, asked, f"one of {', '.join(there)}", mend)
        elif route and route not in names:
            mend = f"env.set.{variable}={route}, unless that network is meant and reaches every node"
            notes.warn(variable, asked, f"{route}, which leads to node 0", mend)
        else:
            notes.info(variable, asked)


def _interface_fits(name: str, asked: str) -> bool:
    negated, rest = asked.startswith("^"), asked.lstrip("^")
    exact, rest = rest.startswith("="), rest.lstrip("=")
    entries = filter(None, rest.split(","))
    return any(name == entry if exact else name.startswith(entry) for entry in entries) != negated


def _route(master: str) -> str:
    """The interface that leads to an address: that of the source address which the kernel would take."""
    with suppress(OSError):
        family = socket.AF_INET6 if ":" in master else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((master, 9))
            return network.interface(probe.getsockname()[0])
    return ""


def _ports(found: List[Port], notes: Notes) -> None:
    most = max((port.rate for port in found if port.active), default=0.0)
    for port in found:
        seen = f"{port.state.lower()} at {port.rate:g} Gb/s, {port.layer}"
        if not port.active:
            mend = "check cable and switch port; `initializing` waits for a subnet manager"
            notes.warn(f"port {port.name}", seen, "active", mend)
        elif port.rate < most:
            mend = "check cable and switch port, or leave it out of NCCL_IB_HCA if it is of another network"
            notes.warn(f"port {port.name}", seen, f"{most:g} Gb/s as the fastest here", mend)
        else:
            notes.info(f"port {port.name}", seen)


def _chosen(found: List[Port], environ: Mapping[str, str], notes: Notes) -> List[Port]:
    """The ports that NCCL would use."""
    listed = environ.get("NCCL_IB_HCA", "")
    if not listed:
        return found
    there = ", ".join(port.name for port in found) or "no device at all"
    entries = [entry for entry in listed.lstrip("^=").split(",") if entry]
    exact = "=" if listed.lstrip("^").startswith("=") else ""
    missing = [entry for entry in entries if not any(rdma.named(port, exact + entry) for port in found)]
    if missing and not listed.startswith("^"):
        mend = "env.set.NCCL_IB_HCA=... with the right names, or leave it unset"
        notes.fail("NCCL_IB_HCA", f"{', '.join(missing)} does not exist; {_TCP}", f"among {there}", mend)
    else:
        notes.info("NCCL_IB_HCA", listed)
    return [port for port in found if rdma.named(port, listed)]


def _remote_memory(
    nodes: int, gpus: bool, chosen: List[Port], environ: Mapping[str, str], root: Path, notes: Notes
) -> None:
    """Whether NCCL has RDMA between the nodes of a job with GPUs."""
    active = [port for port in chosen if port.active]
    _gids(active, environ, root, notes)
    if active and not below(root / "dev/infiniband", "uverbs*"):
        mend = "give the job or container /dev/infiniband, load ib_uverbs"
        notes.fail("rdma devices", f"no /dev/infiniband/uverbs*; {_TCP}", "one for each adapter", mend)
    if nodes < 2 or not gpus:
        return
    if environ.get("NCCL_IB_DISABLE") == "1" and active:
        notes.warn("NCCL_IB_DISABLE", "1", "0: there are active ports", "unset NCCL_IB_DISABLE")
    elif not active:
        seen = f"no active port for NCCL; {_TCP}"
        notes.warn("rdma", seen, "an active InfiniBand or RoCE port", "bring the ports up, or expect the speed of TCP")
    else:
        notes.info("rdma", f"{len(active)} active ports, {sum(port.rate for port in active):g} Gb/s in all")


def _gids(active: List[Port], environ: Mapping[str, str], root: Path, notes: Notes) -> None:
    index = environ.get("NCCL_IB_GID_INDEX", "")
    for port in active if index.isdigit() else ():
        gid = text(root / "sys/class/infiniband" / port.folder / "gids" / index)
        if port.layer == "Ethernet" and not gid.replace(":", "").strip("0"):
            mend = "take an index that show_gids lists for this port, or leave NCCL_IB_GID_INDEX unset"
            notes.fail("NCCL_IB_GID_INDEX", f"{index}: {port.name} has no such address", "a GID in use", mend)
