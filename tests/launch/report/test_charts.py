"""Charts as plain data that plotly takes."""

from plotly.graph_objects import Figure

from primus.launch.report.charts import COLOURS, Chart, bar_chart, clock, line, line_chart, point_chart
from primus.launch.report.curves import Curve


def curve(count: int) -> Curve:
    made = Curve()
    for step in range(count):
        made.add(step, 1000.0 + step, step / 3)
    return made


def sound(chart: Chart) -> Chart:
    """The chart, once plotly has checked every name and value in it."""
    Figure(data=list(chart.traces), layout=chart.layout)
    return chart


def test_a_line_chart_has_a_trace_for_each_line_in_colours_of_their_own() -> None:
    chart = sound(line_chart("Loss", "nats", [line(f"job {n}", curve(3), style=n) for n in range(10)]))
    assert [trace["name"] for trace in chart.traces] == [f"job {n}" for n in range(10)]
    assert chart.traces[0]["y"] == [0, 0.333333, 0.666667]
    assert chart.traces[8]["line"]["color"] == chart.traces[0]["line"]["color"] == COLOURS[0]
    assert chart.traces[8]["line"]["dash"] != chart.traces[0]["line"]["dash"]


def test_a_single_line_is_named_only_where_the_title_does_not() -> None:
    assert not line_chart("Loss", "", [line("loss", curve(3))]).layout["showlegend"]
    assert line_chart("Utilisation", "", [line("CPU", curve(3))]).layout["showlegend"]


def test_hundreds_of_long_lines_stay_small() -> None:
    chart = line_chart("Loss", "", [line(str(n), curve(2000), style=n) for n in range(200)])
    assert sum(len(trace["x"]) for trace in chart.traces) < 25_000
    assert not chart.layout["showlegend"]


def test_a_line_is_parted_where_a_restart_does_steps_once_more() -> None:
    made = Curve()
    for step, value in ((1, 5.0), (2, 4.0), (3, 3.0), (2, 4.0), (3, 3.0), (4, 2.0)):
        made.add(step, 10.0 * step, value)
    (trace,) = sound(line_chart("Loss", "", [line("loss", made)])).traces
    assert trace["x"] == [1, 2, 3, None, 2, 3, 4]
    assert trace["y"] == [5, 4, 3, None, 4, 3, 2]


def test_time_is_shown_in_a_unit_that_fits() -> None:
    assert [clock(0, seconds).unit for seconds in (40, 3000, 90_000)] == ["seconds", "minutes", "hours"]
    chart = sound(line_chart("CPU", "%", [line("CPU", curve(3), since=clock(940.0, 3000))]))
    assert list(chart.traces[0]["x"]) == [1.0, 1.01667, 1.03333]
    assert chart.layout["xaxis"]["title"]["text"] == "minutes"


def test_bars_stand_in_the_order_given_with_their_values_in_words() -> None:
    bars = [("a", 3.0, "3 s", 0), ("b", None, "-", 1), ("a", 6.0, "6 s", 2)]
    chart = sound(bar_chart("Start-up", "seconds", bars))
    assert chart.traces[0]["x"] == [3.0, None, 6.0]
    assert chart.layout["yaxis"]["ticktext"] == ["a", "b", "a"]
    assert chart.layout["yaxis"]["autorange"] == "reversed"


def test_points_over_a_wide_range_have_a_logarithmic_axis() -> None:
    wide = sound(point_chart("Loss against lr", "lr", "nats", [("loss", [0.001, 0.003, 0.01], [3.0, 2.0, 4.0])]))
    assert (wide.layout["xaxis"]["type"], wide.layout["xaxis"]["ticktext"]) == ("log", ["0.001", "0.003", "0.01"])
    narrow = sound(point_chart("Loss against seed", "seed", "nats", [("loss", [0.0, 1.0], [3.0, 2.0])]))
    assert "type" not in narrow.layout["xaxis"]


def test_points_of_lengths_have_their_own_ticks_and_may_begin_at_zero() -> None:
    chart = sound(point_chart("Forward", "tokens", "TFLOP/s", [("flash", [512, 1024, 2048], [2, 3, 4])], zero=True))
    assert chart.layout["xaxis"]["ticktext"] == ["512", "1,024", "2,048"]
    assert chart.layout["yaxis"]["rangemode"] == "tozero"


def test_what_bars_must_reach_is_a_stroke_across_each_and_a_name_where_it_is_the_same() -> None:
    bars = [("a", 3.0, "3", 0), ("b", 4.0, "4", 0)]
    same = sound(bar_chart("GEMM", "TFLOP/s", bars, [5.0, 5.0]))
    assert same.traces[1]["name"] == "at least 5 TFLOP/s demanded"
    assert same.layout["xaxis"]["range"] == [0, 6.0]
    of_two_kinds = sound(bar_chart("GEMM", "TFLOP/s", bars, [2.0, None]))
    assert (of_two_kinds.traces[1]["x"], of_two_kinds.traces[1]["y"]) == ([2.0, None], [0, 1])
    assert len(bar_chart("GEMM", "TFLOP/s", bars, [None, None]).traces) == 1
