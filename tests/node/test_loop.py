"""Loops that follow one another in one process."""

import os
import signal

from primus.node.loop import Loop


def test_a_closed_loop_leaves_no_file_open_and_the_next_one_gets_the_signals() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    try:
        opened = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            loop, got = Loop(), list[int]()
            loop.on_signals([signal.SIGUSR2], got.append)
            os.kill(os.getpid(), signal.SIGUSR2)
            while not got:
                loop.turn()
            loop.close()
            assert got == [signal.SIGUSR2]
            assert len(os.listdir("/proc/self/fd")) == opened
    finally:
        signal.signal(signal.SIGUSR2, before)
