"""What an MLflow run says about a run directory: parameters, tags and a note. Pure, from the plan and the reports."""

import json
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from primus.node.plan import Plan
from primus.node.secrets import is_secret, redact_url

KEY_LENGTH = 250
PARAMETER_LENGTH = 500
TAG_LENGTH = 5000
"""Characters that MLflow servers of every age take; 3.17 takes 6000 and 8000. config.yaml, an artifact, is whole."""

CUT = "…[cut]"
RUN_DIRECTORY = "primus.run_directory"
PARENT = "mlflow.parentRunId"
TOKEN = "primus.record"
"""Tag that says which record.json an MLflow run belongs to."""
_PACKAGES = {"megatron": "megatron-core"}
"""Distribution that says a backend's version, where it is not named like the backend."""


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The leaves of a config by dotted key, as legal and short as MLflow wants them."""
    found: dict[str, str] = {}
    for key, value in _leaves(config, ""):
        name, number = legal(key), 2
        while name in found:
            name, number = f"{legal(key)[: KEY_LENGTH - 4]}_{number}", number + 1
        secret = is_secret(key.rpartition(".")[2]) and isinstance(value, str)
        found[name] = "<secret>" if secret else cut(_text(value), PARAMETER_LENGTH)
    return found


def legal(name: str) -> str:
    """A name that MLflow takes for a parameter or metric: letters, digits and `_-. :/`, no path that leads away."""
    parts = [re.sub(r"[^\w.\- :]", "_", part) for part in name.split("/")]
    clean = posixpath.normpath("/".join(p for p in parts if p.strip(".")) or "_")
    return clean[:KEY_LENGTH].rstrip("/")


def cut(text: str, length: int) -> str:
    """`text` in at most `length` characters, with a mark where its end is missing."""
    return text if len(text) <= length else text[: length - len(CUT)] + CUT


def cut_front(text: str, length: int) -> str:
    """`text` in at most `length` characters; the end of a traceback says more than its start."""
    return text if len(text) <= length else CUT + text[len(text) - length + len(CUT) :]


def plan_tags(plan: Plan) -> dict[str, str]:
    """Tags that are known when the run starts."""
    tags = {
        "primus.run_id": plan.run_id,
        "primus.status": "RUNNING",
        "primus.task": plan.task,
        "primus.backend": plan.backend,
        "primus.nodes": str(plan.job.nodes),
    }
    if plan.code.commit:
        tags["mlflow.source.git.commit"] = tags["primus.git_commit"] = plan.code.commit
    if plan.replay_of:
        tags["primus.replay_of"] = redact_url(plan.replay_of)
    if plan.sweep:
        tags["primus.sweep"] = plan.sweep
    return tags


def report_tags(plan: Plan, report: Mapping[str, Any], revision: Mapping[str, Any]) -> dict[str, str]:
    """Tags from what the first node found, and from what was found of the source tree."""
    devices, tags = report.get("devices") or {}, {}
    if report.get("host"):
        tags["primus.host"] = str(report["host"])
    if devices:
        count = int(devices.get("count") or 0)
        model = str(devices.get("model") or (report.get("cpu") or {}).get("model") or devices.get("vendor"))
        tags["primus.device"] = f"{count} x {model}" if count > 1 else model
    version = (report.get("packages") or {}).get(_PACKAGES.get(plan.backend, plan.backend))
    if version:
        tags["primus.backend_version"] = str(version)
    if report.get("world_size"):
        tags["primus.world_size"] = str(report["world_size"])
    if isinstance(revision.get("dirty"), bool):
        tags["primus.git_dirty"] = str(revision["dirty"]).lower()
    return tags


def result_tags(result: Mapping[str, Any], traceback: str | None) -> dict[str, str]:
    """Tags that are known when the run is over; none while `result` is empty."""
    if not result:
        return {}
    tags = {"primus.status": str(result.get("status")), "primus.exit_code": str(result.get("exit_code"))}
    if result.get("restarts"):
        tags["primus.restarts"] = str(result["restarts"])
    error = traceback or result.get("message")
    if result.get("status") != "FINISHED" and error:
        tags["primus.error"] = cut_front(redact_url(str(error)), TAG_LENGTH)
    if (diagnosis := result.get("diagnosis") or {}).get("failure"):
        tags["primus.diagnosis"] = str(diagnosis["failure"])
    return tags


def packages_text(report: Mapping[str, Any]) -> str:
    """`name==version` lines of the ranks' interpreter."""
    packages: Mapping[str, Any] = report.get("packages") or {}
    return "".join(f"{name}=={packages[name]}\n" for name in sorted(packages, key=str.lower))


