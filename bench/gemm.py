"""Beside triton.testing.do_bench: the times of `task=benchmark/gemm` for the same products, in one process.

`python bench/gemm.py [SIZE ...] [--dtypes bf16 fp16 tf32 fp32 fp8] [--rounds 5]` needs a GPU, torch and triton. Each
round measures each product by both, on the same operands, beginning with the other than the round before: a GPU at its
power limit is slower for the second. The exit code is 1 where the medians differ by more than 1 %.
"""

import argparse
import itertools
import statistics
import sys

from primus.rank.benchmark.gemm.job import Product
from primus.rank.benchmark.gemm.with_torch import TorchEngine
from primus.rank.benchmark.timing import copies

ALLOWED = 0.01
SECONDS = 0.3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1024, 2048, 4096, 8192])
    parser.add_argument("--dtypes", nargs="+", default=["bf16", "fp16", "tf32", "fp8"])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    engine = TorchEngine()
    if engine.kind != "gpu":
        print("bench/gemm.py needs a GPU", file=sys.stderr)
        return 3
    worst = 0.0
    print(f"{engine.name}, medians of {asked.rounds} rounds, microseconds")
    for dtype in asked.dtypes:
        for size in asked.sizes:
            ours, theirs = compare(engine, Product("", size, size, size, 1, "nt"), dtype, asked.rounds)
            worst = max(worst, abs(ours / theirs - 1))
            print(f"{dtype:<5} {size:>6}  primus {ours:>10.2f}  do_bench {theirs:>10.2f}  {ours / theirs - 1:+.2%}")
    return int(worst > ALLOWED)


def compare(engine: TorchEngine, product: Product, dtype: str, rounds: int) -> tuple[float, float]:
    """Medians over the rounds of the median times, by Primus and by do_bench."""
    from triton.testing import do_bench

    calls = engine.calls(product, dtype, copies(product.moved(dtype), engine.cache, engine.room()), 1234)
    turns = itertools.cycle(calls)
    ours, theirs = [], []
    sides = [
        lambda: ours.append(1e6 * engine.measure(calls, SECONDS).p50),
        lambda: theirs.append(1e3 * do_bench(lambda: next(turns)(), rep=int(1e3 * SECONDS), return_mode="median")),
    ]
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            side()
    return statistics.median(ours), statistics.median(theirs)


if __name__ == "__main__":
    sys.exit(main())
