"""Levels and exceptions as the lines of real programs show them."""

import pytest

from primus.node import log


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("step 10 loss 2.5 error 0.1", "INFO"),
        ("mean_squared_error: 3", "INFO"),
        ("Traceback (most recent call last):", "ERROR"),
        ("[rank3]: Traceback (most recent call last):", "ERROR"),
        ("ValueError: nan", "ERROR"),
        ("[rank0]: torch.distributed.DistBackendError: NCCL error in: x.cpp:2", "ERROR"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "ERROR"),
        ("2026-11-21 09:08:01 - ERROR - bad", "ERROR"),
        ("[E1121 09:08:01.123456 ProcessGroupNCCL.cpp:616] watchdog", "ERROR"),
        ("[rank1]:[E1121 09:08:01.123456 ProcessGroupNCCL.cpp:616] watchdog", "ERROR"),
        ("Fatal Python error: Segmentation fault", "ERROR"),
        ("[W1121 09:08:01.123456 socket.cpp:752] retry", "WARN"),
        ("/x/y.py:3: UserWarning: deprecated", "WARN"),
        ("[WARNING] slow", "WARN"),
        ("DEBUG:root:x", "DEBUG"),
        ("[Epoch 3] going on", "INFO"),
    ],
)
def test_the_level_is_guessed_from_the_words_of_the_line(line, level):
    assert log.level(line.encode()) == level
    if level != "INFO":
        assert log.notable(line.encode())


def test_the_last_exception_is_named_without_torchs_prefix():
    text = b"[rank1]: KeyError: 'a'\nDuring handling\n[rank1]: pkg.errors.ConfigError: b is wrong\n"
    assert log.last_exception(text) == "pkg.errors.ConfigError: b is wrong"
    assert log.last_exception(b"all is well") is None


@pytest.mark.parametrize(
    ("line", "fatal"),
    [
        (b"Traceback (most recent call last):", True),
        (b"terminate called after throwing an instance of 'c10::Error'", True),
        (b"RuntimeError: CUDA error: an illegal memory access was encountered", True),
        (b"ERROR: retrying", False),
    ],
)
def test_what_a_process_says_before_it_ends(line, fatal):
    assert log.fatal(line) is fatal
    assert log.notable(line)