def artifact_page(experiment_id: str, run_id: str, name: str) -> str:
    """Where MLflow 3.17 shows an artifact, relative to any of its pages."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{name}"


def curves_page(experiment_id: str, run_ids: Sequence[str], metric: str) -> str:
    """Where MLflow 3.17 draws one metric of several runs in one chart; it wants every setting of that page told."""
    settings = {
        "runs": list(run_ids),
        "metric": metric,
        "experiments": [experiment_id],
        "plot_metric_keys": [metric],
        "plot_layout": {"autosize": True, "xaxis": {}, "yaxis": {}},
        "deselected_curves": [],
        "last_linear_y_axis_range": [],
    }
    asked = "&".join(f"{name}={quote(json.dumps(value, separators=(',', ':')))}" for name, value in settings.items())
    return f"#/metric?{asked}&x_axis=step&y_axis_scale=linear&line_smoothness=1&show_point=false"


def note(
    plan: Plan,
    directory: str,
    run_id: str | None,
    result: Mapping[str, Any],
    traceback: str | None,
    links: Sequence[str] = (),
) -> str:
    """The run's description in MLflow's own page, in Markdown; `result` is empty while it runs."""
    lines = [f"**{result['status']}**, exit code {result['exit_code']}" if result else "**RUNNING**"]
    if result.get("message"):
        lines += [str(result["message"])]
    if cause := result.get("root_cause"):
        lines += [_cause(cause)]
    if (diagnosis := result.get("diagnosis") or {}).get("failure"):
        lines += [f"Most likely: {diagnosis['title']}. {diagnosis['cause']}"]
    lines += [" · ".join(links)] if links else []
    elsewhere = f", or from another machine `primus replay={run_id}`" if run_id else ""
    lines += [f"Run again: `primus replay={shlex.quote(directory)}`{elsewhere}"]
    lines += [f"Overrides: `{shlex.join(plan.overrides)}`" if plan.overrides else "No overrides."]
    text = cut(redact_url("\n\n".join(lines)), TAG_LENGTH)
    if traceback:
        room = TAG_LENGTH - len(text) - len("\n\n```\n\n```\n")
        text += f"\n\n```\n{cut_front(redact_url(traceback), room)}\n```\n" if room > 200 else ""
    return text


def sweep_note(
    sweep: str,
    directory: str,
    rows: Sequence[tuple[int, Sequence[str], Mapping[str, Any]]],
    links: Sequence[str] = (),
) -> str:
    """A table of the jobs of a sweep: index, the overrides that not all share, status and last loss."""
    shared = set.intersection(*(set(overrides) for _, overrides, _ in rows)) if len(rows) > 1 else set()
    lines = [f"Sweep {sweep}, `{directory}`", "", *([" · ".join(links), ""] if links else [])]
    lines += ["| job | overrides | status | loss |", "| --- | --- | --- | --- |"]
    for index, overrides, result in rows:
        value = loss(result)
        words = shlex.join(o for o in overrides if o not in shared).replace("|", "\\|")
        shown = "" if value is None else f"{value:.6g}"
        lines.append(f"| {index} | `{words}` | {result.get('status', 'not run')} | {shown} |")
    if shared:
        lines += ["", f"All with `{shlex.join(o for o in rows[0][1] if o in shared)}`"]
    return cut(redact_url("\n".join(lines)), TAG_LENGTH)


def loss(result: Mapping[str, Any]) -> float | None:
    """The last loss of a run by its result.json, if it reported one."""
    value = (result.get("metrics") or {}).get("loss")
    return float(value) if isinstance(value, (int, float)) else None


def last_traceback(lines: Sequence[str]) -> str | None:
    """The last Python traceback in those lines of a log, without what stands before each of them."""
    starts = [n for n, line in enumerate(lines) if "Traceback (most recent call last):" in line]
    if not starts:
        return None
    column = lines[starts[-1]].index("Traceback")
    block = [lines[starts[-1]][column:]]
    for line in (whole[column:] for whole in lines[starts[-1] + 1 :]):
        block.append(line)
        if line and not line[0].isspace():
            break
    return "\n".join(block)


def _cause(cause: Mapping[str, Any]) -> str:
    if cause.get("hung"):
        return f"Held up by: rank {cause.get('rank')} on node {cause.get('node_rank')}, log `{cause.get('log')}`"
    how = f"signal {cause['signal']}" if cause.get("signal") else f"exit code {cause.get('exit_code')}"
    return f"First to fail: rank {cause.get('rank')} on node {cause.get('node_rank')}, {how}, log `{cause.get('log')}`"


def _leaves(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        return [leaf for name, v in value.items() for leaf in _leaves(v, f"{key}.{name}" if key else str(name))]
    return [(key, value)]


def _text(value: Any) -> str:
    text: str = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return redact_url(text)
