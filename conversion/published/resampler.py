"""The resampler of a published checkpoint with the names and sizes of this package."""

from typing import Any

from .key_names import RESAMPLER_KEYS_VALUES, RESAMPLER_NAMES
from .tensor_files import LazyTensor


PUBLISHED_HEADS = 16


def check_resampler_shapes(tensors: dict[str, LazyTensor]):
    """Raise a `ValueError` if a tensor from which sizes are read has a wrong number of dimensions."""
    latents = tensors["latents"]
    if len(latents.shape) != 3 or latents.shape[0] != 1:
        raise ValueError(
            f"{latents.origin} has shape {tuple(latents.shape)}, which must be (1, memory tokens, hidden size)."
        )
    for name in ("layers.0.to_q.weight", RESAMPLER_KEYS_VALUES, "layers.1.1.weight"):
        if len(tensors[name].shape) != 2:
            raise ValueError(f"{tensors[name].origin} has shape {tuple(tensors[name].shape)}, but must be a matrix.")


def resampler_config(tensors: dict[str, LazyTensor], given: dict[str, Any] | None) -> dict[str, Any]:
    """Return `resampler_config`, with the number of passes only if it is given.

    Args:
        tensors (`dict[str, LazyTensor]`): The resampler by published names.
        given (`dict`, *optional*): The keys that the caller gave.

    Raises:
        ValueError: If given values are out of range or do not fit the tensors.
    """
    given = dict(given or {})
    for name in ("num_attention_heads", "head_dim", "num_hidden_layers"):
        value = given.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`resampler['{name}']` must be a positive integer, got {value!r}.")
    inner, hidden_size = tensors["layers.0.to_q.weight"].shape
    heads, head_dim = given.get("num_attention_heads"), given.get("head_dim")
    if heads is None:
        heads = given["num_attention_heads"] = inner // head_dim if head_dim else PUBLISHED_HEADS
    if head_dim is None:
        head_dim = given["head_dim"] = inner // heads
    if heads * head_dim != inner:
        raise ValueError(
            f"`num_attention_heads` times `head_dim` must be {inner}, the width of this checkpoint's resampler, got "
            f"{heads} times {head_dim} (--resampler-heads, --resampler-head-dim)."
        )
    return {**given, "ff_mult": tensors["layers.1.1.weight"].shape[0] // hidden_size}


def resampler_tensors(tensors: dict[str, LazyTensor]) -> dict[str, LazyTensor]:
    """Return the resampler's tensors by their keys in checkpoints of this package."""
    prefix = "memory_encoder.resampler."
    result = {prefix + name: tensors[published] for published, name in RESAMPLER_NAMES.items()}
    result[prefix + "queries.weight"] = tensors["latents"].then(lambda tensor: tensor[0])
    for half, name in enumerate("kv"):
        tensor = tensors[RESAMPLER_KEYS_VALUES].then(lambda tensor, half=half: tensor.chunk(2)[half])
        result[f"{prefix}layers.0.attention.{name}_proj.weight"] = tensor
    return result
