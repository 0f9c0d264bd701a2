"""Evaluation on the same held-out batches each time, and its metrics."""

import functools
import math
from typing import Any

import torch
from megatron.core.rerun_state_machine import RerunDataIterator
from megatron.training import training
from megatron.training.datasets.data_samplers import build_pretraining_data_loader

from primus.rank.megatron.data import Provider
from primus.rank.megatron.metrics import LOSS
from primus.rank.metrics import MetricsFile


class Evaluation:
    """Wraps `evaluate` and `evaluate_and_print_results` of `megatron.training.training`.

    Megatron goes on through the validation data from one evaluation to the next. Here each begins at the first batch,
    so that one checkpoint has one loss, and losses of different steps differ by the weights alone.
    """

    def __init__(self, file: MetricsFile | None, provider: Provider) -> None:
        self._file = file
        self._provider = provider
        self._step: int | None = None

    def install(self) -> None:
        """For good: a rank trains once."""
        training.evaluate = self._after_evaluate(training.evaluate)
        training.evaluate_and_print_results = self._around(training.evaluate_and_print_results)

    def _around(self, evaluate_and_print: Any) -> Any:
        @functools.wraps(evaluate_and_print)
        def around(prefix: str, forward: Any, data: Any, model: Any, step: int, *rest: Any, **named: Any) -> None:
            if step == self._step:
                return  # at the end of a training whose last step was evaluated
            self._step = step
            fresh = [self._batches() for _ in data] if isinstance(data, list) else self._batches()
            evaluate_and_print(prefix, forward, fresh, model, step, *rest, **named)

        return around

    def _after_evaluate(self, evaluate: Any) -> Any:
        @functools.wraps(evaluate)
        def after(*arguments: Any, **named: Any) -> Any:
            results = evaluate(*arguments, **named)
            losses = results[0]
            if self._file is not None and losses and self._step is not None:
                loss = float(losses[LOSS])
                perplexity = math.exp(loss) if loss < 700 else math.inf  # beyond, it is no number
                self._file.write(self._step, {"validation_loss": loss, "validation_perplexity": perplexity})
            return results

        return after

    def _batches(self) -> RerunDataIterator:
        with torch.random.fork_rng(devices=[]):  # beginning to read draws a number, which would be one of training's
            return RerunDataIterator(iter(build_pretraining_data_loader(self._provider.validation, 0)))
