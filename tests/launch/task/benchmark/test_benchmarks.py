"""What is measured, decided before anything starts."""

import json
from pathlib import Path

import pytest

from primus.launch.task.benchmark import shapes
from primus.node.plan import from_json
from tests import neutral

from ....conftest import Primus


def products(primus: Primus, *words: str) -> list[tuple[object, ...]]:
    said = primus("task=benchmark/gemm", *words, "dry_run=json")
    assert said.code == 0, said.err
    (file,) = from_json(said.out).files
    return [(p["name"], p["m"], p["n"], p["k"], p["batch"], p["transpose"]) for p in json.loads(file.text)["products"]]


def test_m_alone_is_square_and_lists_are_multiplied_out(primus: Primus) -> None:
    assert products(primus, "task.m=[64,128]") == [("", 64, 64, 64, 1, "nt"), ("", 128, 128, 128, 1, "nt")]
    sizes = ("task.m=1", "task.n=[2,3]", "task.k=4", "task.batch=[1,5]", "task.transposes=[nn]")
    assert products(primus, *sizes) == [("", 1, n, 4, batch, "nn") for n in (2, 3) for batch in (1, 5)]


def test_a_model_gives_the_sizes_of_its_layers(primus: Primus) -> None:
    assert products(primus, "model=llama3_8b", "task.micro_batch=2", "task.sequence_length=1024") == [
        ("qkv", 2048, 6144, 4096, 1, "nt"),
        ("attention_out", 2048, 4096, 4096, 1, "nt"),
        ("ffn_gate_up", 2048, 28672, 4096, 1, "nt"),
        ("ffn_down", 2048, 4096, 14336, 1, "nt"),
        ("output", 2048, 128256, 4096, 1, "nt"),
    ]
    assert products(primus, "model=llama3_8b", "task.shapes=square") == products(primus) == []  # the rank decides


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task.m=0",), "task.m: 0 must be a size above 0, or a list of them"),
        (("task.m=4", "task.n=4"), "task.k: is missing: give m, n and k, or task.m alone for square products"),
        (("task.m=4", "task.shapes=model"), "task.shapes=model gives the sizes: leave out task.m"),
        (("task.dtypes=[fp8]", "backend=maxtext"), "task.dtypes: fp8 is measured with PyTorch alone"),
        (("task.dtypes=[fp4]",), "task.dtypes"),
    ],
)
def test_what_cannot_be_measured_is_refused(primus: Primus, words: tuple[str, ...], said: str) -> None:
    ended = primus("task=benchmark/gemm", *words, "dry_run=true")
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("benchmark/memory", "task.sizes=[1X]"), "task.sizes: '1X' is no size"),
        (("benchmark/memory", "backend=maxtext"), "task=benchmark/memory measures with PyTorch"),
        (("benchmark/attention", "task.sequence_lengths=0"), "task.sequence_lengths: 0 must be numbers of tokens"),
        (("benchmark/gemm", "task.passes=[]"), "task.passes: is empty: there is nothing to measure  (command line"),
        (("benchmark/gemm", "task.transposes=[]"), "task.transposes: is empty"),
        (("benchmark/attention", "task.passes=[]"), "task.passes: is empty"),
        (("benchmark/attention", "task.kernels=[]"), "task.kernels: is empty"),
        (("benchmark/attention", "task.sequence_lengths=[]"), "task.sequence_lengths: is empty"),
        (("benchmark/memory", "task.operations=[]"), "task.operations: is empty"),
        (("benchmark/memory", "task.sizes=[]"), "task.sizes: is empty"),
        (("benchmark/collectives", "task.groups=[]"), "task.groups: is empty"),
        (("benchmark/io", "task.directories=[]"), "task.directories: is empty"),
        (("benchmark/io", "data.files=nowhere/*.md"), "data.files: no file matches 'nowhere/*.md'"),
        (("benchmark/io", "data=megatron", "data.paths=nowhere/tokens"), "data.paths: there is no nowhere/tokens.bin"),
        (("benchmark/train", "task.warmup=30"), "task.warmup: 30 of task.steps=30 leaves no step that counts"),
    ],
)
def test_so_it_is_for_the_others(primus: Primus, words: tuple[str, ...], said: str) -> None:
    ended = primus(f"task={words[0]}", *words[1:], "dry_run=true")
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("data.files=texts/**/*.md",), "texts"),
        (("data=megatron", "data.paths=tokens/part"), "tokens"),
    ],
)
def test_where_the_data_lie_is_measured_beside_where_checkpoints_go(
    primus: Primus, work: Path, words: tuple[str, ...], folder: str
) -> None:
    for name in ("texts/a/b/one.md", "tokens/part.bin", "tokens/part.idx"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("a text")
    said = primus("task=benchmark/io", *words, "dry_run=json")
    content = json.loads(from_json(said.out).files[0].text)
    assert (content["directories"], content["data"]) == ([str(work / "outputs")], [str(work / folder)])


def test_a_training_benchmark_starts_the_backend_behind_it(primus: Primus) -> None:
    said = primus("task=benchmark/train", "task.steps=12", "dry_run=json")
    plan = from_json(said.out)
    assert plan.job.command[2] == "benchmark.train"
    benchmark = json.loads(plan.files[0].text)["benchmark"]
    assert (benchmark["backend"], benchmark["warmup"], benchmark["row"]["model"]) == ("torchtitan", 10, "tiny")


def test_backward_multiplies_as_much_as_forward_for_each_gradient() -> None:
    model = neutral.model(hidden_size=32, attention_heads=4, kv_heads=2, head_size=8, ffn_size=48)
    every = shapes.of_model(model, 64, ("forward", "input", "weight"))
    for forward, gradient, weight in zip(every[::3], every[1::3], every[2::3], strict=True):
        sizes = {(p.m * p.n * p.k) for p in (forward, gradient, weight)}
        assert len(sizes) == 1
        assert [p.transpose for p in (forward, gradient, weight)] == ["nt", "nn", "tn"]


def test_the_layers_hold_all_weights_of_the_model_but_norms_and_the_embedding() -> None:
    dense = neutral.model(hidden_size=32, layers=2, attention_heads=4, kv_heads=2, head_size=8, ffn_size=48)
    latent = neutral.model(
        hidden_size=32,
        layers=2,
        attention_heads=4,
        kv_heads=4,
        head_size=None,
        ffn_size=48,
        mla={"query_rank": 16, "kv_rank": 8, "nope_head_size": 8, "rope_head_size": 4, "value_head_size": 8},
    )
    for model, norms in ((dense, 2 * 32), (latent, 2 * 32 + 16 + 8)):
        layers = list(shapes.linears(model, 1))
        each = sum(layer.inputs * layer.outputs * layer.copies for layer in layers if layer.name != "output")
        output = layers[-1].inputs * layers[-1].outputs
        assert model.layers * (each + norms) + output + 32 + model.input_embedding == model.parameters
