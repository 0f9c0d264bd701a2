"""In which order a clock has things done. A GPU's events are played by the host's clock here."""

import time

import pytest
import torch

from primus.rank.benchmark.collectives.clock import Clock

pytestmark = pytest.mark.torch


class Event:
    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        said.append("event")
        self._at = time.perf_counter()

    def elapsed_time(self, later: "Event") -> float:
        return 1e3 * (later._at - self._at)

    def synchronize(self) -> None:
        pass


said: list[str] = []


def test_on_a_cpu_each_call_is_timed_by_the_host() -> None:
    found = Clock(torch.device("cpu")).times(lambda: time.sleep(0.002), 3)
    assert len(found.each) == 3
    assert min(found.each) >= 0.002
    assert found.mean == pytest.approx(sum(found.each) / 3)


def test_a_gpu_has_work_while_calls_are_queued_and_the_mean_is_of_calls_without_an_event_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Work:
        def zero_(self) -> None:
            said.append("work")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    clock = Clock(torch.device("cpu"))
    monkeypatch.setattr(clock, "_work", Work())
    monkeypatch.setattr(clock, "_write", 1.0, raising=False)  # so much that one piece is enough
    said.clear()
    found = clock.times(lambda: said.append("call"), 3)
    met, one, three = ["call"], ["call", "event"], ["call"] * 3
    assert said == [*["call"] * 5, "work", *met, "event", *three, "event", "work", *met, "event", *one, *one, *one]
    assert len(found.each) == 3
