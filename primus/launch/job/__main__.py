"""`python -I -S <primus>/launch/job/__main__.py --directory RUN [--array]`: run the job whose run directory this is.

With `--array` RUN is a sweep, and the job's own directory is its folder of the number SLURM_ARRAY_TASK_ID; with
`--jobs 0-49 --each 7` beside it the number 2 is that of jobs 14 to 20, which run one after another.
`--survivor N` in place of that: node N has lost the first node, and ends the job in its place.
"""

import gc
import os
import sys
from pathlib import Path


def _find_primus() -> None:
    """Import `primus` from where this file lies, with nothing beside it on sys.path."""
    beside = str(Path(__file__).resolve().parents[3])
    sys.path.insert(0, beside)
    import primus  # noqa: F401 -- its submodules are found by its own __path__ from now on

    sys.path.remove(beside)


def _main() -> int:
    words = sys.argv[1:]

    def value(name: str) -> str:
        return words[words.index(name) + 1]

    directory, element = Path(value("--directory")), "--array" in words
    if "--survivor" in words:
        from primus.launch.job import survivor

        _collect()
        return survivor.main(directory, int(value("--survivor")))
    if "--jobs" in words:
        from primus.launch.job import several

        _collect()
        return several.main(directory, value("--jobs"), int(value("--each")))
    from primus.launch.job.first import main

    _collect()
    if element:
        directory /= os.environ["SLURM_ARRAY_TASK_ID"]
    return main(directory, recorded=not element)


def _collect() -> None:
    """Garbage from here on: imports leave none, and to look for it among what they make takes a tenth of their time."""
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    gc.disable()
    _find_primus()
    sys.exit(_main())
