"""What MFU is made of, against figures worked out by hand from the published configs."""

import pytest

from primus.launch import gpus, throughput
from primus.launch.config.request import Gpu
from primus.rank.throughput import Throughput
from tests import neutral

AUTO = Gpu("auto", {})


@pytest.mark.parametrize(
    ("model", "length", "flops"),
    [
        # 8,030,261,248 parameters of which 128256 x 4096 are the input's; 32 layers, 32 heads of 128
        ("llama3_8b", 8192, 6 * 7_504_924_672 + 12 * 32 * 32 * 128 * 8192),
        # tied: the output's 128256 x 2048 are the input's too, and count
        ("llama3.2_1b", 4096, 6 * 1_235_814_400 + 12 * 16 * 32 * 64 * 4096),
        # 46.7e9 in all; 2 of 8 experts: 32 layers x 6 x 3 x 4096 x 14336 take no part
        ("mixtral_8x7b", 4096, 6 * (12_879_925_248 - 32000 * 4096) + 12 * 32 * 32 * 128 * 4096),
    ],
)
def test_a_training_step_takes_six_operations_a_parameter_and_attention(model: str, length: int, flops: int) -> None:
    assert throughput.flops_per_token(neutral.model(model), length) == flops


def test_latent_attention_counts_query_and_value_heads_of_their_own_sizes() -> None:
    model = neutral.model("deepseek_v3")
    attention = 6 * 61 * 128 * (192 + 128) * 4096  # 128 + 64 elements of a query, 128 of a value
    assert throughput.flops_per_token(model, 4096) - throughput.flops_per_token(model, 2048) == attention // 2
    assert throughput.flops_per_token(model, 4096) == attention + 6 * (model.active_parameters - 129280 * 7168)


def test_a_named_profile_is_the_only_peak_and_auto_knows_every_one() -> None:
    named = next(p for p in gpus.profiles() if p.name == "h200")
    assert throughput.peaks(named) == [
        {"name": "h200", "devices": ["NVIDIA H200"], "tflops": dict(named.tflops)},
    ]
    assert {peak["name"] for peak in throughput.peaks(AUTO)} == {
        *("a100", "b200", "h100", "h200", "mi210", "mi250x", "mi300x", "mi325x", "mi350x", "mi355x"),
    }


@pytest.mark.parametrize(
    ("device", "precision", "peak"),
    [
        ("NVIDIA H200", "bf16", 989.5),
        ("NVIDIA H200", "fp8", 1979),
        ("NVIDIA H100 80GB HBM3", "bf16", 989.5),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312),
        ("AMD Instinct MI300X", "bf16", 1307.4),
        ("AMD Instinct MI355X", "bf16", 2516.6),
        ("NVIDIA A100-SXM4-80GB", "fp8", None),
        ("NVIDIA H200 NVL", "bf16", None),
        ("NVIDIA GH200 480GB", "bf16", None),
        ("cpu", "fp32", None),
    ],
)
def test_the_peak_is_that_of_the_device_by_its_name(device: str, precision: str, peak: float | None) -> None:
    measures = {"flops_per_token": 1e9, "peaks": throughput.peaks(AUTO)}
    rates = Throughput(measures, 8, device, precision).rates(tokens=80_000, seconds=1.0)
    assert rates["tokens_per_second_per_device"] == 10_000
    assert rates.get("mfu") == (pytest.approx(1e13 / (peak * 1e12)) if peak else None)


def test_every_profile_of_a_gpu_has_the_figures_that_planning_needs() -> None:
    for profile in gpus.profiles():
        assert profile.memory
        assert profile.memory_bandwidth
        assert {"bf16", "fp16", "fp32"} <= set(profile.tflops)


def test_a_gpu_found_here_is_known_by_its_name() -> None:
    found = gpus.profile(AUTO, "NVIDIA H200")
    assert found is not None
    assert (found.name, gpus.profile(AUTO, ""), gpus.profile(AUTO, "NVIDIA RTX 4090")) == ("h200", None, None)
    assert gpus.profile(Gpu("cpu", {}), "NVIDIA H200") is None
    assert gpus.profile(Gpu("mine", {}, ("X*",)), "NVIDIA H200") == Gpu("mine", {}, ("X*",))
