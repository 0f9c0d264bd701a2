"""TorchTitan's checkpoints, with what an exact resume needs besides: `step-<n>` folders of PyTorch's own format."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.stateful import Stateful
from torchtitan.components.checkpointer import CheckpointManager

from primus.rank import checkpoints
from primus.rank.problems import Refused
from primus.rank.progress import beat
from primus.rank.stopping import Stopping

METADATA = ".metadata"  # PyTorch writes it last, by renaming: a folder that has it is complete


def config(rank: dict[str, Any]) -> "Checkpoints.Config":
    """What `checkpoint` of rank.json means. Raises Refused when there is no checkpoint to load.

    A complete checkpoint in the folder goes before `load`: the run has begun already.
    """
    asked = rank["checkpoint"]
    folder = checkpoints.directory(rank)
    begun = bool(complete(folder))
    load = str(_to_load(asked["load"])) if asked["load"] and not begun else None
    only = rank["evaluation"]["only"]
    return Checkpoints.Config(
        enable=begun or load is not None or not only,
        load_only=only,
        folder=str(folder),
        # Without one, that in which processes of a loader (`dataloader.num_workers`) note their place in the data.
        interval=asked["interval"] or 100,
        initial_load_path=load,
        initial_load_model_only=load is not None,
        last_save_model_only=False,
        keep_latest_k=max(asked["keep"], 2) if asked["keep"] else 0,  # 1 is refused
        _keep=asked["keep"],
        _regularly=asked["interval"] is not None,
    )


def complete(folder: Path) -> dict[int, Path]:
    """The complete checkpoints of a folder by step, the newest last."""
    return {step: path for step, path in _numbered(folder).items() if (path / METADATA).is_file()}


class Checkpoints(CheckpointManager):
    """Keeps the random numbers as well; counts complete checkpoints alone; says what does not fit before it loads."""

    @dataclass(kw_only=True, slots=True)
    class Config(CheckpointManager.Config):
        """`_keep`: the newest so many stay (0: all). `_regularly`: not only when asked to stop.

        With the underscore they are no options of TorchTitan's.
        """

        _keep: int = 0
        _regularly: bool = True

    loaded_step = 0  # that of the checkpoint which was loaded; 0 where its folder does not say
    stopping: Stopping | None = None  # while it trains

    def __init__(self, config: Config, **parts: Any) -> None:
        super().__init__(config, **parts)
        if self.enable:
            self._keep = config._keep
            self._regularly = config._regularly
            self.states["random"] = RandomNumbers()

    def save(self, curr_step: int, last_step: bool = False) -> bool:
        """Called after every step; a step that training ends after because it was asked to is saved whole."""
        stops = self.stopping is not None and self.stopping.after(curr_step)
        saved = super().save(curr_step, last_step and not stops)
        if saved:
            beat(f"after the checkpoint of step {curr_step}")
        if stops and saved and self.stopping:
            self.maybe_wait_for_staging()
            self.maybe_wait_for_saving()
            self.stopping.saved(curr_step)
        return bool(saved)

    def _should_save(self, curr_step: int, last_step: bool = False) -> bool:
        if self.stopping is not None and self.stopping.stopped:
            due = not self.load_only
        else:
            due = bool(self._regularly and super()._should_save(curr_step, last_step))
        if due:
            beat(f"saving the checkpoint of step {curr_step}")
        return due

    def dcp_load(self, state_dict: dict[str, Any], checkpoint_id: str, from_hf: bool, from_quantized: bool) -> None:
        """Called with what to load and from where."""
        step = re.fullmatch(r"step-(\d+)", Path(checkpoint_id).name)
        self.loaded_step = int(step[1]) if step else 0
        if not from_hf:
            metadata = FileSystemReader(checkpoint_id).read_metadata()
            _check(checkpoint_id, metadata, state_dict)
            if not any(name.startswith(f"random.{_rank()}.") for name in metadata.state_dict_metadata):
                state_dict.pop("random", None)  # not written by Primus, or by fewer ranks
        beat(f"loading {checkpoint_id}")
        super().dcp_load(state_dict, checkpoint_id, from_hf, from_quantized)
        beat("before the first step")

    def _save_last_step(self, curr_step: int) -> None:
        super()._save_last_step(curr_step)
        self._purge_stale_checkpoints()

    def _purge_stale_checkpoints(self) -> None:
        """TorchTitan's own counts folders that a killed run has left incomplete, and could delete a whole one."""
        if not self._should_purge():
            return
        folder = Path(self.folder)
        kept = list(complete(folder))[-self._keep :]
        for step, path in _numbered(folder).items():
            if kept and step < kept[-1] and step not in kept:
                (path / METADATA).unlink(missing_ok=True)  # first, so that half of it is never taken for the whole
                self.purge_queue.put(str(path))


class RandomNumbers(Stateful):
    """The state of this rank's generators."""

    def state_dict(self) -> dict[str, Any]:
        """A name of its own for each rank: PyTorch takes one name for one value, the same on every rank."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        return {_rank(): states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The same on the other way."""
        states = state_dict[_rank()]
        torch.set_rng_state(states["cpu"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"])


def _rank() -> str:
    return f"rank_{torch.distributed.get_rank()}"


def _numbered(folder: Path) -> dict[int, Path]:
    found = {re.fullmatch(r"step-(\d+)", path.name): path for path in folder.glob("step-*")}
    return dict(sorted((int(match[1]), path) for match, path in found.items() if match))


def _to_load(given: str) -> Path:
    """The checkpoint that `task.checkpoint.load` means: the folder itself, or the newest complete one in it."""
    folder = Path(given).expanduser().resolve()
    if (folder / METADATA).is_file():
        return folder
    found = complete(folder)
    if not found:
        raise Refused(
            f"task.checkpoint.load: {folder} neither is nor holds a complete checkpoint of TorchTitan: "
            f"a folder step-<n> with {METADATA} in it"
        )
    return list(found.values())[-1]


def _check(checkpoint: str, metadata: Metadata, wanted: dict[str, Any]) -> None:
    """Raise Refused when the weights are those of another model, or the data was shared among other ranks."""
    stored = metadata.state_dict_metadata
    for name, tensor in ((n, t) for n, t in wanted.items() if isinstance(t, torch.Tensor)):
        found = stored.get(name)
        size = found.size if isinstance(found, TensorStorageMetadata) else None
        if size != tensor.shape:
            seen = f"has {name} of {list(size)}" if size else f"has no {name}"
            raise Refused(f"{checkpoint} {seen}, and the model of this run has {list(tensor.shape)}")
    readers = sum(name.startswith("dataloader.dp_rank_") for name in stored)
    now = getattr(wanted.get("dataloader"), "dp_world_size", readers)
    if now != readers:
        raise Refused(
            f"{checkpoint} was written by {readers} data-parallel ranks, and there are {now} now: TorchTitan cannot "
            "share the position in the data out anew. Go on with as many ranks, or begin a run with its weights: "
            f"task.checkpoint.load={checkpoint}"
        )
