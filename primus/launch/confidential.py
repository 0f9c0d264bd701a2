"""Secrets on the launch side: what is kept out of the plan, the config and the list of overrides."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from primus.launch.alike import Alike
from primus.launch.config.arguments import key_of, quoted
from primus.launch.problems import BadRequest
from primus.node.secrets import HARMLESS, MASK, is_secret, redact_url

REDACTED = "<secret>"
_TERM = re.compile(
    r"token_|(?:^|_)(?:bos|eos|eod|pad|unk|mask|sep|cls|begin|start|end|stop|prefix|middle|suffix|special|vision|image"
    r"|audio|video|ghost|first|last|next|per)_token$"
    r"|^(?!.*(?:api|access|private|auth|account|storage|ssh|deploy|license|signing|encryption|wandb|hf)_?key$).*key$"
    r"|_(?:file|path|dir|name|stdin)$"
)
"""Names in lower case that only look like a secret's: of a vocabulary (eos_token), of data (text_key), of places."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PAIR = re.compile(r"""(?<![\w-])([\w-]+)["']?\s*:(?=([^,}]{0,80}))""")
"""In a mapping as it is typed, the value by its start; what is inside of it is looked at as well."""
_URL_KEYS = ("env.set.", "tracking.uri")
"""Keys whose URLs may hold credentials: they go on by the environment, and are kept without."""


def is_confidential(name: str, value: str) -> bool:
    """Whether a variable must go to the ranks by its name alone: a secret's name, or credentials in a URL."""
    return is_secret(name) or redact_url(value) != value or _is_redacted(value)


def _is_redacted(value: str) -> bool:
    return value == REDACTED or f"://{MASK}@" in value


def gives_secret(key: str, value: object) -> bool:
    """Whether `key: value` gives a secret away: text under a secret's name that does not merely name its variable."""
    name = _name(key)
    if not is_secret(name) or value is None:
        return False
    if key.rpartition(".")[0].endswith((".environment", "env.set")):
        return True
    if not isinstance(value, str) or (name != name.upper() and _TERM.search(name)):
        return False
    text = value.strip(" '\"")
    named = _VARIABLE.fullmatch(text) and is_secret(text)  # as in data.token=HF_TOKEN
    return bool(text) and text.lower() not in HARMLESS and not named


def _name(key: str) -> str:
    """The last part of a key as a variable would be called: `api_key` of `a.api-key[0]`."""
    return key.rpartition(".")[2].split("[")[0].replace("-", "_")


def redacted_config(
    data: Mapping[str, Any],
    environ: Mapping[str, str],
    alike: Alike | None = None,
    origin: Callable[[str], str] = lambda _: "",
) -> dict[str, Any]:
    """The config without secrets: those of `env.set`, and credentials in URLs, are replaced.

    Raises BadRequest where a secret, by its name or as the value of a secret variable of this shell, stands anywhere
    else: it would reach the disk. `origin` says where the value of a key came from.
    """
    known = alike or Alike()
    secrets = known.of("secrets", environ, lambda: _secrets(environ))
    return {k: known.of(f"redacted {k}", v, partial(_clean, v, str(k), secrets, origin)) for k, v in data.items()}


def exposed(text: str, environ: Mapping[str, str]) -> str | None:
    """The name of a secret variable of this shell whose value stands in `text`."""
    return _exposed(text, _secrets(environ))


def _secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {v: n for n, v in environ.items() if is_secret(n) and len(v) >= 8}


def _exposed(text: str, secrets: Mapping[str, str]) -> str | None:
    return next((name for secret, name in secrets.items() if secret in text), None)


def _clean(value: Any, key: str, secrets: Mapping[str, str], origin: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v, f"{key}.{k}" if key else str(k), secrets, origin) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(v, f"{key}[{i}]", secrets, origin) for i, v in enumerate(value)]
    if key.startswith("env.set.") and is_secret(key.rpartition(".")[2]):
        return REDACTED
    name = _exposed(value, secrets) if isinstance(value, str) else None
    if name:  # what was typed would show it
        raise BadRequest(f"{key} holds the value of {name}. Hand it on by name instead: env.forward=[{name}]")
    wrong = _wrong(value, key)
    if wrong:
        came = origin(key)
        raise BadRequest(wrong + (f"  ({came})" if came else ""))
    return redact_url(value) if isinstance(value, str) else value


def _wrong(value: Any, key: str) -> str:
    """What is wrong with a value that would be kept as it is; empty: nothing."""
    if gives_secret(key, value):
        if key == "data.token":
            return (
                "data.token is the name of the variable that holds the access token, in capitals, such as HF_TOKEN; "
                "the token itself is given by env.set.HF_TOKEN=… or env.forward=[HF_TOKEN]"
            )
        name = _name(key).upper()
        return (
            f"{key} is a secret by its name, and would be kept with the run as it stands: "
            f"give it by env.set.{name}=… or env.forward=[{name}]"
        )
    if isinstance(value, str) and f"://{MASK}@" in redact_url(value) and not key.startswith(_URL_KEYS):
        return f"{key} holds a password in a URL, which would be kept with the run: give it by env.set.NAME=…"
    return ""


def redacted_override(override: str) -> str:
    """An override as it may be kept and typed again: `env.set.HF_TOKEN=<secret>`, less the `++` that Primus adds."""
    key, (before, equals, value) = key_of(override), override.partition("=")
    if key == "env.set" or key.startswith("env.set."):
        before = before.removeprefix("++")
    inside = _PAIR.findall(value) if "{" in value else ()  # a whole mapping at once
    of_variables = key in ("env", "env.set")
    if equals and (
        gives_secret(key, value)
        or any(is_secret(name) if of_variables else gives_secret(f"{key}.{name}", text) for name, text in inside)
    ):
        return f"{before}={REDACTED}"
    return redact_url(f"{before}{equals}{value}")


def printable(override: str) -> str:
    """An override by which Hydra composes the same config, less its secrets."""
    shown = redacted_override(override)
    if shown.endswith(f"={REDACTED}"):
        return f"{override.partition('=')[0]}={quoted(REDACTED)}"
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
