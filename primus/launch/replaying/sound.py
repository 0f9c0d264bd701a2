"""What a stranger's run directory may hold: plain data of a sane size. Checked before anything else looks at it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

LARGEST = 64 << 20
"""Bytes of one file that are read: a plan is some tens of kilobytes, and a stranger's file can be anything."""
_MOST = 200_000
"""Values in one config. YAML's aliases make a billion of a few lines; a config has some hundreds."""
_DEEPEST = 60
_LATEST = 1e11
"""Seconds since the epoch: some 3,000 years. Beyond, a date is none."""


def config(text: str) -> dict[str, Any]:
    """A saved config. Raises ValueError, or YAMLError, for what is none."""
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    for count, (key, value) in enumerate(_leaves(found, "", _DEEPEST)):
        if count > _MOST:
            raise ValueError(f"it holds more than {_MOST} values")
        if not isinstance(value, str | int | float | None):
            raise ValueError(f"{key}: a {type(value).__name__} is no value of a config")
        if isinstance(value, str):
            _check_text(key, value)
    return found


def document(text: str) -> Any:
    """What a JSON file holds. Raises ValueError for text that is none, or that could not be written down again."""
    try:
        value = json.loads(text)
        if re.search(r"\\u[dD][89a-fA-F]", text):  # half a character: it cannot be written down again
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("its text is no Unicode") from None
    return value


def plan(value: Any) -> dict[str, Any]:
    """The plan of a run of any age, as far as its state goes by it. Raises ValueError."""
    told = _mapping("it", value)
    config, job = _mapping("config", told.get("config") or {}), _mapping("job", told.get("job") or {})
    for key in ("model", "tracking", "experiment"):
        _mapping(f"config.{key}", config.get(key) or {})
    if not isinstance(job.get("command") or [], list):
        raise ValueError(f"job.command: {job['command']!r:.80} is no command")
    for key in ("nodes", "grace_period"):
        _number(f"job.{key}", job.get(key, 1))
    return told


def node(value: Any) -> dict[str, Any]:
    """What a node said of itself. Raises ValueError where its parts are not of the kind that nodes write."""
    facts = _mapping("it", value)
    for key in ("devices", "cpu", "interpreter", "container", "packages", "outcome"):
        _mapping(key, facts.get(key) or {})
    for key in ("time", "clock_offset", "world_size", "node_rank"):
        _number(key, _or(facts.get(key), 0), _LATEST)
    _number("devices.count", (facts.get("devices") or {}).get("count") or 0)
    outcome = facts.get("outcome") or {}
    _cause(outcome.get("root_cause"))
    for end in _list("outcome.ranks", outcome.get("ranks")):
        _number("outcome.ranks.ended", _or(_mapping("outcome.ranks", end).get("ended"), 0), _LATEST)
    if not isinstance(outcome.get("lost") or [], list) or not isinstance(outcome.get("exit_code") or 0, int):
        raise ValueError(f"outcome: {outcome!r:.80} is no outcome")
    for variable in _list("environment", facts.get("environment")):
        if not all(isinstance(_mapping("environment", variable).get(key), str) for key in ("name", "value")):
            raise ValueError(f"environment: {variable!r:.80} is no variable")
    return facts


def result(value: Any) -> dict[str, Any] | None:
    """How a run ended; None while it has not. Raises ValueError where its parts are not of Primus's kind."""
    if value is None:
        return None
    told = _mapping("it", value)
    if told.get("status") not in ("FINISHED", "FAILED", "KILLED"):
        raise ValueError(f"status: {told.get('status')!r:.80} is no status of a run")
    for key in ("started", "ended", "exit_code"):
        _number(key, _or(told.get(key), 0), _LATEST)
    for name, number in _mapping("metrics", told.get("metrics") or {}).items():
        if isinstance(number, bool) or not isinstance(number, int | float):  # a loss that is NaN is a loss
            raise ValueError(f"metrics.{name}: {number!r:.80} is no number")
    if told.get("step") is not None:
        _number("step", told["step"])
    _cause(told.get("root_cause"))
    _diagnosis(told.get("diagnosis"))
    return told


def _cause(value: Any) -> None:
    cause = _mapping("root_cause", value or {})
    if cause:
        for key in ("rank", "exit_code"):
            _number(f"root_cause.{key}", cause.get(key))
        _number("root_cause.node_rank", _or(cause.get("node_rank"), 0))
        log = cause.get("log")
        if not isinstance(log, str) or log.startswith("/") or ".." in log.split("/"):
            raise ValueError(f"root_cause.log: {log!r:.80} is no log of the run")


def _diagnosis(value: Any) -> None:
    told = _mapping("diagnosis", value or {})
    if not told.get("failure"):  # nothing was found
        return
    _text("diagnosis.cause", told.get("cause"))
    for key in ("figures", "advice"):
        _list(f"diagnosis.{key}", told.get(key))
    others = _list("diagnosis.also", told.get("also"))
    for key, one in (("diagnosis", told), *(("diagnosis.also", _mapping("diagnosis.also", other)) for other in others)):
        _text(f"{key}.title", one.get("title"))
        _text(f"{key}.evidence.text", _mapping(f"{key}.evidence", one.get("evidence")).get("text"))


def _leaves(value: Any, key: str, deeper: int) -> Iterator[tuple[str, Any]]:
    if not deeper:
        raise ValueError(f"{key[:80]}: it is nested too deeply")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str | int | float):
                raise ValueError(f"{key}: {name!r:.80} is no key")
            _check_text(key, str(name))
            yield from _leaves(inner, f"{key}.{name}" if key else str(name), deeper - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{index}]", deeper - 1)
    else:
        yield key, value


def _check_text(key: str, text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{key}: its text is no Unicode") from None


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{key}: {value!r:.80} is no mapping")
    return value


def _text(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{key}: {value!r:.80} is no text")


def _or(value: Any, otherwise: Any) -> Any:
    """The value where there is one: an empty mapping is one, and no number."""
    return otherwise if value is None else value


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value or [], list):
        raise ValueError(f"{key}: {value!r:.80} is no list")
    return value or []


def _number(key: str, value: Any, most: float = 2.0**63) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:  # NaN neither
        raise ValueError(f"{key}: {value!r:.80} is no number")
