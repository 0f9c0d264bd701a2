"""A diagnosis for people."""

import textwrap
from collections.abc import Mapping
from typing import Any

_WIDTH = 118
NOTHING = "no known failure matches what the logs say"


def lines(diagnosis: Mapping[str, Any], first: int | None = None) -> list[str]:
    """What it most likely is, the evidence, what to do; none for an empty one. `first`: the rank that failed first."""
    if not diagnosis:
        return []
    if not diagnosis.get("failure"):
        return [f"most likely: unknown: {NOTHING}"]
    evidence = diagnosis["evidence"]
    rank, node = evidence.get("rank"), evidence.get("node_rank")
    at = "" if node is None else f" on node {node}"
    elsewhere = f" (by rank {rank}{at})" if rank is not None and rank != first else ""
    said = [f"most likely: {diagnosis['title']}{elsewhere}"]
    said += [f"  > {_shortened(str(evidence['text']))}", *_paragraph(f"in {place(evidence)}", "    ")]
    said += _paragraph(str(diagnosis["cause"]), "  ")
    said += [f"  {figure}" for figure in diagnosis.get("figures") or ()]
    if diagnosis.get("advice"):
        said += ["what to do:"]
    for advice in diagnosis.get("advice") or ():
        said += _paragraph(str(advice), "  - ")
    for other in diagnosis.get("also") or ():
        said += _paragraph(f"also seen: {other['title']}: {place(other['evidence'])}", "  ")
    return said


def place(evidence: Mapping[str, Any]) -> str:
    """`logs/node-0/rank-1.log:57`, or what else the line is of."""
    log = str(evidence.get("log"))
    named = {"message": "the message of the run", "metrics": "the metrics of the run"}.get(log, log)
    return f"{named}:{evidence['line']}" if evidence.get("line") and named == log else named


def _paragraph(text: str, before: str) -> list[str]:
    wrapped = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [(before if n == 0 else " " * len(before)) + line for n, line in enumerate(wrapped)]


def _shortened(text: str) -> str:
    return text if len(text) <= 400 else text[:397] + "..."
