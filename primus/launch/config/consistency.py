"""What the neutral terms must be to each other, whatever the backend: arithmetic that needs no job to be checked."""

from primus.launch.config import architecture
from primus.launch.config.terms.data import BYTES, BYTES_VOCABULARY, Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.plan import PlanError, check_world
from primus.node.typed import DataError, Problem


def check(model: Model, data: Data, training: Training, world_size: int | None) -> None:
    """Raise DataError (a ValueError) that names each key at fault. `world_size` None: only known on the nodes."""
    problems = [
        *_world(training, world_size),
        *architecture.problems(model),
        *_shares(model, training),
        *_positions(model, training),
        *_tokens(model, data),
        *_training(training, world_size),
    ]
    if problems:
        raise DataError(problems)


def _world(training: Training, world_size: int | None) -> list[Problem]:
    try:
        check_world(world_size or 0, training.parallel.degrees())
    except PlanError as error:
        return [Problem("task.parallel", str(error))]
    return []


def _shares(model: Model, training: Training) -> list[Problem]:
    problems = []
    tensor, expert = training.parallel.tensor, training.parallel.expert
    for name, heads in (("attention_heads", model.attention_heads), ("kv_heads", model.kv_heads)):
        if heads % tensor:
            problems.append(Problem("task.parallel.tensor", f"{tensor} does not divide model.{name} {heads}"))
    if training.sequence_length % tensor:
        problems.append(
            Problem("task.parallel.tensor", f"{tensor} does not divide task.sequence_length {training.sequence_length}")
        )
    if expert > 1 and model.moe is None:
        problems.append(Problem("task.parallel.expert", f"{expert}, but the model has no experts: model.moe is null"))
    elif model.moe and model.moe.experts % expert:
        problems.append(
            Problem("task.parallel.expert", f"{expert} does not divide model.moe.experts {model.moe.experts}")
        )
    return problems


def _positions(model: Model, training: Training) -> list[Problem]:
    length = training.sequence_length
    if length > model.context:
        return [
            Problem("task.sequence_length", f"{length} is more than the {model.context} positions of model.context")
        ]
    return []


def _tokens(model: Model, data: Data) -> list[Problem]:
    if data.tokenizer == BYTES and model.vocabulary < BYTES_VOCABULARY:
        return [
            Problem(
                "model.vocabulary",
                f"{model.vocabulary} is too small for the tokenizer 'bytes', which has "
                f"{BYTES_VOCABULARY} tokens (256 bytes, begin and end of text)",
            )
        ]
    return []


def _training(training: Training, world_size: int | None) -> list[Problem]:
    problems = []
    schedule, parallel = training.schedule, training.parallel
    if training.warmup_steps > training.schedule_steps:
        problems.append(
            Problem(
                "task.schedule.warmup_steps",
                f"{schedule.warmup_steps} is more than task.steps {training.schedule_steps}",
            )
        )
    betas = training.optimizer.betas
    if len(betas) != 2 or not all(0 <= b < 1 for b in betas):
        problems.append(
            Problem("task.optimizer.betas", f"{list(betas)} must be two numbers, each at least 0 and below 1")
        )
    if training.global_batch and not world_size and training.global_batch % training.micro_batch:
        problems.append(
            Problem(
                "task.global_batch",
                f"{training.global_batch} is not a multiple of task.micro_batch {training.micro_batch}",
            )
        )
    if training.global_batch and world_size and world_size % parallel.per_sequence == 0:
        ranks = world_size // parallel.per_sequence
        if training.global_batch % (training.micro_batch * ranks):
            problems.append(
                Problem(
                    "task.global_batch",
                    f"{training.global_batch} is not a multiple of task.micro_batch "
                    f"{training.micro_batch} x {ranks} data-parallel ranks",
                )
            )
    return problems
