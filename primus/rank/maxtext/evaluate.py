"""`task=train/evaluate`: the loss of a checkpoint's weights on held-out data, by MaxText's own parts."""

from itertools import islice
from typing import Any

import jax
from flax import nnx
from flax.core.spmd import logical_axis_rules
from maxtext.trainers.pre_train import train
from maxtext.utils import sharding, train_utils

from primus.rank.maxtext.metrics import Lines
from primus.rank.progress import beat


def evaluate(config: Any, recorder: Any, step: int, lines: Lines) -> None:
    """Write the validation loss at this step. MaxText has no entry that evaluates and does not train.

    Upstream: maxtext 0.2.5, the evaluation within `training_loop_iteration` and `train_loop` in
    trainers/pre_train/train.py. Can go when there is one.
    """
    (_, _, shardings, _, mesh, _, _, _, _, held_out, state) = train_utils.setup_train_loop(config, recorder)
    graph, state = nnx.split(state)
    rules = config.logical_axis_rules_for_eval
    placed = sharding.get_input_data_sharding(config, mesh, rules=rules)
    evaluate_batch = train_utils.jit_eval_step(config, graph, shardings, placed, train.eval_step)
    loss = weight = 0.0
    for batch in islice(held_out, config.eval_steps):
        beat("evaluating")
        with jax.set_mesh(mesh), logical_axis_rules(rules):
            scalars = evaluate_batch(state, jax.device_put(batch, placed))["scalar"]
        loss += float(scalars["evaluation/total_loss"])
        weight += float(scalars["evaluation/total_weights"])
    lines.validation(step, loss / weight)
    print(f"INFO validation loss {loss / weight:.4f} after {step} steps, of {config.eval_steps} batches", flush=True)
