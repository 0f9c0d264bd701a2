"""`task=record/sync run=<run or sweep>`: complete in MLflow what could not be recorded at the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import closing, completing, handle, state
from primus.launch.config.request import Request
from primus.launch.problems import OK, UNFIT, BadRequest
from primus.launch.record.files import output_root
from primus.launch.record.store import Store
from primus.launch.record.syncing import Done, sync
from primus.launch.state import State
from primus.launch.task.record.progress import Bar

ALL = "all"
Stores = dict[str, tuple[Store, bool]]


@dataclass(frozen=True)
class Settings:
    """`compare`: every point of the metric files with what MLflow has of them; what it lacks is added."""

    name: str
    compare: bool


def describe(task: Settings, request: Request) -> str:
    """What `act` would do; looks for the runs, asks no server, and writes nothing."""
    names = [closing.short(directory) for directory in _named(request, offline=True)]
    return "\n".join(["complete the MLflow record of", *names]) if names else "every record is complete: do nothing"


def act(task: Settings, request: Request) -> int:
    """Complete each; 0 once all are, 3 otherwise. Raises BadRequest for a run that is not there."""
    directories = _named(request, offline=False)
    found = [completing.with_result(run) for run in state.read_all(directories)]
    stores: Stores = {}
    complete = 0
    with Bar([run.directory for run in found]) as bar:
        for run in found:
            done = _wrong(run) or _synced(run, request, task.compare, stores, bar)
            complete += not done.problems
            bar.say(_told(run, done))
    if len(found) != 1:
        print(f"{complete} of {len(found)} records are complete" if found else "every record is complete")
    return OK if complete == len(found) else UNFIT


def _synced(run: State, request: Request, compare: bool, stores: Stores, bar: Bar) -> Done:
    """Complete one. `stores`: those that were met before, by their address, and whether they are to be tried again."""
    try:
        uri = completing.address(run.directory, request)
    except BadRequest as error:
        return Done(problems=[str(error)])
    store, answers = stores.setdefault(uri, (Store(uri, output_root(run.directory)), True))
    bar.begin(run.directory)
    done = sync(run.directory, store, request.tracking.wait if answers else 0.0, compare, bar.told)
    stores[uri] = store, not done.unavailable
    return done


def _named(request: Request, offline: bool) -> list[Path]:
    """The directories of the runs and sweeps that are asked for, each once."""
    root = Path(request.output.root).expanduser()
    words = [*([request.run] if request.run else []), *(request.runs or ())]
    if not words:
        raise BadRequest(
            "task=record/sync needs a run: run=<run directory, run id or Slurm job id>, runs=[<run>,<another>], or "
            f"run={ALL} for every record under {root}/ that is not complete"
        )
    if words == [ALL]:
        return _incomplete(root)
    return list(dict.fromkeys(handle.find(word, root, request.tracking.uri, offline) for word in words))


def _incomplete(root: Path) -> list[Path]:
    """Every run and sweep that is over, was to be recorded, and is not or not completely; oldest first."""
    every = [d.resolve() for d in handle.directories(root) if not state.is_sweep(d.parent) and completing.wanted(d)]
    return [run.directory for run in state.read_all(every) if not run.living and not completing.is_recorded(run)]


def _wrong(run: State) -> Done | None:
    """What keeps a run from being recorded now, if anything does."""
    if run.over:
        return None
    why = "it is not over: its own recorder completes its record then" if run.living else run.reason
    return Done(problems=[f"{run.directory}: {why}"])


def _told(run: State, done: Done) -> Sequence[str]:
    where = closing.short(run.directory)
    if done.problems:
        return [f"{where}  not complete", *(f"  {problem}" for problem in done.problems)]
    added = [f"{done.lines:,} lines of metrics"] if done.lines else []
    added += [f"{done.files:,} files"] if done.files else []
    text = f"{where}  complete" + (f": {' and '.join(added)} added" if added else ", nothing to add")
    if done.compared:
        text += f"; {done.compared.points:,} points compared with MLflow's"
        text += f", {done.compared.added:,} of them missing until now" if done.compared.added else ", all there"
    told = completing.record(run.directory)
    left_out = [f"  left out: {said}" for said in told.get("errors", ())]
    return [*(f"{where}  {said}: recorded anew" for said in done.anew), text, *left_out]
