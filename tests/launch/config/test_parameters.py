"""The closed-form numbers of parameters are the published ones."""

import dataclasses

import pytest

from tests import neutral

# What the published weights hold, as Hugging Face counts those of the repository that each file names ("safetensors
# total"), less what is no parameter of the model here, as noted.
TOTAL = {
    "llama2_7b": 6_738_415_616,  # less the RoPE frequencies, for all three
    "llama2_13b": 13_015_864_320,
    "llama2_70b": 68_976_648_192,
    "llama3_8b": 8_030_261_248,
    "llama3_70b": 70_553_706_496,
    "llama3.1_8b": 8_030_261_248,
    "llama3.1_70b": 70_553_706_496,
    "llama3.1_405b": 405_853_388_800,
    "llama3.2_1b": 1_235_814_400,
    "llama3.2_3b": 3_212_749_824,
    "llama3.3_70b": 70_553_706_496,
    # Less the vision model's: 34 layers of 1408 with 5632 in the FFN, patches, positions, norms and the two projections
    # to the text model, by the vision_config of the same file.
    "llama4_scout": 108_641_793_536 - 871_932_416,
    "llama4_maverick": 401_583_781_376 - 871_932_416,
    "mixtral_8x7b": 46_702_792_704,
    "mixtral_8x22b": 140_620_634_112,
    "qwen2.5_7b": 7_615_616_512,
    "qwen2.5_72b": 72_706_203_648,
    "qwen3_0.6b": 596_049_920,  # the tied output once
    "qwen3_8b": 8_190_735_360,
    "qwen3_32b": 32_762_123_264,
    "qwen3_30b_a3b": 30_532_122_624,
    "qwen3_235b_a22b": 235_093_634_560,
    "gpt_oss_20b": 20_914_757_184,  # as unpacked from MXFP4; 20.91 billion in https://arxiv.org/abs/2508.10925, table 1
    "gpt_oss_120b": 116_829_156_672,
    "deepseek_v2_lite": 15_706_484_224,
    "deepseek_v2": 235_741_434_880,
    # The main model (671 billion in https://arxiv.org/abs/2412.19437), less the balancing bias of 256 experts in 58
    # layers.
    "deepseek_v3": 671_026_419_200 - 256 * 58,
}
# In billions, with the digits that were published, and whether that counts the input embedding.
ACTIVE = {
    "llama4_scout": (17.0, 1.0, True),  # https://huggingface.co/meta-llama/Llama-4-Scout-17B-16E
    "llama4_maverick": (17.0, 1.0, True),
    "mixtral_8x7b": (12.9, 0.1, True),  # https://mistral.ai/news/mixtral-of-experts
    "mixtral_8x22b": (39.0, 1.0, True),  # https://mistral.ai/news/mixtral-8x22b
    "qwen3_30b_a3b": (3.3, 0.1, True),  # https://huggingface.co/Qwen/Qwen3-30B-A3B
    "qwen3_235b_a22b": (22.0, 1.0, True),  # https://huggingface.co/Qwen/Qwen3-235B-A22B
    "gpt_oss_20b": (3.61, 0.01, False),  # https://arxiv.org/abs/2508.10925, table 1
    "gpt_oss_120b": (5.13, 0.01, False),
    "deepseek_v2_lite": (2.4, 0.1, False),  # https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite
    "deepseek_v2": (21.0, 1.0, False),  # https://arxiv.org/abs/2405.04434
    "deepseek_v3": (37.0, 1.0, False),  # https://arxiv.org/abs/2412.19437
}
PRESETS = sorted({path.stem for path in (neutral.CONF / "model").glob("*.yaml")} - {"tiny"})


@pytest.mark.parametrize("name", PRESETS)
def test_the_total_is_the_published_one_to_the_last_digit(name: str) -> None:
    assert neutral.model(name).parameters == TOTAL[name]


@pytest.mark.parametrize("name", PRESETS)
def test_the_active_parameters_are_the_published_ones_as_far_as_those_have_digits(name: str) -> None:
    model = neutral.model(name)
    if model.moe is None:
        assert model.active_parameters == model.parameters
        return
    billions, digit, embedding = ACTIVE[name]
    counted = model.active_parameters - (0 if embedding else model.input_embedding)
    assert abs(counted / 1e9 - billions) < digit  # some round, some cut off
    if digit < 0.1:
        assert counted / 1e9 == pytest.approx(billions, rel=0.005)


def test_a_dense_layer_has_four_projections_three_matrices_and_two_norms() -> None:
    model = neutral.model("tiny")
    layer = 2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 688 + 2 * 256
    assert model.parameters == 2 * 258 * 256 + 4 * layer + 256
    assert dataclasses.replace(model, tied_embeddings=True).parameters == model.parameters - 258 * 256


def test_layers_have_experts_from_the_first_and_at_the_interval_that_is_said() -> None:
    maverick = neutral.model("llama4_maverick")
    assert [layer for layer in range(6) if maverick.has_experts(layer)] == [1, 3, 5]
    deepseek = neutral.model("deepseek_v3")
    assert [layer for layer in range(6) if deepseek.has_experts(layer)] == [3, 4, 5]
    assert not neutral.model("tiny").has_experts(0)
