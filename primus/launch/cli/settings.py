"""What flags set, as overrides."""

from collections.abc import Sequence
from typing import Any

from primus.launch.cli import experiment, variables
from primus.launch.cli.flags import Flag, Given
from primus.launch.cli.launchers import ENV
from primus.launch.cli.literal import override, typed
from primus.launch.problems import BadRequest


def overrides(given: Sequence[Given]) -> list[str]:
    """Overrides for flags that have a key, and for those that mean one only together. Raises BadRequest."""
    single: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    for one in given:
        key = one.flag.key
        if one.flag == ENV:
            for name, value in variables.stated(one.value):
                if value is None:
                    lists.setdefault("env.forward", []).append(name)
                else:
                    single[f"env.set.{name}"] = value
        elif key == "container.options":
            lists.setdefault(key, []).append(f"{one.flag.name}={one.value}" if one.value else one.flag.name)
        elif key and one.flag.listed:
            lists.setdefault(key, []).extend(_listed(one.flag, one.value))
        elif key:
            single[key] = _value(one)
    several = {k: v[0] if len(v) == 1 and k in _NUMBERS else v for k, v in lists.items()}
    return [override(k, v) for k, v in {**single, **several, **_together(given)}.items()]


_NUMBERS = ("task.m", "task.n", "task.k", "task.micro_batch")
"""Settings that are a number or a list of them."""


def _value(one: Given) -> Any:
    if one.flag.takes == "nothing" or (one.flag.takes == "optional" and not one.value):
        return one.flag.to
    return one.value if one.flag.takes in ("text", "optional") else typed(one.value)


def _listed(of: Flag, value: str) -> list[Any]:
    if of.takes == "nothing":
        return [of.to]
    if of.key == "container.mounts":
        return [_mount(value)]
    if not (of.key or "").startswith("task."):
        return [value]
    several = typed(value)
    return [_SPELT.get(str(v), v) for v in (several if isinstance(several, list) else [several])]


_SPELT = {"alltoall": "all_to_all"}  # primus/tools/benchmark/rccl_bench_args.py
_MOUNT = {"source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target"}


def _mount(text: str) -> str:
    """`--volume` as it is; `--mount type=bind,source=/a,target=/b,readonly` by docker's grammar in that of --volume."""
    if "=" not in text:
        return text
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    named = {_MOUNT[name]: value for name, value in fields.items() if name in _MOUNT}
    others = set(fields) - set(_MOUNT) - {"type", "readonly", "ro"}
    if fields.get("type", "bind") != "bind" or others or "source" not in named:
        raise BadRequest(
            f"--mount {text}: give /path, /path:/inside or type=bind,source=/path,target=/inside[,readonly]"
        )
    read_only = ":ro" if {"readonly", "ro"} & set(fields) else ""
    return f"{named['source']}:{named.get('target', named['source'])}{read_only}"


def _together(given: Sequence[Given]) -> dict[str, Any]:
    """What several flags say together."""
    by = {g.flag.name: g.value for g in given if not g.flag.key}
    found: dict[str, Any] = {}
    if {"--trans_a", "--trans_b"} & set(by):
        found["task.transposes"] = "".join("t" if f"--trans_{side}" in by else "n" for side in "ab")
    if "--min-bytes" in by or "--max-bytes" in by:
        # AMD's defaults: 1K to 128M (primus/tools/benchmark/rccl_bench_args.py)
        found["task.sizes"] = {"from": by.get("--min-bytes", "1K"), "to": by.get("--max-bytes", "128M"), "factor": 2}
    if "--sizes-mb" in by:
        found["task.sizes"] = [f"{size.strip()}M" for size in by["--sizes-mb"].split(",")]
    if "--model" in by:
        found["model"] = experiment.model(None, by["--model"])
    return found
