"""`baseline=<run>`: the results of an earlier run, taken into the plan, so that nothing later depends on that run."""

import json

from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.results import baseline, rows, task
from primus.node import rundir
from primus.node.plan import File, Plan, from_json


def files(request: Request, place: Place) -> tuple[File, ...]:
    """The file of the plan that holds them; none without `baseline=`. Raises BadRequest for a run that cannot serve."""
    if not request.baseline:
        return ()
    from primus.launch.replaying import finding

    name, root = str(request.task["name"]), request.output.root
    found = finding.find("baseline", request.baseline, root, request.tracking.uri, bool(request.dry_run))
    columns = task.columns(name)
    if not columns:
        raise BadRequest(f"baseline={request.baseline}: task={name} has no results that could be compared")
    if found.directory is None:
        raise BadRequest(f"baseline={request.baseline}: is a packed run: unpack it with `tar -xf`, name the directory")
    plan: Plan = from_json((found.directory / rundir.PLAN).read_text(encoding="utf-8"))
    if plan.task != name:
        raise BadRequest(f"baseline={request.baseline}: that is a run of task={plan.task}, not of task={name}")
    then = rows.read(found.directory)
    if not then:
        raise BadRequest(
            f"baseline={request.baseline}: that run has no results: {found.directory} has no {rundir.RESULTS}"
        )
    content = baseline.Baseline(
        plan.run_id, str(found.directory), request.baseline_threshold, columns, then, request.baseline_missing
    )
    return (File(rundir.BASELINE, json.dumps(baseline.as_data(content), ensure_ascii=False) + "\n"),)
