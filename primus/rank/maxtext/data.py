"""The data of `rank.json` in MaxText's own input pipeline, Grain."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grain.python as grain
import jax
import numpy as np
from grain.experimental import ThreadPrefetchIterDataset
from maxtext.input_pipeline import data_processing_utils, grain_data_processing
from tokenizers import Tokenizer

from primus.rank import tokenizer
from primus.rank.maxtext import documents
from primus.rank.maxtext.stream import Stream
from primus.rank.problems import Refused

_AHEAD = 2  # batches that a thread packs while the device works


def options(rank: dict[str, Any]) -> dict[str, Any]:
    """MaxText's options for the data. Raises Refused when the tokenizer does not fit the model."""
    data = rank["data"]
    folder = tokenizer.folder(data["tokenizer"])
    found = {
        "dataset_type": "grain",
        "tokenizer_type": "huggingface",
        "tokenizer_path": str(folder),
        "grain_worker_count": 0,  # threads: the documents are none that another process could be given
        "grain_worker_count_eval": 0,
    }
    if data["name"] == "megatron":
        return found | _token_files(data, folder)
    _check_vocabulary(folder, rank["options"]["vocab_size"])
    if {"grain_worker_count", "grain_worker_count_eval"} & set(rank["args"]):
        raise Refused("backend.args.grain_worker_count: these documents are read by threads, grain_num_threads of them")
    # MaxText asks for files; whose documents they are is said by `install`.
    return found | {
        "grain_file_type": "arrayrecord",
        "grain_train_files": data["name"],
        "grain_eval_files": data["name"],
        "packing": True,
        "grain_packing_type": "concat_then_split",
        "add_bos": False,  # documents have their begin token already
        "add_eos": False,
    }


def install(rank: dict[str, Any]) -> None:
    """Put the documents of `rank` in the place of MaxText's files.

    Upstream: maxtext 0.2.5, `get_datasets` and `pretrain_preprocessing_pipeline` in input_pipeline/
    grain_data_processing.py: files of whole documents alone, of which every sequence loses its last token, and the
    token 0 counts as padding. Can go when a data source of one's own can be given.
    """
    if rank["data"]["name"] == "megatron":
        own = grain_data_processing._build_dataset_config
        grain_data_processing._build_dataset_config = partial(_sized, own)
        return
    encode = Encoder(tokenizer.folder(rank["data"]["tokenizer"]))
    grain_data_processing.get_datasets = partial(_read, rank, encode)
    grain_data_processing.pretrain_preprocessing_pipeline = partial(_pack, rank["batch"]["per_sequence"])


class Encoder:
    """Text to the inputs and targets of a document: begin, text, end, each token the target of the one before."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids = tokenizer.vocabulary(folder)
        self._begin, self._end = (
            [ids[token]] if (token := tokenizer.special(folder, name)) in ids else []
            for name in ("bos_token", "eos_token")
        )

    def __call__(self, text: str) -> dict[str, Any]:
        tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        document = np.array([*self._begin, *tokens, *self._end], dtype=np.int32)
        return {"inputs": document[:-1], "targets": document[1:]}


def _read(
    rank: dict[str, Any],
    encode: Callable[[str], dict[str, Any]],
    *_: Any,
    split: str,
    shuffle_seed: int,
    dataloading_host_index: int,
    dataloading_host_count: int,
    grain_num_threads: int,
    grain_prefetch_buffer_size: int,
    **__: Any,
) -> Any:
    """Documents of this rank, again and again: in place of `get_datasets`, called by the names of its parameters.

    Ranks that work on one micro batch together read the same ones, so that what is read does not hang on how many do.
    """
    together = rank["batch"]["per_sequence"]
    reader, readers = dataloading_host_index // together, dataloading_host_count // together
    validation = split == "eval"
    found = documents.read(rank["data"], rank["options"]["max_target_length"], validation=validation)
    if not isinstance(found, documents.Documents):
        return Stream(found, reader, readers).map(encode).filter(_has_tokens)
    if len(found) < readers:
        raise Refused(
            f"data.held_out: {len(found)} documents for {'validation' if validation else 'training'} are too few for "
            f"{readers} data-parallel ranks"
        )
    dataset = grain.MapDataset.source(found)
    dataset = dataset if validation else dataset.shuffle(seed=shuffle_seed)
    dataset = dataset[reader::readers].repeat(None).map(encode)
    reading = grain.ReadOptions(num_threads=grain_num_threads, prefetch_buffer_size=grain_prefetch_buffer_size)
    return dataset.to_iter_dataset(read_options=reading).filter(_has_tokens)


def _has_tokens(document: dict[str, Any]) -> bool:
    return len(document["inputs"]) > 0


def _pack(together: int, dataset: Any, config: Any, *_: Any, **__: Any) -> Any:
    """Batches of whole sequences: documents one after the other, cut where a sequence is full, by MaxText's packing.

    MaxText wants the rows of its own from every rank: of the batch that ranks read together, each takes its share.
    """
    rows = data_processing_utils.get_local_batch_size(config)
    batches = data_processing_utils.format_and_batch(
        dataset, config, rows * together, 0, ("inputs", "targets"), None, shift=False
    )
    first = jax.process_index() % together * rows
    share = batches.map(lambda batch: {name: values[first : first + rows] for name, values in batch.items()})
    return ThreadPrefetchIterDataset(share, prefetch_buffer_size=_AHEAD)


def _sized(own: Callable[..., Any], config: Any, *, num_samples: int | None, split_index: int, **given: Any) -> Any:
    """Megatron's order depends on how many samples are asked for: those of the schedule, not of this start's steps."""
    if split_index == 0:
        num_samples = max(config.steps, config.learning_rate_schedule_steps) * config.global_batch_size_to_load
    else:
        num_samples = config.eval_steps * config.global_batch_size_to_load_eval  # each evaluation begins anew
    return own(config, num_samples=num_samples, split_index=split_index, **given)


def _token_files(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """MaxText reads Megatron's files itself, in Megatron's order; `index` is where it keeps that."""
    given = [data["paths"]] if isinstance(data["paths"], str) else data["paths"]
    paths = [os.path.expanduser(path) for path in given]
    for path in paths:
        if set(path) & set(";|:,"):
            raise Refused(f"data.paths: MaxText takes no path with one of ; | : , in it: {path}")
    end = tokenizer.special(folder, "eos_token")
    index = Path(os.environ["PRIMUS_RUN_DIR"]) / "maxtext" / "index"
    return {
        "grain_file_type": "mmap_npy",
        "grain_train_files": f"{index}|{':'.join(paths)}",
        "grain_eval_files": f"{index}|{':'.join(paths)}",
        "mmap_npy_split": ",".join(f"{weight:g}" for weight in data["split"]),
        "mmap_eod_id": tokenizer.vocabulary(folder)[end] if end else 0,
        "packing_max_segments_per_sample": -1,  # attention keeps all documents apart, short ones too
    }


def _check_vocabulary(folder: Path, vocabulary: int) -> None:
    highest = max(tokenizer.vocabulary(folder).values())
    if highest >= vocabulary:
        raise Refused(f"model.vocabulary: {vocabulary} is too small for {folder}, which needs at least {highest + 1}")
