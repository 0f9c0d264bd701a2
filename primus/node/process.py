"""The one module that starts processes, for the node agent and for the launch side, and that ends them.

Linux is where jobs run; elsewhere the parts that need the kernel's help (death signal, adoption of orphans, /proc) do
nothing, and ending a process group is all there is.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT

TOO_LATE = 124
"""Exit code of what took longer than it may, as timeout(1) has it."""
BROKEN = 70
"""Exit status of a `fork` whose body raised (EX_SOFTWARE of sysexits.h)."""

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def start(
    argv: Sequence[str],
    *,
    env: Optional[Mapping[str, str]] = None,
    cwd: Optional[str] = None,
    stdin: Any = DEVNULL,
    stdout: Any = None,
    stderr: Any = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = True,
    die_with_parent: bool = False,
    ignored: Sequence[int] = (),
    cores: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start `argv` (never through a shell). Raises OSError where it cannot be started; `filename` says what is missing.

    In a session of its own the process leads a group with its own id: `end_group(pid, ...)` reaches its children too.
    `die_with_parent`: the kernel kills it (SIGKILL) when the thread that called this ends, however that comes about.
    Signals that are `ignored` do nothing to it until it sets a handler of its own. It is kept on `cores`, if any.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
        start_new_session=new_session,
        preexec_fn=_first_steps(die_with_parent, ignored, cores),
    )


def start_piped(
    argv: Sequence[str],
    *,
    env: Optional[Mapping[str, str]] = None,
    cwd: Optional[str] = None,
    errors: bool = True,
    ignored: Sequence[int] = (),
    cores: Sequence[int] = (),
) -> Tuple[int, int]:
    """Start `argv` to die with this process; its id, and a pipe (not blocking) with its output, `errors` included.

    The caller reaps it (os.waitpid) and closes the pipe. Raises OSError as `start` does.
    """
    stderr = STDOUT if errors else DEVNULL
    popen = start(
        argv, env=env, cwd=cwd, stdout=PIPE, stderr=stderr, die_with_parent=True, ignored=ignored, cores=cores
    )
    assert popen.stdout is not None
    pipe = os.dup(popen.stdout.fileno())
    popen.stdout.close()
    popen.returncode = 0  # the caller reaps: Popen must not, nor warn that nobody did
    os.set_blocking(pipe, False)
    return popen.pid, pipe


def ask(
    argv: Sequence[str], seconds: float, *, env: Optional[Mapping[str, str]] = None, cwd: Optional[str] = None
) -> Optional[str]:
    """What a short command prints, or None when it is missing, fails, or takes longer than `seconds`."""
    try:
        process = start(argv, env=env, cwd=cwd, stdout=PIPE, stderr=DEVNULL)
    except (OSError, ValueError):
        return None
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            end_group(process.pid, signal.SIGKILL)
            if process.stdout:
                process.stdout.close()
            _abandon(process)
            return None
    return output.decode(errors="replace") if process.returncode == 0 else None


def collect(process: "subprocess.Popen[bytes]", seconds: float) -> Tuple[int, str, str]:
    """The exit code, output and errors (both pipes) of a process that was started; 124 where it takes longer than so
    many seconds (as of timeout(1)): then it and its group are killed, and what it had said by then is returned.
    """
    late = False
    try:
        out, err = process.communicate(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        late = True
        end_group(process.pid, signal.SIGKILL)
        out, err = b"", b""
        with suppress(subprocess.TimeoutExpired):  # stuck in a driver
            out, err = process.communicate(timeout=1.0)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        _abandon(process)
    code = TOO_LATE if late else process.returncode
    return code, out.decode(errors="replace"), err.decode(errors="replace")


def become(argv: Sequence[str], *, env: Mapping[str, str], cwd: str) -> None:
    """Run `argv` in the place of this process, as its caller would have started it. Raises OSError.

    A program without a slash is looked for on the PATH of `env`.
    """
    os.chdir(cwd)
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a program would inherit
        signal.signal(signum, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), dict(env))


def converse(argv: Sequence[str], seconds: float, *, env: Optional[Mapping[str, str]] = None) -> Tuple[int, str, str]:
    """The exit code of a command, what it printed, and its errors; 127 with the reason where it cannot be started.

    124 where it took longer than `seconds` (as of timeout(1)): then it is killed.
    """
    try:
        process = start(argv, env=env, stdout=PIPE, stderr=PIPE)
    except (OSError, ValueError) as error:
        return 127, "", str(error)
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            end_group(process.pid, signal.SIGKILL)
            process.communicate()
            return TOO_LATE, "", f"no answer in {seconds:.0f} s"
        except BaseException:  # a signal's handler raised
            end_group(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def fork(body: Callable[[], int]) -> int:
    """Run `body` in a copy of this process, whose id it returns; the copy exits with what `body` returns, or BROKEN."""
    for stream in (sys.stdout, sys.stderr):
        if stream:  # None where it was closed at the start
            stream.flush()
    pid = os.fork()
    if pid:
        return pid
    status = BROKEN
    try:
        status = body()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)


def end_group(pid: int, signum: int) -> None:
    """Send a signal to every process of the group that `pid` leads; one that is gone already is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def end(pid: int) -> None:
    """SIGKILL to one process; one that is gone already is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def notify(pid: int, signum: int) -> bool:
    """Send a signal to a process that has a handler for it; False, and nothing sent, where it would die of it.

    Where there is no /proc nothing is sent.
    """
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/status", "rb") as file:
            caught = file.read().split(b"SigCgt:", 1)[1].split(None, 1)[0]
        if int(caught, 16) >> (signum - 1) & 1:
            os.kill(pid, signum)
            return True
    return False


def ready_for_copies() -> None:
    """Have here, once, what each copy of this process (copies.py) would get for itself."""
    _libc()


def adopt_orphans() -> bool:
    """From now on a descendant whose parent ends becomes a child of this process. False where the kernel cannot."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(pid: int, spared: Collection[int] = ()) -> List[int]:
    """Every living process below `pid`, by /proc; empty where there is none. Not those `spared`, nor what is below."""
    children: Dict[int, List[int]] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                state, parent = _state_and_parent(int(name))
                if state not in ("", "Z"):
                    children.setdefault(parent, []).append(int(name))
    found: List[int] = []
    todo = [pid]
    while todo:
        below = [child for child in children.get(todo.pop(), []) if child not in spared]
        found += below
        todo += below
    return found


