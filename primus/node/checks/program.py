"""`python <primus>/node --checks preflight|smoke`: the checks of one node, in the environment of its ranks."""

import json
import os
import sys
import time
from pathlib import Path

from primus.node.checks.finding import Settings
from primus.node.typed import read


def main(name: str) -> int:
    """Run them; the exit code is 0 where nothing speaks against the job, 3 where something does, 2 without settings."""
    began = time.monotonic()
    run_dir = Path(os.environ["PRIMUS_RUN_DIR"])
    node, nodes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        told = json.loads((run_dir / f"{name}.json").read_text(encoding="utf-8"))
        if name == "smoke":
            from primus.node.checks import smoke

            return smoke.run(read(smoke.Settings, told), run_dir, node)
        from primus.node.checks import preflight

        settings = read(Settings, told).at(os.environ["PRIMUS_RUN_ID"], str(run_dir))
        return preflight.Preflight(settings, run_dir, node, nodes, began).run()
    except (OSError, ValueError) as error:
        print(f"primus: {name}: {error}", file=sys.stderr)
        return 2
