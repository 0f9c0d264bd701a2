"""Numbers whose way through an operation can be followed: exact in every type, another series from every source."""

from collections.abc import Iterable

import torch

# Up to here every whole number is exact: 24, 11 and 8 bits of mantissa.
_EXACT = {torch.float32: 1 << 24, torch.float16: 1 << 11, torch.bfloat16: 1 << 8}
_LONGEST = 251  # a prime: what is moved by a power of two is seen
_CHUNK = 1 << 20  # elements that are written or compared at once: a check takes no memory to speak of


def period(sources: Iterable[int], ranks: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """What repeats over a tensor that came from these sources, added up; `ranks` is how many may be added at most.

    Where there are more ranks than the type can count (256 of bf16), the sources beyond those are zeros.
    """
    length = min(_LONGEST, max(2, _EXACT[dtype] // ranks + 1))
    places = torch.arange(length, device=device)
    total = torch.zeros(length, dtype=torch.int64, device=device)
    for source in sources:
        if source % ranks < _EXACT[dtype]:
            total += (places + source) % length
    return total.to(dtype)


def fill(tensor: torch.Tensor, repeating: torch.Tensor) -> None:
    """Write a series over a flat tensor."""
    whole = _chunk(repeating, tensor.numel())
    for part in torch.split(tensor, whole.numel()):
        part.copy_(whole[: part.numel()])


def wrong(tensor: torch.Tensor, repeating: torch.Tensor) -> int:
    """How many elements of a flat tensor are not those of the series."""
    whole = _chunk(repeating, tensor.numel())
    return sum(int(torch.ne(part, whole[: part.numel()]).sum()) for part in torch.split(tensor, whole.numel()))


def _chunk(repeating: torch.Tensor, elements: int) -> torch.Tensor:
    return repeating.repeat(-(-min(elements, _CHUNK) // repeating.numel()))