def end_descendants(
    grace_period: float, patience: float = 5.0, uncounted: Collection[int] = (), spared: Collection[int] = ()
) -> Tuple[int, List[int]]:
    """End and reap every process below this one: SIGTERM, then SIGKILL after `grace_period` seconds.

    Those `spared` stay, with what is below them. Returns how many there were beside those of `uncounted`, and which
    outlived SIGKILL by `patience` seconds (stuck in a driver). To see those whose own parent is gone, `adopt_orphans`
    must have been called before.
    """
    told: Set[int] = set()
    began = time.monotonic()
    while _reap():
        alive = descendants(os.getpid(), spared)
        if spared and not alive:
            break
        waited = time.monotonic() - began
        if waited > grace_period + patience:
            return len(told.difference(uncounted)), alive
        kill = waited >= grace_period
        for pid in alive:
            if kill or pid not in told:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
        told.update(alive)
        time.sleep(0.005)
    return len(told.difference(uncounted)), []


def exit_code(status: int) -> int:
    """A shell's exit code from the status of os.waitpid: 128 + N for a process that signal N killed."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def signal_name(code: int) -> Optional[str]:
    """`SIGKILL` for 137; None for a code that no signal gives."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None


def _reap() -> bool:
    """Collect children that have ended; False when there is none left, ended or not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _abandon(process: "subprocess.Popen[bytes]") -> None:
    """Wait a moment for a killed process; one that is stuck in a driver is left to the kernel."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
    if process.returncode is None:
        process.returncode = -signal.SIGKILL  # else Python warns, or waits for it


def state(pid: int) -> str:
    """The letter that the kernel has for what a process does (proc(5)); empty for one that is gone."""
    return _state_and_parent(pid)[0]


def _state_and_parent(pid: int) -> Tuple[str, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()  # the name before it may hold anything
    except (OSError, IndexError):
        return "", 0
    return fields[0].decode(), int(fields[1])


def began(pid: int) -> Optional[int]:
    """When a process began, in clock ticks since boot (proc(5): field 22 of stat); None: there is none that lives.

    With it a process is known from another one that has its number later.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _first_steps(die_with_parent: bool, ignored: Sequence[int], cores: Sequence[int]) -> Optional[Callable[[], None]]:
    """What a child does before it becomes its program; None for nothing, which lets Python start it faster."""
    parent = os.getpid()
    if die_with_parent and _libc() is None:
        die_with_parent = False
    if not die_with_parent and not ignored and not cores:
        return None

    def child() -> None:
        if cores:
            with suppress(OSError):  # a core that was taken away since: better anywhere than nowhere
                os.sched_setaffinity(0, cores)
        for signum in ignored:
            signal.signal(signum, signal.SIG_IGN)
        if die_with_parent:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it ended before the request: the kernel will not tell
                os.kill(os.getpid(), signal.SIGKILL)

    return child


def _prctl(option: int, value: int) -> bool:
    libc = _libc()
    return libc is not None and libc.prctl(option, value, 0, 0, 0) == 0


_libc_handle: List[Any] = []


def _libc() -> Any:
    """The C library; None where it has no prctl (not Linux) or Python was built without ctypes."""
    if not _libc_handle:
        try:
            import ctypes

            library = ctypes.CDLL(None)
            _libc_handle.append(library if hasattr(library, "prctl") else None)
        except (ImportError, OSError):
            _libc_handle.append(None)
    return _libc_handle[0]
