"""Stacks as py-spy and faulthandler tell them, and what they say of a rank."""

import faulthandler
import json
import threading
from pathlib import Path

import pytest

from primus.node.stacks import Doing, Frame, Stack, doing, lines, of_faulthandler, of_py_spy

TORCH = "/site-packages/torch/distributed/distributed_c10d.py"


def main_thread(*frames: tuple[str, str, int]) -> list[Stack]:
    return [Stack("MainThread", tuple(Frame(*frame) for frame in frames), main=True)]


def test_a_dump_of_faulthandler_is_read_with_all_threads(tmp_path: Path) -> None:
    ready, over = threading.Event(), threading.Event()

    def wait_beside() -> None:
        ready.set()
        over.wait()

    thread = threading.Thread(target=wait_beside)
    thread.start()
    ready.wait()
    with (tmp_path / "dump").open("w+") as file:
        faulthandler.dump_traceback(file)
        over.set()
        file.seek(0)
        stacks = of_faulthandler(f"step 3\n{file.read()}done\n")
    thread.join()
    assert [stack.main for stack in stacks].count(True) == 1
    main = next(stack for stack in stacks if stack.main)
    assert main.frames[0].function == "test_a_dump_of_faulthandler_is_read_with_all_threads"
    assert main.frames[0].file == __file__
    assert any(frame.function == "wait_beside" for stack in stacks for frame in stack.frames)


def test_a_dump_of_py_spy_is_read() -> None:
    frames = [{"name": "load", "filename": "/code/train.py", "line": 7, "short_filename": "train.py"}]
    thread = {"pid": 5, "thread_id": 1, "thread_name": "MainThread", "os_thread_id": 5, "frames": frames}
    assert of_py_spy(json.dumps([thread])) == main_thread(("load", "/code/train.py", 7))


@pytest.mark.parametrize("text", ["", "Error: no such process", "{}", "[3]", '[{"frames": [{}]}]', "[[]]"])
def test_what_is_no_dump_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_py_spy(text)


def test_the_innermost_call_of_torch_distributed_is_the_collective_and_its_caller_the_place() -> None:
    stacks = main_thread(
        ("all_reduce", f"/pv{TORCH}", 3252),
        ("wrapper", "/pv/site-packages/torch/distributed/c10d_logger.py", 83),
        ("dist_mean", "/pv/site-packages/torchtitan/distributed/utils.py", 60),
        ("Trainer.train_step", "/pv/site-packages/torchtitan/trainer.py", 977),
    )
    assert doing(stacks) == Doing("all_reduce", "Trainer.train_step, trainer.py:977", waits=True)


def test_making_a_process_group_is_the_rendezvous() -> None:
    stacks = main_thread(("init_process_group", f"/pv{TORCH}", 1800), ("<module>", "/code/train.py", 3))
    assert doing(stacks) == Doing("the rendezvous", "<module>, train.py:3", waits=True)


def test_elsewhere_a_rank_is_in_the_innermost_function_that_is_not_of_the_standard_library() -> None:
    stacks = main_thread(
        ("wait", "/usr/lib/python3.12/threading.py", 355),
        ("_next_data", "/usr/lib/python3.12/site-packages/torch/utils/data/dataloader.py", 733),
        ("train", "/code/train.py", 12),
    )
    assert doing(stacks) == Doing("_next_data", "dataloader.py:733", waits=False)


def test_without_a_stack_nothing_is_known() -> None:
    assert doing([]) is None
    assert doing([Stack("MainThread", (), main=True)]) is None


def test_the_main_thread_comes_last_for_who_looks_at_the_end_of_a_log() -> None:
    beside = Stack("loader", (Frame("get", "/code/data.py", 4),))
    assert lines([*main_thread(("load", "/code/train.py", 7)), beside]) == [
        "thread loader, innermost call first:",
        "  get (/code/data.py:4)",
        "thread MainThread, innermost call first:",
        "  load (/code/train.py:7)",
    ]
