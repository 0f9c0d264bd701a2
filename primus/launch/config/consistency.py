"""What the neutral terms must be to each other, whatever the backend: arithmetic that needs no job to be checked."""

from primus.launch.config import architecture, parallelism
from primus.launch.config.terms.data import BYTES, BYTES_VOCABULARY, Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.typed import DataError, Problem


def check(model: Model, data: Data, training: Training, world_size: int | None) -> None:
    """Raise DataError (a ValueError) that names each key at fault. `world_size` None: only known on the nodes."""
    problems = [
        *parallelism.problems(model, training, world_size),
        *architecture.problems(model),
        *_positions(model, training),
        *_tokens(model, data),
        *_training(training),
    ]
    if problems:
        raise DataError(problems)


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


def _training(training: Training) -> list[Problem]:
    problems = []
    schedule = training.schedule
    if training.warmup_steps > training.schedule_steps:
        length = "task.steps" if schedule.steps is None else "task.schedule.steps"
        problems.append(
            Problem(
                "task.schedule.warmup_steps",
                f"{schedule.warmup_steps} is more than {length} {training.schedule_steps}",
            )
        )
    betas = training.optimizer.betas
    if len(betas) != 2 or not all(0 <= b < 1 for b in betas):
        problems.append(
            Problem("task.optimizer.betas", f"{list(betas)} must be two numbers, each at least 0 and below 1")
        )
    return problems
