"""Beside NVIDIA's nccl-tests: the bus bandwidths of `task=benchmark/collectives` on the GPUs of this machine.

    python bench/collectives.py --nccl-tests BUILD_FOLDER --ranks 2 [--from 16M] [--to 1G] [--rounds 3]

Each round runs every operation by both, in turns, for the same sizes, warm-up and iterations; a figure is the median
of the rounds. Both must load the same NCCL: LD_LIBRARY_PATH for nccl-tests. Of its two figures that one is taken which
has the buffers as PyTorch has them: in place for all_reduce and broadcast. The exit code is 1 where they differ by more
than 3 %.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ALLOWED = 0.03
LIMIT = 300.0
"""Seconds for one command."""
PEERS = {
    "all_reduce": ("all_reduce_perf", "in place"),
    "all_gather": ("all_gather_perf", "out of place"),
    "reduce_scatter": ("reduce_scatter_perf", "out of place"),
    "broadcast": ("broadcast_perf", "in place"),
    "all_to_all": ("alltoall_perf", "out of place"),
    "ring_p2p": ("sendrecv_perf", "out of place"),
}
"""By our operation: the program of nccl-tests, and which of its figures."""
_WARM_UP, _ITERATIONS, _FACTOR = 5, 20, 4
_COLUMN = {
    "out of place": 7,
    "in place": 11,
}  # of nccl-tests 2.19: size count type redop root, then time algbw busbw wrong

Figures = dict[tuple[str, int], float]
"""Bus bandwidth in GB/s, by operation and size in bytes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nccl-tests", type=Path, required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--from", dest="least", default="16M")
    parser.add_argument("--to", dest="most", default="1G")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ours: list[Figures] = []
    theirs: list[Figures] = []
    for number in range(asked.rounds):
        sides = [lambda: ours.append(primus(asked)), lambda: theirs.append(nccl_tests(asked))]
        for side in sides if number % 2 == 0 else reversed(sides):
            side()
    return report(ours, theirs)


def primus(asked: argparse.Namespace) -> Figures:
    """By the command of its users."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = f"{{from:{asked.least},to:{asked.most},factor:{_FACTOR}}}"
        words = ["task=benchmark/collectives", f"ranks_per_node={asked.ranks}", f"task.sizes={sizes}"]
        words += [f"task.operations=[{','.join(PEERS)}]", "task.groups=[all]", f"task.iterations={_ITERATIONS}"]
        words += [f"task.warmup={_WARM_UP}", "tracking.enabled=false", f"output.root={folder}"]
        run([sys.executable, "-m", "primus", *words])
        (results,) = Path(folder).glob("default/*/results.jsonl")
        rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {(row["operation"], row["bytes"]): row["bus_bandwidth"] for row in rows}


def nccl_tests(asked: argparse.Namespace) -> Figures:
    """By its programs, one process for all GPUs."""
    found: Figures = {}
    for operation, (program, place) in PEERS.items():
        argv = [str(asked.nccl_tests / program), "-b", asked.least, "-e", asked.most, "-f", str(_FACTOR)]
        said = run([*argv, "-g", str(asked.ranks), "-w", str(_WARM_UP), "-n", str(_ITERATIONS)])
        for line in said.splitlines():
            if re.match(r"\s+\d", line):
                words = line.split()
                found[operation, int(words[0])] = float(words[_COLUMN[place]])
    return found


def run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(argv)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def report(ours: list[Figures], theirs: list[Figures]) -> int:
    worst = 0.0
    print(f"bus bandwidth, GB/s, medians of {len(ours)} rounds")
    for operation, size in ours[0]:
        mine, other = (statistics.median(side[operation, size] for side in sides) for sides in (ours, theirs))
        worst = max(worst, abs(mine / other - 1))
        name = f"{operation} ({PEERS[operation][1]})"
        print(f"{name:<32} {size:>13,}  primus {mine:>8.2f}  nccl-tests {other:>8.2f}  {mine / other - 1:+.2%}")
    print(f"largest difference: {worst:.2%} (allowed: {ALLOWED:.0%})")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
