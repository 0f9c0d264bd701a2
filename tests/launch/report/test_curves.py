"""Metrics over a run, made few enough to draw."""

import math

from primus.launch.report.curves import Curve, at_steps, curves, spread, steady, thin


def curve(*values: float, times: tuple[float, ...] | None = None) -> Curve:
    made = Curve()
    for step, value in enumerate(values):
        made.add(step, (times or range(len(values)))[step], value)
    return made


def test_lines_become_curves_by_name() -> None:
    lines = [
        {"time": 1.0, "step": 3, "loss": 2.5, "note": "text"},
        {"time": 2.0, "step": 3, "validation_loss": 2.0},
        {"time": 3.0, "step": 4, "loss": 2.25},
    ]
    found = curves(lines)
    assert set(found) == {"loss", "validation_loss"}
    assert (list(found["loss"].steps), list(found["loss"].times), list(found["loss"].values)) == (
        [3, 4],
        [1, 3],
        [2.5, 2.25],
    )


def test_samples_without_a_step_are_counted_and_what_is_not_finite_is_left_out() -> None:
    found = curves([{"time": 1.0, "a": 1.0}, {"time": 2.0, "a": math.nan}, {"time": 3.0, "a": -math.inf, "b": 1.0}])
    assert list(found["a"].steps) == [0]
    assert list(found["b"].steps) == [2]


def test_a_steady_value_is_the_median_of_the_steps_after_the_first_five() -> None:
    assert steady(curve(1, 1, 1, 1, 1, 10, 30, 20, 40, 50, 60)) == 35
    assert steady(curve(1, 1, 8, 10)) == 9
    assert steady(curve(7)) == 7
    assert steady(curve()) is None


def test_the_values_of_a_curve_can_be_asked_for_by_step() -> None:
    assert at_steps([0, 1, 9], curve(10, 20, 30)) == [10, 20, None]


def test_a_long_curve_is_thinned_without_losing_its_spikes_or_its_ends() -> None:
    values = [0.0] * 100_000
    values[12_345], values[77_777] = 9.0, -9.0
    kept = thin(values, 1000)
    assert len(kept) <= 1002
    assert {0, 12_345, 77_777, 99_999} <= set(kept)
    assert kept == sorted(kept)
    assert thin([1.0, 2.0], 1000) == [0, 1]


def test_many_curves_become_the_lowest_the_median_and_the_highest() -> None:
    group = [curve(n, 10 + n, times=(0.0, 60.0)) for n in range(9)]
    low, middle, high = spread(group, 2)
    assert [list(c.values) for c in (low, middle, high)] == [[0, 10], [4, 14], [8, 18]]
    assert list(low.times) == [0, 60]
    assert list(spread([curve(5, times=(1.0,))], 10)[0].values) == [5]
