"""A report as one HTML file: sections in, text out. Pure but for page.css, page.js and plotly.js, which it reads."""

import base64
import importlib.util
import json
import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from primus.launch.report.charts import Chart

_HERE = Path(__file__).parent

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1>$title $status</h1>
<p>$summary</p>
</header>
<main>
$sections
</main>
$scripts</body>
</html>
""")

_SCRIPTS = Template("""<!-- plotly.js by Plotly, Inc., MIT license, compressed with zlib, as base64 -->
<script type="text/plain" id="plotly">$plotly</script>
<script type="application/json" id="charts">$charts</script>
<script>
$script</script>
""")


@dataclass(frozen=True)
class Cell:
    """A value in a table. `kind`: `best` of its column, or the status (finished, failed, killed) that it says."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values, one below the other."""

    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A row for each run; the first column names it. `left` are the places of columns of text, the others hold numbers.

    `words`: all are of text.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    words: bool = False
    left: Collection[int] = ()


@dataclass(frozen=True)
class Charts:
    """Charts beside each other where there is room."""

    title: str
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Text:
    """Text as it is; `folded` until somebody wants to see it."""

    title: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawing: `svg` is an element of SVG, whose parts take their colours by the classes of page.css."""

    title: str
    svg: str


Section = Facts | Table | Charts | Text | Picture


@dataclass(frozen=True)
class Page:
    """A report. `status` is FINISHED, FAILED, KILLED or RUNNING; empty: none is shown."""

    title: str
    status: str
    summary: str
    sections: Sequence[Section]


def html(page: Page) -> str:
    """The whole file. With charts it has plotly.js in it, 1.9 MB; without any it is a few kilobytes."""
    charts = [chart for section in page.sections if isinstance(section, Charts) for chart in section.charts]
    numbers = iter(range(len(charts)))
    sections = "\n".join(_section(section, [next(numbers) for _ in _charts(section)]) for section in page.sections)
    status = escape(page.status.lower())
    pill = f'<span class="status {status}">{status}</span>' if page.status else ""
    return _PAGE.substitute(
        title=escape(page.title),
        style=_file("page.css"),
        status=pill,
        summary=escape(page.summary),
        sections=sections,
        scripts=_scripts(charts) if charts else "",
    )


def _section(section: Section, numbers: Sequence[int]) -> str:
    title = f"<h2>{escape(section.title)}</h2>"
    match section:
        case Facts():
            rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in section.rows)
            return f'<section class="facts">{title}\n<dl>\n{rows}</dl></section>'
        case Table():
            return f"<section>{title}\n{_table(section)}</section>"
        case Charts():
            drawn = "\n".join(_figure(chart, n) for chart, n in zip(section.charts, numbers, strict=True))
            return f'<section class="bare">{title}\n<div class="charts">\n{drawn}\n</div></section>'
        case Text():
            text = f"<pre>{escape(section.text)}</pre>"
            if section.folded:
                return f"<section><details><summary>{escape(section.title)}</summary>\n{text}</details></section>"
            return f"<section>{title}\n{text}</section>"
        case Picture():
            return f'<section>{title}\n<div class="scroll">{section.svg}</div></section>'


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_class("left" if n in table.left else "")}>{escape(name)}</th>'
        for n, name in enumerate(table.head)
    )
    head = f"<thead><tr>{head}</tr></thead>"
    body = "".join(f"<tr>{_cells(row, table.left)}</tr>\n" for row in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    kind = ' class="words"' if table.words else ""
    return f'<div class="scroll"><table{kind}>\n{head}\n<tbody>\n{body}</tbody></table></div>{note}'


def _cells(row: Sequence[Cell], left: Collection[int]) -> str:
    first, *rest = row
    sides = ("left" if n in left else "" for n in range(1, len(row)))
    marked = "".join(
        f"<td{_class(cell.kind, side)}>{escape(cell.text)}</td>" for cell, side in zip(rest, sides, strict=True)
    )
    return f'<th scope="row">{escape(first.text)}</th>{marked}'


def _class(*names: str) -> str:
    there = " ".join(filter(None, names))
    return f' class="{escape(there)}"' if there else ""


def _figure(chart: Chart, number: int) -> str:
    size = f' style="min-height:{chart.layout["height"]}px"'
    buttons = "".join(
        f'<button type="button" data-axis="{escape(axis)}">{escape(axis)}</button>' for axis in chart.axes
    )
    over = f'<span class="axes" aria-label="horizontal axis">{buttons}</span>' if buttons else ""
    return (
        f'<figure id="chart-{number}"{" class=wide" if chart.wide else ""}>'
        f'<figcaption>{escape(chart.title)}{over}</figcaption><div class="plot"{size}></div></figure>'
    )


def _charts(section: Section) -> Sequence[Chart]:
    return section.charts if isinstance(section, Charts) else ()


def _scripts(charts: Sequence[Chart]) -> str:
    data = json.dumps([asdict(chart) for chart in charts], ensure_ascii=False, separators=(",", ":"))
    return _SCRIPTS.substitute(
        plotly=_plotly(),
        charts=data.replace("<", "\\u003c"),  # no text in it ends the script
        script=_file("page.js"),
    )


@cache
def _plotly() -> str:
    """plotly.js as base64 of zlib: 1.9 MB instead of 4.8, unpacked by the browser. Nothing of plotly is imported."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("plotly is not installed; it is a dependency of Primus", name="plotly")
    script = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return base64.b64encode(zlib.compress(script.read_bytes(), 9)).decode()


@cache
def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
