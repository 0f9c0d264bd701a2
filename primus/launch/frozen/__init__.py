"""The code of a queued job as it was when it was submitted: paths that a plan can name before, and what lies there.

`<output.root>/.code/` keeps each content once: the source tree of the user by what git makes of it (source.py),
this package, and the packages of plugins that are installed editable (storing.py). `code/source`, `code/primus` and
`code/plugins` of a run are links into it; a plan names only those.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from primus.launch import plugins
from primus.launch.place import Place
from primus.node import rundir
from primus.node.plan import Note, Plan


def as_the_job_sees(place: Place, run: Path) -> Place:
    """The place of a frozen job, whose run directory is `run`. Pure: nothing need be there yet."""
    here = place.directory
    if place.code.commit is not None:
        here = run / rundir.SOURCE / here.relative_to(place.code.directory)
    return replace(place, directory=here, primus=run / rundir.PRIMUS)


def command(words: Sequence[str]) -> tuple[str, ...]:
    """The command of a frozen job's ranks: the rank side of a plugin that somebody works on is that of the snapshot."""
    found = []
    for word in words:
        for plugin in (one for one in plugins.installed() if one.live):
            if Path(word).is_relative_to(plugin.directory):
                inside = Path(rundir.PLUGINS, plugin.package, Path(word).relative_to(plugin.directory))
                word = f"{{primus.run_dir}}/{inside}"
        found.append(word)
    return tuple(found)


def stood_in(plan: Plan) -> Path:
    """The directory in which the command of this plan was typed: of a frozen job not the one that it runs in."""
    inside, source = Path(plan.job.directory), Path(plan.directory) / rundir.SOURCE
    return Path(plan.code.directory) / inside.relative_to(source) if inside.is_relative_to(source) else inside


def notes(place: Place) -> tuple[Note, ...]:
    """What a frozen job takes from elsewhere all the same, as warnings."""
    found = []
    root = Path(place.code.directory)
    if place.code.commit is None:
        text = f"{place.directory} is in no git commit, so it is not frozen: the job runs what is there when it starts"
        return (Note("code", text, warning=True),)
    for entry in place.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry and Path(entry).is_absolute() and Path(entry).is_relative_to(root):
            text = f"PYTHONPATH holds {entry}: what ranks import from there is not frozen; a relative path would be"
            found.append(Note("code", text, warning=True))
    return tuple(found)
