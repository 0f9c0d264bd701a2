"""Reading files of JSON lines while they grow."""

import json
from pathlib import Path

import pytest

from primus.launch.record import tail
from primus.launch.record.tail import Position


def line(**values: float) -> str:
    return json.dumps({"time": 1.0, **values}) + "\n"


def read_all(path: Path) -> list[tail.Line]:
    lines: list[tail.Line] = []
    while new := tail.read(path, lines[-1].after if lines else Position()):
        lines += new
    return lines


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert tail.read(tmp_path / "rank-0.jsonl", Position()) == []


def test_a_line_is_read_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text(line(step=1) + line(step=2)[:9])
    first = tail.read(path, Position())
    assert [found.value for found in first] == [{"time": 1.0, "step": 1}]
    assert tail.read(path, first[-1].after) == []
    assert tail.rest(path, first[-1].after) == 9

    path.write_text(line(step=1) + line(step=2))
    second = tail.read(path, first[-1].after)
    assert [found.value for found in second] == [{"time": 1.0, "step": 2}]
    assert (second[-1].after.bytes, second[-1].after.lines) == (path.stat().st_size, 2)
    assert tail.rest(path, second[-1].after) == 0


def test_a_last_line_that_lacks_its_newline_alone_is_whole_once_nothing_writes_any_more(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text(line(step=1) + line(step=2)[:-1])
    first = tail.read(path, Position(), over=True)
    last = tail.read(path, first[-1].after, over=True)
    assert [found.value for found in (*first, *last)] == [{"time": 1.0, "step": 1}, {"time": 1.0, "step": 2}]
    assert (last[-1].after.lines, tail.rest(path, last[-1].after)) == (2, 0)
    assert tail.read(path, last[-1].after, over=True) == []
    assert [found["step"] for found in tail.last_objects(path)] == [1, 2]


@pytest.mark.parametrize(("written", "step"), [("100", 100), ("100.0", 100), ("1e3", 1000), ("0.5", 0.5), ("-0.0", 0)])
def test_a_step_that_was_written_as_a_float_is_a_whole_number(written: str, step: float, tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text(f'{{"time": 1, "step": {written}}}\n')
    (found,) = tail.last_objects(path)
    assert (found["step"], type(found["step"])) == (step, type(step))


def test_broken_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    broken = [
        '{"time": 1, "step"',
        "[1]",
        '{"step": 1}',
        '{"time": NaN}',
        '{"time": "now"}',
        '{"time": 1, "step": 1e99}',
    ]
    path.write_bytes("\n".join(broken).encode() + b"\n\xff\xfe\n" + line(step=7).encode())
    lines = read_all(path)
    assert [found.value for found in lines] == [None] * 7 + [{"time": 1.0, "step": 7}]


def test_a_long_file_is_read_in_pieces_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    long = '{"time": 1, "step": 0, "note": "' + "x" * (2 * tail.PIECE) + '"}\n'
    path.write_text(long + "".join(line(step=n, loss=n / 3) for n in range(1, 60_000)))
    assert len(tail.read(path, Position())) < 60_000
    assert [found.value["step"] for found in read_all(path) if found.value] == list(range(60_000))


@pytest.mark.parametrize("steps", [1, 40, 60])
def test_a_file_that_is_written_anew_is_read_from_its_beginning(steps: int, tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text("".join(line(step=n, loss=1) for n in range(50)))
    position = read_all(path)[-1].after
    path.write_text("".join(line(step=n, loss=2) for n in range(steps)))
    again = tail.read(path, position)
    assert [found.value["step"] for found in again if found.value] == list(range(steps))
    assert (again[-1].after.bytes, again[-1].after.lines) == (path.stat().st_size, steps)


def test_a_file_that_is_emptied_has_nothing_new_until_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.touch()
    assert tail.read(path, Position(10_000, 9)) == []


def test_a_position_without_a_mark_of_an_earlier_primus_is_good_enough(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text(line(step=1) + line(step=2))
    assert len(tail.read(path, Position(len(line(step=1)), 1))) == 1


def test_carriage_returns_end_no_line(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_bytes(b'{"time": 1}\r\n50%\r100%\n{"time": 2}\n')
    lines = read_all(path)
    assert [found.value for found in lines] == [{"time": 1}, None, {"time": 2}]
    assert lines[-1].after.bytes == path.stat().st_size


def test_the_end_of_a_file_is_read_without_its_start(tmp_path: Path) -> None:
    path = tmp_path / "rank-0.jsonl"
    path.write_text("".join(line(step=n) for n in range(100)) + '{"time": 1, "st')
    assert [found["step"] for found in tail.last_objects(path, most=80)] == [98, 99]
    assert len(tail.last_objects(path)) == 100


def test_metrics_are_the_numbers_of_a_line() -> None:
    assert tail.numbers({"time": 1.0, "step": 3, "loss": 2, "ok": True, "phase": "train"}) == {"loss": 2.0}
