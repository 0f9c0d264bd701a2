"""One rank of the bigram trainer."""

import glob
import os
from pathlib import Path
from typing import Any

from primus.rank.metrics import MetricsFile
from primus.rank.problems import Refused


def run(rank: dict[str, Any]) -> None:
    """Train as `rank` says, the content of rank.json. Raises Refused when something does not fit."""
    from acme_primus.bigram import Bigram

    unknown = set(rank["args"]) - {"smoothing"}
    if unknown:
        raise Refused(f"backend.args.{min(unknown)}: bigram has no such option; there is: smoothing")
    text = _text(rank["data"]["files"] or __file__)
    model, size = Bigram(rank["args"].get("smoothing")), rank["bytes_per_step"]
    print(f"bigram with smoothing {model.smoothing:g}")
    metrics = MetricsFile(os.environ["PRIMUS_METRICS"])
    for step in range(1, rank["steps"] + 1):
        begin = (step - 1) * size % max(1, len(text) - size)
        metrics.write(step, {"loss": model.step(text[begin : begin + size])})
    metrics.close()


def _text(patterns: str | list[str]) -> bytes:
    every = [patterns] if isinstance(patterns, str) else patterns
    paths = sorted(path for pattern in every for path in glob.glob(pattern, recursive=True))
    return b"".join(Path(path).read_bytes() for path in paths)
