"""Checks and counts of the trainable and the frozen parameters of a model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.modeling.reader_comem import LANGUAGE_MODEL


PARTS = ("memory_encoder", "adapter", "resampler", "ffn_memory", "vision_memory", "reader_adapter", "reader")
"""What of a model is its own, and not the backbone's; of a text-only reader it is the projection."""
PARTS_OF_ENCODER = {"adapter": "memory_encoder.adapter.", "resampler": "memory_encoder.resampler."}
"""Parts of the memory encoder, with the beginning of their names; one with its own weights has no adapter."""


class TrainableShare(NamedTuple):
    """Numbers of trainable and of all parameters of a model; weights used in two places count once."""

    trainable: int
    total: int

    def __str__(self) -> str:
        share = self.trainable / self.total if self.total else 0.0
        return f"trainable parameters: {self.trainable:,} of {self.total:,} ({share:.2%})"


def trainable_share(model: nn.Module) -> TrainableShare:
    """Count the trainable and all parameters of a model.

    Args:
        model (`nn.Module`): The model; it may be on the meta device.

    Returns:
        `TrainableShare`: The two counts; its `str` is one line of text.
    """
    parameters = list(model.parameters())  # each shared parameter once
    return TrainableShare(sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters))


def trained_parts(model: CoMemForConditionalGeneration) -> list[str]:
    """Return which of [`PARTS`] have trainable tensors; of a memory encoder that is trained in part, that part."""
    own = model.own_parameters()
    trained = {name for name, parameter in own.items() if parameter.requires_grad}
    parts = {_part(name) for name in trained}
    frozen = [name for name in own if _part(name) == "memory_encoder" and name not in trained]
    if "memory_encoder" in parts and frozen:
        inside = {part for name in trained for part in _parts(name) & PARTS_OF_ENCODER.keys()}
        parts = parts - {"memory_encoder"} | inside if inside else parts
    return [part for part in PARTS if part in parts]


def train_only(model: CoMemForConditionalGeneration, *parts: str) -> None:
    """Freeze all of a model's own tensors except those of some parts.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model, changed in place.
        *parts (`str`): Those to train, among `"memory_encoder"` or its `"adapter"` or `"resampler"` alone,
            `"ffn_memory"`, `"vision_memory"`, `"reader_adapter"` and `"reader"`.

    Raises:
        ValueError: If a part is unknown, or the model does not have it.

    Example:
    ```python
    model.add_ffn_memory(source="memory", num_slots=24)
    train_only(model, "ffn_memory")  # the memory encoder stays, and so do its banks
    ```
    """
    check_parts(parts)
    check_has_parts(model, parts)
    for name, parameter in _own_parameters(model).items():
        parameter.requires_grad_(not _parts(name).isdisjoint(parts))


def check_parts(parts: Sequence[str], write: Callable[[str], str] = str) -> None:
    """Raise a `ValueError` unless there are parts, and all are among [`PARTS`].

    Args:
        parts (`Sequence[str]`): The parts.
        write (`Callable`, *optional*): Spelling of a part in the message.
    """
    for part in parts or [None]:
        if part not in PARTS:
            given = None if part is None else write(part)
            raise ValueError(f"The parts to train must be among {', '.join(map(write, PARTS))}, got {given!r}.")


def check_has_parts(
    model: CoMemForConditionalGeneration, parts: Sequence[str], write: Callable[[str], str] = str
) -> None:
    """Raise a `ValueError` unless a model has all of some parts, and they can be trained.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        parts (`Sequence[str]`): The parts, among [`PARTS`].
        write (`Callable`, *optional*): Spelling of a part in the message.
    """
    has = set().union(*map(_parts, _own_parameters(model)))
    if "reader_adapter" in has and model.config.reader_lora_config["merged"]:
        has.remove("reader_adapter")  # its change is in the backbone's weights
    for part in parts:
        if part not in has:
            names = " and ".join(write(name) for name in PARTS if name in has and name not in PARTS_OF_ENCODER)
            raise ValueError(
                f"The model has no {write(part)!r} to train, but {names}; name one of these, or add it to the model "
                "first."
            )


def _own_parameters(model: CoMemForConditionalGeneration) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.own_parameters().items() if not name.startswith(LANGUAGE_MODEL)}


def _part(name: str) -> str:
    return name.partition(".")[0]


def _parts(name: str) -> set[str]:
    """Return the part that a tensor belongs to, and the part of the memory encoder if it is in one."""
    return {_part(name)} | {part for part, prefix in PARTS_OF_ENCODER.items() if name.startswith(prefix)}


def check_backbone_is_frozen(model: CoMemForConditionalGeneration) -> None:
    """Check that training can change the model's own tensors (see [`PARTS`]) and nothing else.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.

    Raises:
        ValueError: If a parameter of the backbone or of a text-only reader is trainable (the message names it), or no
            parameter of the model's own is.
    """
    frozen = {"backbone": model.backbone}
    if model.reader is not None:
        frozen["reader.language_model"] = model.reader.language_model
    for part, module in frozen.items():
        loose = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        if loose:
            what = "backbone" if part == "backbone" else "text-only reader"
            raise ValueError(
                f"The {what} must be frozen, but {len(loose)} of its parameters are trainable, such as {loose[0]!r}; "
                f"call `model.{part}.requires_grad_(False)`."
            )
    if not any(parameter.requires_grad for parameter in model.own_parameters().values()):
        raise ValueError("No parameter of the model's own is trainable: there is nothing to train.")


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable parameters of a model by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def is_quantized(model: CoMemForConditionalGeneration) -> bool:
    """Whether the backbone is in a few bits, so that its weights cannot be saved."""
    return getattr(model.backbone, "hf_quantizer", None) is not None
