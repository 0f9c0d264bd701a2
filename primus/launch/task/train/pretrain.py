"""`task=train/pretrain`: train a model from scratch with the framework of the chosen backend."""

import json

from primus.launch.config import consistency
from primus.launch.config.origin import Origins
from primus.launch.config.reading import complaint, typed
from primus.launch.config.request import Request
from primus.launch.config.terms import DATA, Pretrain
from primus.launch.data import check_files, check_tokenizer
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node.plan import File
from primus.node.typed import DataError, closest

Settings = Pretrain


def work(task: Pretrain, request: Request, source: Origins, place: Place) -> Work:
    """The backend's work for this training. Raises BadRequest for values that cannot go together."""
    name = str(request.data.get("name"))
    if name not in DATA:
        raise BadRequest(f"data.name: {name!r} is none of {', '.join(DATA)}.{closest(name, DATA)}")
    data = typed(DATA[name], request.data, "data", source)
    backend = member("backend", str(request.backend.get("name")))
    settings = typed(backend.Settings, request.backend, "backend", source)
    nodes = int(request.runtime.get("nodes", 1))
    per_node = request.ranks_per_node or (max(1, place.devices.count) if nodes == 1 else None)
    try:
        consistency.check(request.model, data, task, nodes * per_node if per_node else None)
    except DataError as error:
        raise complaint(error, source) from None
    try:
        check_files(getattr(data, "files", None), place.directory)
        check_tokenizer(data.tokenizer, place.directory)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    content = json.dumps(backend.rank_config(request.model, data, task), indent=2) + "\n"
    return Work(
        command=(settings.python or place.python, "{primus.package}/rank", settings.name, "{primus.run_dir}/rank.json"),
        backend=settings.name,
        files=(File("rank.json", content),),
        environment=settings.environment,
        parallel=task.parallel.degrees(),
    )
