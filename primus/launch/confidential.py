"""Secrets on the launch side: what is kept out of the plan, the config and the list of overrides."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from primus.launch.alike import Alike
from primus.launch.config.arguments import key_of
from primus.launch.problems import BadRequest
from primus.node.secrets import MASK, is_secret, redact_url

REDACTED = "<secret>"


def is_confidential(name: str, value: str) -> bool:
    """Whether a variable must go to the ranks by its name alone: a secret's name, or credentials in a URL."""
    return is_secret(name) or redact_url(value) != value or _is_redacted(value)


def _is_redacted(value: str) -> bool:
    return value == REDACTED or f"://{MASK}@" in value


def redacted_config(data: Mapping[str, Any], environ: Mapping[str, str], alike: Alike | None = None) -> dict[str, Any]:
    """The config without secrets: values of secret names and credentials in URLs are replaced.

    Raises BadRequest when the value of a secret variable of this shell stands anywhere else: it would reach the disk.
    """
    known = alike or Alike()
    secrets = known.of("secrets", environ, lambda: _secrets(environ))
    return {k: known.of(f"redacted {k}", v, partial(_clean, v, str(k), secrets)) for k, v in data.items()}


def _secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {v: n for n, v in environ.items() if is_secret(n) and len(v) >= 8}


def _clean(value: Any, key: str, secrets: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v, f"{key}.{k}" if key else str(k), secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(v, f"{key}[{i}]", secrets) for i, v in enumerate(value)]
    if key.startswith("env.set.") and is_secret(key.rpartition(".")[2]):
        return REDACTED
    if not isinstance(value, str):
        return value
    exposed = next((name for secret, name in secrets.items() if secret in value), None)
    if exposed:
        raise BadRequest(f"{key} holds the value of {exposed}. Hand it on by name instead: env.forward=[{exposed}]")
    cleaned = redact_url(value)
    if cleaned != value and key.startswith("task."):
        raise BadRequest(
            f"{key} holds a password in a URL, which every process list would show: give it by env.set.NAME=…"
        )
    return cleaned


def redacted_override(override: str) -> str:
    """An override as it may be kept and typed again: `env.set.HF_TOKEN=<secret>`, less the `++` that Primus adds."""
    key = key_of(override)
    if key == "env.set" or key.startswith("env.set."):
        override = override.removeprefix("++")
    if key.startswith("env.set.") and is_secret(key.rpartition(".")[2]):
        return f"{override.split('=', 1)[0]}={REDACTED}"
    if key in ("env", "env.set") and any(is_secret(word) for word in re.findall(r"\w+", override)):
        return f"{key}={REDACTED}"  # a whole mapping at once
    return redact_url(override)


def holds_secret(override: str) -> bool:
    """Whether an override has something in it that may not be kept."""
    return redacted_override(override).removeprefix("++") != override.removeprefix("++")


def secret_environment(env_set: Mapping[str, str]) -> dict[str, str]:
    """Variables of `env.set` that go to the agent in its own environment, and nowhere else.

    Raises BadRequest for one that a replayed run had and this request does not give.
    """
    secret = {name: value for name, value in env_set.items() if is_confidential(name, value)}
    missing = sorted(name for name, value in secret.items() if _is_redacted(value))
    if missing:
        raise BadRequest(
            f"env.set.{missing[0]} was a secret and is not in the record: "
            f"give it again, or export it and say env.forward=[{missing[0]}]"
        )
    return secret
