"""What the terms of a model must be to each other, however it is trained."""

from primus.launch.config.terms.model import Model, Moe, RopeScaling
from primus.node.typed import Problem

_PAIRS = "rotary positions turn pairs of elements"


def problems(model: Model) -> list[Problem]:
    """Each key at fault, with the arithmetic."""
    return [
        *(_latent_attention(model) if model.mla else _heads(model)),
        *(_stretch(model.rope_scaling) if model.rope_scaling else ()),
        *(_experts(model.moe, model.layers) if model.moe else ()),
    ]


def _heads(model: Model) -> list[Problem]:
    found = []
    if model.attention_heads % model.kv_heads:
        found.append(
            Problem(
                "model.kv_heads",
                f"{model.attention_heads} attention heads cannot share {model.kv_heads} "
                "key/value heads evenly: it must divide model.attention_heads",
            )
        )
    if model.head_size is None:
        found.append(Problem("model.head_size", "missing: only model.mla can say it instead"))
    elif model.head_size % 2:
        found.append(Problem("model.head_size", f"{model.head_size} is odd: {_PAIRS}"))
    return found


def _latent_attention(model: Model) -> list[Problem]:
    found = []
    if model.head_size:
        found.append(
            Problem("model.head_size", f"{model.head_size} must be null where model.mla says the sizes of the heads")
        )
    if model.kv_heads != model.attention_heads:
        found.append(
            Problem(
                "model.kv_heads",
                f"{model.kv_heads} must be model.attention_heads {model.attention_heads}: "
                "with model.mla every head has its own keys and values",
            )
        )
    if model.mla and model.mla.rope_head_size % 2:
        found.append(Problem("model.mla.rope_head_size", f"{model.mla.rope_head_size} is odd: {_PAIRS}"))
    return found


_STRETCH = {
    "llama3": ("low_frequency_factor", "high_frequency_factor"),
    "yarn": ("beta_slow", "beta_fast"),
}
_NEEDED = {"llama3": _STRETCH["llama3"], "yarn": (*_STRETCH["yarn"], "mscale")}


def _stretch(scaling: RopeScaling) -> list[Problem]:
    key, other = "model.rope_scaling", "yarn" if scaling.kind == "llama3" else "llama3"
    found = [
        Problem(f"{key}.{name}", f"missing: a stretch of the kind {scaling.kind} needs it")
        for name in _NEEDED[scaling.kind]
        if getattr(scaling, name) is None
    ]
    found += [
        Problem(f"{key}.{name}", f"belongs to the kind {other}, and model.rope_scaling.kind is {scaling.kind}")
        for name in _NEEDED[other]
        if getattr(scaling, name) is not None
    ]
    lower, upper = _STRETCH[scaling.kind]
    low, high = getattr(scaling, lower), getattr(scaling, upper)
    if low and high and high < low:
        found.append(Problem(f"{key}.{upper}", f"{high} must not be below {key}.{lower} {low}"))
    return found


def _experts(moe: Moe, layers: int) -> list[Problem]:
    found = _groups(moe)
    if moe.active_experts > moe.experts:
        found.append(
            Problem("model.moe.active_experts", f"{moe.active_experts} is more than model.moe.experts {moe.experts}")
        )
    if moe.first_layer >= layers:
        found.append(Problem("model.moe.first_layer", f"{moe.first_layer} must be below model.layers {layers}"))
    return found


def _groups(moe: Moe) -> list[Problem]:
    key, groups, active = "model.moe.router", moe.router.groups, moe.router.active_groups
    if (groups is None) != (active is None):
        return [Problem(f"{key}.active_groups", f"{active}, but {key}.groups is {groups}: both are needed or neither")]
    if groups is None or active is None:
        return []
    found = []
    if moe.experts % groups or moe.experts < 2 * groups:
        found.append(
            Problem(f"{key}.groups", f"{groups} groups of two experts or more cannot share {moe.experts} evenly")
        )
    if active > groups:
        found.append(Problem(f"{key}.active_groups", f"{active} is more than {key}.groups {groups}"))
    elif moe.active_experts > active * (moe.experts // groups):
        found.append(
            Problem(
                "model.moe.active_experts",
                f"{moe.active_experts} is more than {active} active groups x {moe.experts // groups} experts of each",
            )
        )
    return found
