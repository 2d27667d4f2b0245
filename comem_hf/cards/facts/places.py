"""Where memory enters a model, in words, and how many parameters each part has."""

from collections.abc import Mapping
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemConfig


WORDS = {
    "memory_encoder": "memory encoder",
    "adapter": "the memory encoder's adapter",
    "resampler": "the memory encoder's resampler",
    "ffn_memory": "feed-forward layers",
    "vision_memory": "vision tower",
    "reader_adapter": "reader adapter",
    "reader": "projection of the text-only reader",
}
"""What the parts of a model's own are called, by their names in checkpoints."""

FROZEN = ("backbone", "reader.language_model")
"""Parts of a checkpoint that are no memory."""


def parameters_by_part(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the number of parameters of each part of a checkpoint, such as `"backbone"` or `"ffn_memory"`.

    Args:
        sizes (`Mapping[str, int]`): The number of elements of each tensor, by its key.
    """
    parts: dict[str, int] = {}
    for key, size in sizes.items():
        part = next((part for part in FROZEN if key.startswith(f"{part}.")), key.partition(".")[0])
        parts[part] = parts.get(part, 0) + size
    return parts


def own_parameters(parts: Mapping[str, int]) -> int:
    """Return the number of parameters that are neither the backbone's nor a text-only reader's."""
    return sum(size for part, size in parts.items() if part not in FROZEN)


def describe_places(config: "CoMemConfig", parts: Mapping[str, int]) -> dict[str, str]:
    """Say where memory enters a model.

    Args:
        config ([`CoMemConfig`]): The model's configuration.
        parts (`Mapping[str, int]`): A result of [`parameters_by_part`]; may be empty.

    Returns:
        `dict[str, str]`: A description for each of `"input"`, `"feed-forward layers"` and `"vision tower"` that memory
        enters.
    """
    places = {}
    if config.num_memory_tokens and config.ffn_source != "memory":
        places["input"] = f"{config.num_memory_tokens} vectors per item, in front of the prompt"
    if config.ffn_memory_config is not None:
        sizes = config.ffn_memory_config
        filled = "the features of pictures, which leave the prompt"
        if config.ffn_source == "memory":
            filled = f"the vectors of memory items ({config.num_memory_tokens} each), which stay out of the prompt"
        places["feed-forward layers"] = f"{sizes['num_slots']} slots, filled with {filled}"
        if config.ffn_source == "vision" and sizes["vision_adapter_rank"]:
            places["feed-forward layers"] += f"; adapters of rank {sizes['vision_adapter_rank']} in the vision tower"
    if config.vision_memory_config is not None:
        places["vision tower"] = "a vector per picture, carried from layer to layer and conditioned on the question"
    for place, part in (("feed-forward layers", "ffn_memory"), ("vision tower", "vision_memory")):
        if place in places and part in parts:
            places[place] += f"; {parts[part]:,} parameters"
    return places
