"""The ranks of a training job: what the training tasks have in common."""

import json
from typing import Any

from primus.launch import checkpoints, container, plugins, throughput
from primus.launch.backend import decided, interpreter
from primus.launch.backend.settings import Settings
from primus.launch.config import consistency
from primus.launch.config.origin import Origins
from primus.launch.config.reading import complaint, typed
from primus.launch.config.request import Gpu, Profile, Request
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.launch.data import asked, check_data
from primus.launch.members import member
from primus.launch.memory import fit
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node.plan import File
from primus.node.typed import DataError, Problem, plain


def work(training: Training, request: Request, source: Origins, place: Place, *, evaluate_only: bool) -> Work:
    """What the backend's ranks do. Raises BadRequest for values that cannot go together, and for missing files."""
    data = asked(request, source)
    backend = member("backend", str(request.backend.get("name")))
    settings = typed(Settings, request.backend, "backend", source)
    nodes = int(request.runtime.get("nodes", 1))
    per_node = request.ranks_per_node or (max(1, place.devices.count) if nodes == 1 else None)
    world_size = nodes * per_node if per_node else None
    try:
        consistency.check(request.model, data, training, world_size)
        _refuse(backend.lacks(request.model, data, training, world_size))
        _refuse(_profile(request.profile, training))
    except DataError as error:
        raise complaint(error, source) from None
    try:
        check_data(data, place.directory)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    content = rank_file(
        settings,
        request.model,
        data,
        training,
        gpu=request.gpu,
        profile=request.profile,
        evaluate_only=evaluate_only,
    )
    notes = checkpoints.cautions(training.checkpoint.load)
    if not evaluate_only:
        model = place.devices.model
        notes += fit.notes(request.gpu, model, request.model, training, settings.name, world_size)
    python = interpreter.choose(settings, backend, place, in_image=container.python(request)).python
    return Work(
        command=(python, "{primus.package}/rank", plugins.worker(settings.name), "{primus.run_dir}/rank.json"),
        backend=settings.name,
        files=(File("rank.json", json.dumps(content, indent=2) + "\n"),),
        environment=settings.environment,
        parallel=training.parallel.degrees(),
        notes=notes,
        decided=decided.by_the_user(backend.rank_config, request.model, data, training, source),
    )


def rank_file(
    settings: Settings,
    model: Model,
    data: Data,
    training: Training,
    *,
    gpu: Gpu,
    profile: Profile,
    evaluate_only: bool,
) -> dict[str, Any]:
    """The content of rank.json: the backend's translation, and what every backend's ranks are told alike."""
    return {
        **member("backend", settings.name).rank_config(model, data, training),
        "data": plain(data),
        "path": settings.path,
        "args": settings.args,
        "throughput": {
            "flops_per_token": throughput.flops_per_token(model, training.sequence_length),
            "peaks": throughput.peaks(gpu),
        },
        "checkpoint": plain(training.checkpoint),
        "evaluation": {**plain(training.eval), "only": evaluate_only},
        "profile": plain(profile),
    }


def _profile(profile: Profile, training: Training) -> list[Problem]:
    steps = profile.steps
    if steps is None or (len(steps) == 2 and 1 <= steps[0] <= steps[1] <= training.steps):
        return []
    return [
        Problem("profile.steps", f"{list(steps)} must be the first and the last step, within 1 to {training.steps}")
    ]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise DataError(problems)
