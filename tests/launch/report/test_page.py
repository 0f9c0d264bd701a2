"""A report as one HTML file."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser

from primus.launch.report.charts import line, line_chart
from primus.launch.report.curves import Curve
from primus.launch.report.page import Cell, Charts, Facts, Page, Table, Text, html


def curve() -> Curve:
    made = Curve()
    for step in range(3):
        made.add(step, step, step)
    return made


def page(*sections: Facts | Table | Charts | Text) -> str:
    return html(Page("a <b>", "FINISHED", "x & y", sections))


class Parts(HTMLParser):
    """Tags and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_text_is_never_markup() -> None:
    text = page(Facts("<i>", [("<u>", "<s>")]), Table("t", ["<q>"], [[Cell("<var>")]]), Text("t", "<script>alert(1)"))
    assert not {"b", "i", "u", "s", "q", "var", "script"} & {tag for tag, _ in Parts(text).tags}
    assert "&lt;script&gt;alert(1)" in text


def test_a_report_without_charts_is_small_and_has_no_script() -> None:
    assert len(page(Facts("Figures", [("loss", "1")]))) < 10_000


def test_a_report_with_charts_holds_plotly_and_their_data_once_and_links_to_nothing() -> None:
    chart = line_chart("Loss", "", [line("</script><script>alert(1)", curve())])
    text = page(Charts("One", [chart]), Charts("Two", [chart, chart]))
    assert len(text) < 2_000_000
    parts = Parts(text)
    assert [attributes.get("id") for tag, attributes in parts.tags if tag == "script"] == ["plotly", "charts", None]
    assert not [attributes for _, attributes in parts.tags if {"href", "src"} & set(attributes)]
    packed = re.search(r'id="plotly">([^<]*)<', text)
    assert packed
    assert zlib.decompress(base64.b64decode(packed[1])).startswith(b"/**\n* plotly.js")
    data = re.search(r'id="charts">([^<]*)<', text)
    assert data
    assert [c["traces"][0]["name"] for c in json.loads(data[1])] == ["</script><script>alert(1)"] * 3
    assert [a["id"] for tag, a in parts.tags if tag == "figure"] == ["chart-0", "chart-1", "chart-2"]


def test_columns_of_text_stand_left() -> None:
    text = page(Table("t", ["", "a", "b"], [[Cell("x"), Cell("pass", "best"), Cell("2")]], left=[1]))
    assert '<th scope="col" class="left">a</th><th scope="col">b</th>' in text
    assert '<td class="best left">pass</td><td>2</td>' in text


def test_the_best_value_of_a_column_is_marked() -> None:
    assert '<td class="best">1</td><td>2</td>' in page(
        Table("t", ["", "a", "b"], [[Cell("x"), Cell("1", "best"), Cell("2")]])
    )
