"""Numbers as people read them. Pure."""

import time


def amount(value: float | None) -> str:
    """`12,345`; three digits of what is below 100."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def decimals(value: float | None, digits: int = 4) -> str:
    """`2.8560`"""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """`41.2 %` for 0.412."""
    return "-" if share is None else f"{100 * share:.1f} %"


def gibibytes(size: float | None) -> str:
    """`0.65 GiB` from bytes."""
    return "-" if size is None else f"{size / 2**30:.2f} GiB"


def duration(seconds: float | None) -> str:
    """`38.9 s`, `12 min 05 s`, `3 h 04 min`."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def size(parameters: int | None) -> str:
    """`3,015,936 (3.0 million)`"""
    if parameters is None:
        return "-"
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if parameters >= unit:
            return f"{parameters:,} ({parameters / unit:.1f} {name})"
    return f"{parameters:,}"


def moment(seconds: float | None) -> str:
    """A time of day here, with the name of its time zone; from seconds since the epoch."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
