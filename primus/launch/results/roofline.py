"""The roofline model: arithmetic that memory and processor allow, over the arithmetic done for each byte moved. Pure.

Williams, Waterman and Patterson 2009, https://doi.org/10.1145/1498765.1498785. The roofs here are measured.
"""

from collections.abc import Sequence
from typing import Any

from primus.launch.report.charts import COLOURS, Chart
from primus.launch.report.words import amount
from primus.launch.results import Row

_MARGIN = 4.0
"""How far the roofs go on beyond the outermost points: a factor."""


def chart(points: Sequence[Row], ceilings: Sequence[Row]) -> Chart | None:
    """`points` have dtype, intensity (FLOP per byte) and tflops; `ceilings` say `what`: `memory`, or a dtype.

    None where nothing was measured that could be drawn.
    """
    drawn = [row for row in points if row.get("intensity") and row.get("tflops")]
    memory = next((row["bandwidth"] for row in ceilings if row.get("what") == "memory" and row.get("bandwidth")), None)
    tops = {str(row["what"]): float(row["tflops"]) for row in ceilings if row.get("tflops")}
    if not drawn or memory is None:
        return None
    low = min(row["intensity"] for row in drawn) / _MARGIN
    dtypes = list(dict.fromkeys(str(row["dtype"]) for row in drawn))
    traces: list[dict[str, Any]] = []
    for style, dtype in enumerate(dtypes):
        own = [row for row in drawn if row["dtype"] == dtype]
        if dtype in tops:
            traces += [_roof(dtype, memory, tops[dtype], low, max(r["intensity"] for r in drawn) * _MARGIN, style)]
        traces += [_points(dtype, own, style) | ({"showlegend": False} if dtype in tops else {})]
    layout = {
        "height": 420,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "hovermode": "closest",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {"title": {"text": "FLOP per byte"}, "automargin": True, "type": "log"},
        "yaxis": {"title": {"text": "TFLOP/s"}, "automargin": True, "type": "log"},
    }
    title = f"Products under the measured roofs; memory {amount(memory)} GB/s"
    return Chart(title, tuple(traces), layout, wide=True)


def _roof(dtype: str, bandwidth: float, top: float, low: float, high: float, style: int) -> dict[str, Any]:
    """`bandwidth` in GB/s up to the ridge, then the top (TFLOP/s)."""
    ridge = 1e3 * top / bandwidth
    x = [min(low, ridge / _MARGIN), ridge, max(high, ridge * _MARGIN)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{dtype}: {amount(top)} TFLOP/s",
        "legendgroup": dtype,
        "x": x,
        "y": [min(top, one * bandwidth / 1e3) for one in x],
        "line": {"color": COLOURS[style % len(COLOURS)], "width": 1.6, "dash": "dash"},
    }


def _points(dtype: str, rows: Sequence[Row], style: int) -> dict[str, Any]:
    names = [" ".join(filter(None, [str(r.get("layer") or ""), f"{r['m']}x{r['n']}x{r['k']}"])) for r in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": dtype,
        "legendgroup": dtype,
        "x": [row["intensity"] for row in rows],
        "y": [row["tflops"] for row in rows],
        "text": names,
        "hovertemplate": "%{text}<br>%{y:.4g} TFLOP/s at %{x:.4g} FLOP/B<extra>" + dtype + "</extra>",
        "marker": {"color": COLOURS[style % len(COLOURS)], "size": 9},
    }
