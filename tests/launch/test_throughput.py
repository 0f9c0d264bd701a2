"""The arithmetic of a training step, which MFU is counted by."""

from primus.launch.throughput import flops_per_token
from tests import neutral


def test_a_dense_model_takes_six_operations_per_parameter_and_twelve_per_element_and_pair() -> None:
    llama = neutral.model("llama3_8b")
    embedding = 128256 * 4096
    assert flops_per_token(llama, 4096) == 6 * (8_030_261_248 - embedding) + 12 * 32 * 32 * 128 * 4096


def test_a_tied_embedding_is_multiplied_by_as_the_head() -> None:
    assert flops_per_token(neutral.model("llama3.2_1b"), 1) == 6 * 1_235_814_400 + 12 * 16 * 32 * 64


def test_experts_count_that_a_token_chooses_and_heads_of_latent_attention_with_their_own_sizes() -> None:
    deepseek = neutral.model("deepseek_v3")
    active = 37_552_282_624 - 129280 * 7168
    assert flops_per_token(deepseek, 4096) == 6 * active + 6 * 61 * 128 * (128 + 64 + 128) * 4096
