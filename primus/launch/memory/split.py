"""How ranks divide a model: which layers a pipeline stage has, and how many parameters fall to one rank."""

from collections.abc import Iterator
from dataclasses import dataclass

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training


@dataclass(frozen=True)
class Split:
    """Degrees of parallelism. `shard` ranks are left over; `micro_batches` pass through a rank in one step."""

    tensor: int
    pipeline: int
    context: int
    expert: int
    shard: int
    micro_batches: int

    @classmethod
    def of(cls, training: Training, world_size: int) -> "Split":
        """For a world size that is a multiple of the product of the degrees."""
        parallel = training.parallel
        copies = world_size // parallel.per_sequence  # data-parallel ranks
        batch = training.global_batch or training.micro_batch * copies
        return cls(
            tensor=parallel.tensor,
            pipeline=parallel.pipeline,
            context=parallel.context,
            expert=parallel.expert,
            shard=max(1, copies // parallel.replicate),
            micro_batches=max(1, batch // (training.micro_batch * copies)),
        )

    @property
    def shards(self) -> int:
        """Over how many ranks one copy of the dense layers' state is spread, beside tensor and pipeline."""
        return self.shard * self.context


@dataclass(frozen=True)
class Stage:
    """One pipeline stage, `index` of them before it: its layers, and whether it has the embedding and the head."""

    index: int
    layers: range
    first: bool
    last: bool


def stages(model: Model, split: Split, ends_count_as_layers: bool) -> Iterator[Stage]:
    """The stages, as even as can be; embedding and head may count as a layer each, as in TorchTitan."""
    ends = int(ends_count_as_layers and split.pipeline > 1)
    fewest, more = divmod(model.layers + 2 * ends, split.pipeline)
    begin = 0
    for index in range(split.pipeline):
        first, last = index == 0, index == split.pipeline - 1
        count = fewest + int(index < more) - ends * (int(first) + int(last))
        yield Stage(index, range(begin, begin + count), first, last)
        begin += count


@dataclass(frozen=True)
class Parameters:
    """How many: of all that is no routed expert, and of the routed experts. Before anything is divided."""

    dense: float
    experts: float

    def __add__(self, other: "Parameters") -> "Parameters":
        return Parameters(self.dense + other.dense, self.experts + other.experts)


def layer_parameters(model: Model, layer: int) -> Parameters:
    """Of one layer."""
    moe = model.moe if model.has_experts(layer) else None
    if moe is None:
        return Parameters(_attention(model) + 3 * model.hidden_size * model.ffn_size, 0)
    shared = moe.parameters(model.hidden_size, 0)  # with the router
    return Parameters(_attention(model) + shared, moe.parameters(model.hidden_size, moe.experts) - shared)


def stage_parameters(model: Model, stage: Stage) -> Parameters:
    """Of all that a stage holds. Embedding and head are one matrix where they are tied and in the same stage."""
    found = Parameters(0, 0)
    for layer in stage.layers:
        found += layer_parameters(model, layer)
    if stage.first and not (model.tied_embeddings and stage.last):
        found += Parameters(head_parameters(model), 0)
    if stage.last:
        found += Parameters(head_parameters(model) + model.hidden_size, 0)
    return found


def head_parameters(model: Model) -> int:
    """Of the output projection; the input embedding is as large."""
    return model.vocabulary * model.hidden_size


def largest_layer(model: Model, stage: Stage) -> Parameters:
    """Of the layer with most parameters."""
    every = [layer_parameters(model, layer) for layer in stage.layers]
    return max(every, key=lambda found: found.dense + found.experts, default=Parameters(0, 0))


def _attention(model: Model) -> float:
    """Attention and the norms of a layer: what the whole has beside embeddings, FFNs and experts, by layer."""
    outside = model.input_embedding + head_parameters(model) + model.hidden_size
    moe = model.moe
    sparse = sum(model.has_experts(layer) for layer in range(model.layers))
    mixtures = sparse * moe.parameters(model.hidden_size, moe.experts) if moe else 0
    dense = (model.layers - sparse) * 3 * model.hidden_size * model.ffn_size
    return (model.parameters - outside - mixtures - dense) / model.layers
