"""What MaxText 0.2.5 needs changed to train by the neutral terms, on every device. Another MaxText is refused.

`before_import` must be called before JAX or any part of MaxText is imported, `apply` before MaxText is given a config.
"""

import contextlib
import importlib.metadata
import os
from typing import Any

from primus.rank.problems import UNFIT, Refused

MAXTEXT = "0.2.5"


def before_import(own_checkout: bool) -> None:
    """Set what is read at import. Raises Refused for another MaxText, unless it is the user's `own_checkout`."""
    version = importlib.metadata.version("maxtext")
    if version != MAXTEXT and not own_checkout:
        raise Refused(
            f"MaxText {version} is not the one that Primus knows the inside of: that is {MAXTEXT}. Mend it with: "
            "primus task=setup backend=maxtext, or give backend.path=… to use your own checkout all the same",
            UNFIT,
        )
    _leave_out_the_cloud()
    _dump_nothing()


def apply(rank: dict[str, Any]) -> None:
    """Make the changes that `rank` needs."""
    keep_what_no_policy_names()
    draw_shared_embeddings_small()
    hand_on_errors()
    if rank["stretch"]:
        stretch_positions(**rank["stretch"])


def _leave_out_the_cloud() -> None:
    """MaxText looks for Google Cloud's storage, monitoring and diagnostics and speaks to them where it finds them.

    Upstream: maxtext 0.2.5, `is_decoupled` in common/gcloud_stub.py. Can go when it does so only when asked. Two
    libraries that it imports speak of what they have not got; what they have to say later is kept.
    """
    os.environ["DECOUPLE_GCLOUD"] = "TRUE"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")


def _dump_nothing() -> None:
    """Without XLA_FLAGS MaxText sets them so that XLA writes every program that it compiles to /tmp/xla_dump.

    Upstream: maxtext 0.2.5, `validate_and_set_hlo_dump_defaults` in configs/types.py, whatever `dump_hlo` says. Can go
    when it asks `dump_hlo`. The flag given here is XLA's own default.
    """
    os.environ.setdefault("XLA_FLAGS", "--xla_dump_to=")


def keep_what_no_policy_names() -> None:
    """`remat_policy=none` computes every layer twice, the opposite of its name: it becomes None, and JAX saves nothing.

    Upstream: maxtext 0.2.5, `_prepare_for_pydantic` in configs/pyconfig.py ("none" is None) and `get_remat_policy` in
    layers/nnx_decoders.py. Can go when "none" leaves `jax.checkpoint` out.
    """
    import jax.numpy as jnp
    from maxtext.layers.nnx_decoders import NNXDecoder

    own = NNXDecoder.get_remat_policy

    def keep(operation: Any, *values: Any, new_dtype: Any = None, **_: Any) -> bool:
        # JAX 0.12 cannot keep complex numbers (yarn's positions): they are computed again.
        kinds = [*(value.dtype for value in values), *([new_dtype] if new_dtype else [])]
        return operation.name != "complex" and not any(jnp.issubdtype(kind, jnp.complexfloating) for kind in kinds)

    def get_remat_policy(self: Any) -> Any:
        return own(self) if self.config.remat_policy else keep

    NNXDecoder.get_remat_policy = get_remat_policy


def draw_shared_embeddings_small() -> None:
    """Embeddings that are the output's weights too begin with a deviation of 1: the first loss is near 23, not ln(V).

    Upstream: maxtext 0.2.5, `token_embedder` in models/models.py; its own way out, `normalize_embedding_logits`, makes
    another model. Can go when the deviation is a parameter. Here it is that of an output layer of its own.
    """
    import jax
    from maxtext.models import models

    own = models.Embed

    def embed(*, config: Any, num_features: int, embedding_init: Any, **rest: Any) -> Any:
        if config.logits_via_embedding and not config.normalize_embedding_logits:
            embedding_init = jax.nn.initializers.normal(stddev=num_features**-0.5)
        return own(config=config, num_features=num_features, embedding_init=embedding_init, **rest)

    models.Embed = embed


def hand_on_errors() -> None:
    """A config that is wrong ends the process there and then, and a batch that cannot be read ends the training well.

    Upstream: maxtext 0.2.5, `_handle_config_exception` in configs/pyconfig.py, and `loader_exception_guard` in
    common/data_loader.py, which makes of any error the sign that training is over. Can go when both raise.
    """
    from maxtext.common import data_loader
    from maxtext.configs import pyconfig

    def hand_on(error: Exception) -> None:
        raise error

    pyconfig._handle_config_exception = hand_on
    data_loader.loader_exception_guard = contextlib.nullcontext


def stretch_positions(
    factor: float, low_frequency_factor: float, high_frequency_factor: float, original_context: float
) -> None:
    """Llama 3.1's numbers are in the code, and Llama 3.2 and Llama 4 have others (a factor of 32, of 16).

    Upstream: maxtext 0.2.5, `_apply_scaling_factor` in layers/embeddings.py. Can go when they are parameters. The rule
    is that of `RopeScaling` in primus/launch/config/terms/model.py.
    """
    import jax.numpy as jnp
    from maxtext.layers.embeddings import LLaMARotaryEmbedding

    width = max(high_frequency_factor - low_frequency_factor, 1e-9)  # Llama 4: one border, no passage

    def stretched(self: Any, frequency: Any) -> Any:
        turns = original_context * frequency / (2 * jnp.pi)  # within the original context
        kept = jnp.clip((turns - low_frequency_factor) / width, 0.0, 1.0)
        return kept * frequency + (1 - kept) * frequency / factor

    LLaMARotaryEmbedding._apply_scaling_factor = stretched
