"""`task=setup backend=<name>`: make the environment whose interpreter the ranks of a backend run with."""

import shlex
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from primus.launch import place
from primus.launch.backend import interpreter, pythons
from primus.launch.backend.environments import Environment, Made, environment
from primus.launch.backend.install import Display, make
from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import OK


@dataclass(frozen=True)
class Settings:
    """Nothing but its name: what is installed is `backend.setup`."""

    name: str


def describe(task: Settings, request: Request) -> str:
    """Every command that `act` would run; starts none."""
    backend, here, goal = _asked(request)
    made = goal.made()
    if made:
        return _ready(goal, made)
    commands = [shlex.join(step.argv) for step in goal.steps(pythons.expected(backend, here))]
    lines = [f"make {goal.directory}:", *commands, shlex.join(goal.freeze())]
    return "\n  ".join(lines) + f"\nlog     {goal.log}"


def act(task: Settings, request: Request) -> int:
    """Make it, unless it is there. Raises Unfit where it cannot be made, BadRequest for a wrong `backend.setup`."""
    backend, here, goal = _asked(request)
    module = member("backend", backend.name)
    made = goal.made()
    if made:
        print(_ready(goal, made))
    else:
        base = pythons.find(backend, here)
        with _display() as display:
            display.line(f"making {goal.directory} with {base}")
            made = make(goal, base, display)
        took = f"{len(made.packages)} packages, {made.seconds:.0f} s"
        print(f"python  {goal.python}  (Python {made.python}, {took})\nlog     {goal.log}")
    serves = interpreter.choose(backend, module, here)
    if serves.python != str(goal.python):
        print(f"Jobs take {serves.python}, {serves.why}. This one serves with backend.python={goal.python}")
    return OK


def _asked(request: Request) -> tuple[Backend, Place, Environment]:
    backend = typed(Backend, request.backend, "backend", Origins((), (), {}))
    here = place.here(request.gpu.name)
    return backend, here, environment(backend, here)


def _ready(goal: Environment, made: Made) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(made.time))
    about = f"Python {made.python}, {len(made.packages)} packages, since {when}"
    return f"nothing to do: the requirements are those of {goal.directory}\npython  {goal.python}  ({about})"


def _display() -> "_Terminal | _Plain":
    return _Terminal() if sys.stdout.isatty() else _Plain()


class _Terminal(Display):
    """One line that tells what pip does and for how long; gone at the end."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            TimeElapsedColumn(),
            console=Console(highlight=False),
            transient=True,
            expand=True,
        )
        self._does = ""
        self._task = self._progress.add_task("")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, does: str) -> None:
        self._does = does
        self._progress.update(self._task, description=does)

    def activity(self, text: str) -> None:
        self._progress.update(self._task, description=f"{self._does}: {text}")

    def line(self, text: str) -> None:
        self._progress.console.print(Text(text))


class _Plain(Display):
    """A line for each step."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def step(self, does: str) -> None:
        self.line(does)

    def activity(self, text: str) -> None:
        return

    def line(self, text: str) -> None:
        print(text, flush=True)
