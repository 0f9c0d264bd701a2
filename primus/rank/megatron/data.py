"""Megatron's own data sets: samples of its `GPTDataset` from token files, for training and for validation."""

import os
import shutil
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.training import get_args, get_tokenizer

from primus.rank.megatron import tokens
from primus.rank.megatron.arguments import directory
from primus.rank.problems import Refused
from primus.rank.progress import beat


@dataclass(frozen=True)
class Files:
    """The token files: a blend of prefixes with weights that `split` parts, or a prefix for each part."""

    blend: tuple[list[str], list[float] | None] | None
    split: str | None
    training: str | None
    validation: str | None


class Provider:
    """Megatron's `train_valid_test_datasets_provider`; `validation` is the data set of the last call.

    The number of training samples that the order is made for is that of `steps`, however many of them this start
    trains: the same steps get the same samples after a resume.
    """

    is_distributed = True  # every rank reads for itself: nothing is broadcast among tensor-parallel ranks

    def __init__(self, files: Files, steps: int) -> None:
        self._files = files
        self._steps = steps
        self.validation: Any = None

    def __call__(self, sizes: Any, vp_stage: int | None = None) -> tuple[Any, Any, None]:
        beat("making the order of the samples")
        args = get_args()
        samples = [self._steps * args.global_batch_size, max(1, args.eval_iters) * args.eval_global_batch_size, 1]
        training, self.validation, _ = BlendedMegatronDatasetBuilder(
            GPTDataset, samples, lambda: True, _config(args, self._files)
        ).build()
        _mark_index_complete()
        beat("before the first step")
        args.consumed_valid_samples = 0  # each evaluation begins at the first sample, see evaluation.py
        if args.eval_iters and self.validation is None:
            raise Refused("data.split: the second number, the share of validation, leaves no document for evaluation")
        return training, self.validation, None


def files(rank: dict[str, Any], args: Namespace) -> Files:
    """The token files of `data`, made from text where they are not there. Raises Refused when there are none."""
    _discard_incomplete_index()
    data, only = rank["data"], rank["evaluation"]["only"]
    if data["name"] == "megatron":
        prefixes = [data["paths"]] if isinstance(data["paths"], str) else list(data["paths"])
        prefixes = [os.path.expanduser(prefix) for prefix in prefixes]
        split = ",".join(f"{weight:g}" for weight in data["split"])
        return Files((prefixes, _weights(prefixes)), split, None, None)
    sample = args.seq_length * args.global_batch_size
    wanted = tokens.Wanted(
        tokens={
            "train": 0 if only else rank["steps"] * sample + 1,
            "validation": args.eval_iters * args.seq_length * args.eval_global_batch_size + 1 if args.eval_iters else 0,
        },
        seed=args.seed,
        sequence_length=args.seq_length,
        vocabulary=args.vocab_size,
    )
    made = tokens.prepare(data, wanted, directory() / "tokens")
    return Files(None, None, made.get("train"), made.get("validation"))


def _weights(prefixes: list[str]) -> list[float] | None:
    """By size: without weights, several files would give one pass and no more (`_build_blended_dataset_splits`)."""
    for path in (f"{prefix}.{kind}" for prefix in prefixes for kind in ("bin", "idx")):
        if not os.path.isfile(path):
            raise Refused(f"data.paths: there is no file {path} (looked in {os.getcwd()})")
    return [float(os.path.getsize(f"{prefix}.bin")) for prefix in prefixes] if len(prefixes) > 1 else None


def _config(args: Namespace, files: Files) -> GPTDatasetConfig:
    parts = [([prefix], None) if prefix else None for prefix in (files.training, files.validation, None)]
    return GPTDatasetConfig(
        random_seed=args.seed,
        sequence_length=args.seq_length,
        blend=files.blend,
        blend_per_split=None if files.blend else parts,
        split=files.split,
        path_to_cache=args.data_cache_path,
        tokenizer=get_tokenizer(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=args.create_attention_mask_in_dataloader,
        mid_level_dataset_surplus=args.mid_level_dataset_surplus,
        allow_ambiguous_pad_tokens=True,
    )


def _discard_incomplete_index() -> None:
    """Megatron would read an index of samples that a killed start left cut short."""
    if os.environ["RANK"] != "0":
        return
    try:
        _marker().unlink()  # until this start has written what it lacks
    except FileNotFoundError:
        shutil.rmtree(directory() / "index", ignore_errors=True)


def _mark_index_complete() -> None:
    if os.environ["RANK"] == "0":
        _marker().touch()


def _marker() -> Path:
    return directory() / "index.complete"
