"""A run directory from the id of an MLflow run: for replaying what another machine ran."""

from pathlib import Path

from primus.launch.record import content
from primus.launch.record.files import read_json
from primus.launch.record.store import Refused, Store
from primus.node import rundir


def fetch_run(run_id: str, uri: str, root: Path, into: Path) -> Path | None:
    """The run directory of an MLflow run: where it was written, else its artifacts, downloaded to `into`/<run_id>.

    None when the store at `uri` has no such run, or one that Primus did not record. `root` is the output root. Raises
    store.Unavailable when the store cannot be reached.
    """
    store = Store(uri, root)
    if store.is_new():
        return None
    try:
        tags = store.tags(run_id)
    except Refused:
        return None
    written = Path(tags.get(content.RUN_DIRECTORY, "/nowhere"))
    if read_json(written / rundir.RECORD).get("run_id") == run_id:
        return written
    if content.RUN_DIRECTORY not in tags:
        return None
    return store.download(run_id, into / run_id)
