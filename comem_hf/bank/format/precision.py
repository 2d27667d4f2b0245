"""How exact memory vectors are: how the model was loaded that made them, and how a bank stores them.

A bank stores floating-point numbers, or small integers with scales.
"""

from collections.abc import Iterable

import torch


FLOAT_DTYPES = ("float32", "bfloat16", "float16")
MEMORY_DTYPES = (*FLOAT_DTYPES, "int8", "int4")
MEMORY_KEY, SCALE_KEY = "memory", "memory_scale"
_LARGEST = {"int8": 127, "int4": 7}
_INT4_GROUP = 32  # numbers that share a scale; in int8, a whole vector shares one

EXACT = "float32"
ENCODER_PRECISIONS = (EXACT, "float16", "8 bit", "4 bit", "few bits")
"""From the finest to the coarsest; the last is for quantizers that do not say how many."""


def check_precision(dtype: str, hidden_size: int) -> None:
    """Raise a `ValueError` if vectors of `hidden_size` numbers cannot be stored as `dtype`."""
    if dtype not in MEMORY_DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(MEMORY_DTYPES)}, got {dtype!r}.")
    if dtype == "int4" and hidden_size % _INT4_GROUP:
        raise ValueError(f"`dtype` 'int4' needs vectors of a multiple of {_INT4_GROUP} numbers, not of {hidden_size}.")


def stored_shapes(dtype: str, items: int, tokens: int, hidden_size: int) -> dict[str, tuple[torch.dtype, list[int]]]:
    """Element type and shape of the tensors that [`pack`] makes of vectors of shape (items, tokens, hidden)."""
    if dtype in FLOAT_DTYPES:
        return {MEMORY_KEY: (getattr(torch, dtype), [items, tokens, hidden_size])}
    if dtype == "int8":
        memory, groups = (torch.int8, [items, tokens, hidden_size]), 1
    else:
        memory, groups = (torch.uint8, [items, tokens, hidden_size // 2]), hidden_size // _INT4_GROUP
    return {MEMORY_KEY: memory, SCALE_KEY: (torch.bfloat16, [items, tokens, groups])}


def bytes_per_item(dtype: str, tokens: int, hidden_size: int) -> int:
    """Bytes that an item's vectors take on disk."""
    shapes = stored_shapes(dtype, 1, tokens, hidden_size).values()
    return sum(element.itemsize * torch.Size(shape).numel() for element, shape in shapes)


def pack(memory: torch.Tensor, dtype: str) -> dict[str, torch.Tensor]:
    """Turn memory vectors into the tensors of a shard.

    In int8, each vector is rounded to multiples of its own scale, `max |x| / 127`. In int4, each 32 numbers are
    rounded to multiples of their own scale, `max |x| / 7`; a byte holds two numbers, the first in its lower half.
    Scales are bfloat16.

    Args:
        memory (`torch.Tensor`): Shape (..., tokens, hidden).
        dtype (`str`): One of `MEMORY_DTYPES`.
    """
    if dtype in FLOAT_DTYPES:
        return {MEMORY_KEY: memory.to(getattr(torch, dtype)).contiguous()}
    largest = _LARGEST[dtype]
    groups = memory.float().unflatten(-1, (-1, memory.shape[-1] if dtype == "int8" else _INT4_GROUP))
    scale = (groups.abs().amax(-1, keepdim=True) / largest).bfloat16()
    # Divide by the scale as it is stored, after rounding; the scale of zeros is 0.
    steps = (groups / scale.float().clamp(min=torch.finfo(torch.bfloat16).tiny)).round_().clamp_(-largest, largest)
    integers = steps.flatten(-2).to(torch.int8)
    if dtype == "int4":
        halves = (integers + 8).to(torch.uint8)
        integers = halves[..., 0::2] | (halves[..., 1::2] << 4)
    return {MEMORY_KEY: integers.contiguous(), SCALE_KEY: scale.squeeze(-1).contiguous()}


def unpack(parts: dict[str, torch.Tensor], dtype: str) -> torch.Tensor:
    """Return the memory vectors that [`pack`] stored: floating-point ones in their dtype, others in float32."""
    memory = parts[MEMORY_KEY]
    if dtype in FLOAT_DTYPES:
        return memory
    if dtype == "int4":
        memory = torch.stack([memory & 0xF, memory >> 4], dim=-1).flatten(-2).to(torch.int8) - 8
    scale = parts[SCALE_KEY].float().unsqueeze(-1)
    return (memory.unflatten(-1, (scale.shape[-2], -1)) * scale).flatten(-2)


def precision_of(model) -> str:
    """Return one of `ENCODER_PRECISIONS`; bfloat16 makes the same bank as float32, and is exact, too.

    Args:
        model (`CoMemForConditionalGeneration`): The model that makes vectors.
    """
    return model.precision() if model.is_rounded() else EXACT


def coarsest(precisions: Iterable[str]) -> str:
    """Return the coarsest of some of `ENCODER_PRECISIONS`."""
    return max(precisions, key=ENCODER_PRECISIONS.index)


def check_encoder_precision(precision: object) -> None:
    """Raise a `ValueError` if this is none of `ENCODER_PRECISIONS`."""
    if precision not in ENCODER_PRECISIONS:
        raise ValueError(f"`precision` must be one of {', '.join(ENCODER_PRECISIONS)}, got {precision!r}.")
