"""Beside triton.testing.do_bench: the times of `task=benchmark/gemm` for the same products, in one process.

`python bench/gemm.py [SIZE ...] [--dtypes bf16 fp16 tf32 fp32 fp8] [--rounds 6]` needs a GPU, torch and triton. Each
round measures each product by both, on the same operands, beginning with the other than the round before. A large
product takes a GPU to its power limit, where its clock wanders: the figure is the median of the rounds' ratios, after
a second of the same work. The exit code is 1 where one is further than 1 % from 1.
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
HEAT = 1.0
"""Seconds of a product before it is measured."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1024, 2048, 4096, 8192])
    parser.add_argument("--dtypes", nargs="+", default=["bf16", "fp16", "tf32", "fp8"])
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    engine = TorchEngine()
    if engine.kind != "gpu":
        print("bench/gemm.py needs a GPU", file=sys.stderr)
        return 3
    worst = 0.0
    print(f"{engine.name}, medians of {asked.rounds} rounds, microseconds")
    for dtype in asked.dtypes:
        for size in asked.sizes:
            pairs = compare(engine, Product("", size, size, size, 1, "nt"), dtype, asked.rounds)
            ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
            off = statistics.median(mine / other for mine, other in pairs) - 1
            worst = max(worst, abs(off))
            print(f"{dtype:<5} {size:>6}  primus {ours:>10.2f}  do_bench {theirs:>10.2f}  {off:+.2%}")
    return int(worst > ALLOWED)


def compare(engine: TorchEngine, product: Product, dtype: str, rounds: int) -> list[tuple[float, float]]:
    """Median times in microseconds of each round, by Primus and by do_bench."""
    from triton.testing import do_bench

    calls = engine.calls(product, dtype, copies(product.moved(dtype), engine.cache, engine.room()), 1234)
    turns = itertools.cycle(calls)

    def ours() -> float:
        return 1e6 * engine.measure(calls, SECONDS).p50

    def theirs() -> float:
        return 1e3 * float(do_bench(lambda: next(turns)(), rep=int(1e3 * SECONDS), return_mode="median"))

    engine.measure(calls, HEAT)
    pairs = []
    for number in range(rounds):
        if number % 2:
            other = theirs()
            pairs.append((ours(), other))
        else:
            pairs.append((ours(), theirs()))
    return pairs


if __name__ == "__main__":
    sys.exit(main())
