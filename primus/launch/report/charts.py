"""Charts as plotly.js takes them: traces and a layout as plain data, without colours of the page. Pure.

The page's script (page.js) adds what depends on light and dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from primus.launch.report.curves import Curve, thin
from primus.launch.report.words import amount

POINTS = 1000
"""Points of a curve at most: more than a screen has columns for them."""

ALL_POINTS = 20_000
"""Points of all curves of a chart together, which keeps a report of hundreds of jobs small."""

# Seen well on white and on black, and told apart by the colour-blind as far as eight can be.
COLOURS = ("#2f80ed", "#e8710a", "#12a07f", "#c2409b", "#8a6df0", "#7f9100", "#d64545", "#17a2c4")
_DASHES = ("solid", "dash", "dot", "dashdot")
_LEGEND = 30
"""Curves whose names fit beside each other; more are told by pointing at them."""
_TICKS = 8
"""Values of a swept number that have room below an axis."""


@dataclass(frozen=True)
class Chart:
    """`axes` offers other things to draw over: the title of an axis, and the x of each trace; the first is shown."""

    title: str
    traces: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    axes: dict[str, list[list[float | None]]] = field(default_factory=dict)
    wide: bool = False


@dataclass(frozen=True)
class Line:
    """One curve of a chart; `over` holds the x of each of its values by the title of an axis, in one order for all."""

    name: str
    values: Sequence[float]
    over: Mapping[str, Sequence[float | None]]
    style: int = 0
    markers: bool = False


@dataclass(frozen=True)
class Clock:
    """Times of an axis: since `start` (seconds since the epoch), in a unit of so many `seconds`."""

    start: float
    unit: str
    seconds: float

    def read(self, times: Sequence[float]) -> list[float]:
        """These times (seconds since the epoch) as the axis shows them."""
        return [(time - self.start) / self.seconds for time in times]


def clock(start: float, length: float) -> Clock:
    """The clock for what takes `length` seconds."""
    unit, seconds = ("seconds", 1.0) if length < 300 else ("minutes", 60.0) if length < 4 * 3600 else ("hours", 3600.0)
    return Clock(start, unit, seconds)


def line(name: str, curve: Curve, scale: float = 1.0, style: int = 0, since: Clock | None = None) -> Line:
    """A curve over its steps, or over the time since the clock's start."""
    over = {since.unit: since.read(curve.times)} if since else {"step": curve.steps}
    return Line(name, [scale * value for value in curve.values] if scale != 1.0 else curve.values, over, style)


