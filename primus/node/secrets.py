"""What must never be written down: values of variables with a secret's name, and credentials inside URLs."""

import re
from typing import Callable, Iterable, List, Sequence

MASK = "***"

_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL"  # anywhere: PGPASSWORD, AWS_SECRET_ACCESS_KEY
    r"|(?:^|_)TOKEN(?:_|$)"  # a whole word: HF_TOKEN, GH_TOKEN_RO; not TOKENIZERS_PARALLELISM, MAX_TOKENS
    r"|(?:^|_)(?:API)?KEY$|_PWD$|_PAT$",  # at the end: WANDB_API_KEY, MYSQL_PWD, GITHUB_PAT
    re.IGNORECASE,
)
# The part between :// and the last @ before the path.
_URL_CREDENTIALS = re.compile(r"://[^\s/?#\"'<>]*@")
_URL_CREDENTIALS_BYTES = re.compile(_URL_CREDENTIALS.pattern.encode())
_SHORTEST = 4
HARMLESS = frozenset({"true", "false", "none", "null", "auto"})
"""Values, in lower case, that are no secret under any name."""


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, by its name alone."""
    return name not in ("PWD", "OLDPWD") and _SECRET_NAME.search(name) is not None


def redact_url(text: str) -> str:
    """`https://***@host/x` for `https://user:password@host/x`."""
    return _URL_CREDENTIALS.sub(f"://{MASK}@", text)


def worth_masking(values: Iterable[str]) -> List[str]:
    """Of the values of secrets, those to search output for, longest first.

    Not values under 4 characters, `true` and the like, or short numbers: masking those would make a log unreadable.
    """
    lines = {
        line
        for value in values
        for line in value.splitlines()  # output is searched line by line
        if len(line) >= _SHORTEST and line.lower() not in HARMLESS and not (line.isdigit() and len(line) < 8)
    }
    return sorted(lines, key=lambda v: (-len(v), v))


def redactor(secrets: Sequence[str]) -> Callable[[bytes], bytes]:
    """A function that masks these secrets, and credentials in URLs, in bytes of output.

    A scan of C speed for each secret; bytes without one come back as they are.
    """
    needles = [s.encode(errors="surrogateescape") for s in secrets]
    mask, url_mask = MASK.encode(), f"://{MASK}@".encode()

    def redact(text: bytes) -> bytes:
        for needle in needles:
            if needle in text:
                text = text.replace(needle, mask)
        if b"://" in text and b"@" in text:
            text = _URL_CREDENTIALS_BYTES.sub(url_mask, text)
        return text

    return redact