def line_chart(title: str, unit: str, lines: Sequence[Line], *, wide: bool = False, zero: bool = False) -> Chart:
    """Lines over the first of their axes, with the others to choose from. `zero`: the y axis begins at 0."""
    most = max(50, min(POINTS, ALL_POINTS // max(1, len(lines))))
    kept = [_parted(thin(one.values, most), one) for one in lines]
    axes = {
        axis: [[_at(one.over[axis], i) for i in chosen] for one, chosen in zip(lines, kept, strict=True)]
        for axis in lines[0].over
        if all(axis in one.over for one in lines)
    }
    first = next(iter(axes))
    traces = tuple(
        _trace(one, [_at(one.values, i) for i in chosen], axes[first][n])
        for n, (one, chosen) in enumerate(zip(lines, kept, strict=True))
    )
    layout = _layout(first, unit, len(lines))
    layout["showlegend"] |= len(lines) == 1 and lines[0].name.casefold() != title.casefold()
    if wide:
        layout["height"] = 340
    if zero:
        layout["yaxis"]["rangemode"] = "tozero"
    return Chart(title, traces, layout, axes if len(axes) > 1 else {}, wide)


def _parted(chosen: Sequence[int], one: Line) -> list[int | None]:
    """The indices, with a gap (None) where the first axis goes back: at a restart steps are done once more."""
    over = next(iter(one.over.values()))
    parted: list[int | None] = []
    for index in chosen:
        before, now = over[parted[-1]] if parted and parted[-1] is not None else None, over[index]
        if before is not None and now is not None and now < before:
            parted.append(None)
        parted.append(index)
    return parted


def _at(values: Sequence[float | None], index: int | None) -> float | None:
    return None if index is None else _short(values[index])


def bar_chart(
    title: str, unit: str, bars: Sequence[tuple[str, float | None, str, int]], least: Sequence[float | None] = ()
) -> Chart:
    """A horizontal bar for each (name, value, value in words, style), the first on top; those without a value empty.

    `least` is what each value must reach: a stroke across its bar.
    """
    names = [name for name, *_ in bars]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [_short(value) for _, value, *_ in bars],
        "y": list(range(len(bars))),
        "text": [words for _, _, words, _ in bars],
        "customdata": names,
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{customdata}: %{text}<extra></extra>",
        "marker": {"color": [COLOURS[style % len(COLOURS)] for *_, style in bars]},
    }
    layout = _layout(unit, "", 1)
    layout["hovermode"] = "closest"
    layout["height"] = max(layout["height"], 110 + 30 * len(bars))
    farthest = max((value or 0.0 for value in (*(value for _, value, *_ in bars), *least)), default=0.0)
    layout["xaxis"]["range"] = [0, _short(1.2 * farthest)]
    layout["bargap"] = 0.4
    layout["yaxis"] |= {
        "autorange": "reversed",
        "showgrid": False,
        "zeroline": False,
        "tickvals": trace["y"],
        "ticktext": [_cut(n) for n in names],
    }
    if any(value is not None for value in least):
        layout["showlegend"], trace["showlegend"] = True, False
        return Chart(title, (trace, _strokes(unit, least)), layout)
    return Chart(title, (trace,), layout)


def _strokes(unit: str, least: Sequence[float | None]) -> dict[str, Any]:
    """Where each bar must reach; how far is in the name where it is the same for all."""
    demanded = {value for value in least if value is not None}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"at least {amount(demanded.pop())} {unit} demanded" if len(demanded) == 1 else "at least, as demanded",
        "x": [_short(value) for value in least],
        "y": list(range(len(least))),
        "hovertemplate": f"at least %{{x}} {unit}<extra></extra>",
        "marker": {"symbol": "line-ns", "size": 26, "line": {"width": 3, "color": COLOURS[1]}},
    }


def point_chart(
    title: str,
    x: str,
    y: str,
    series: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    joined: bool = True,
    zero: bool = False,
) -> Chart:
    """Points for each (name, xs, ys), `joined` by a line; x is logarithmic where it spans a factor of 4.

    `zero`: the y axis begins at 0.
    """
    traces = tuple(
        _trace(Line(name, ys, {}, style, markers=True), [_short(v) for v in ys], list(xs))
        for style, (name, xs, ys) in enumerate(series)
    )
    layout = _layout(x, y, len(series))
    every = [value for _, xs, _ in series for value in xs]
    if min(every) > 0 and max(every) >= 4 * min(every):
        ticks = sorted(set(every))
        layout["xaxis"] |= {"type": "log", "exponentformat": "e"}
        if len(ticks) <= _TICKS:
            words = [f"{tick:g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks]
            layout["xaxis"] |= {"tickvals": ticks, "ticktext": words}
    if not joined:
        for trace in traces:
            trace["mode"] = "markers"
    if zero:
        layout["yaxis"]["rangemode"] = "tozero"
    return Chart(title, traces, layout)


def _trace(one: Line, values: list[float | None], x: Sequence[float | None]) -> dict[str, Any]:
    colour, dash = COLOURS[one.style % len(COLOURS)], _DASHES[one.style // len(COLOURS) % len(_DASHES)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if one.markers or len(values) < 3 else "lines",
        "name": one.name,
        "x": list(x),
        "y": values,
        "line": {"color": colour, "dash": dash, "width": 1.8},
    }


def _layout(x: str, y: str, traces: int) -> dict[str, Any]:
    return {
        "height": 260,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "hovermode": "x unified" if 1 < traces <= len(COLOURS) else "closest",
        "showlegend": 1 < traces <= _LEGEND,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {"title": {"text": x}, "automargin": True},
        "yaxis": {"title": {"text": y}, "automargin": True},
    }


def _short(value: float | None) -> float | None:
    """Six digits: more than a screen shows, and a third of the size."""
    return None if value is None else float(f"{value:.6g}")


def _cut(name: str) -> str:
    """In the middle: names of one chart often begin alike."""
    return name if len(name) <= 28 else f"{name[:10]}…{name[-17:]}"
