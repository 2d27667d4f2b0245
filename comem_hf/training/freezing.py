"""Checks and counts of the trainable and the frozen parameters of a model."""

from typing import NamedTuple

from torch import nn

from comem_hf.modeling import CoMemForConditionalGeneration


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


def check_backbone_is_frozen(model: CoMemForConditionalGeneration) -> None:
    """Check that training can change the memory encoder, perhaps what belongs to a reader, and nothing else.

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
        raise ValueError("No parameter of memory encoder or reader adapter is trainable: there is nothing to train.")


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable parameters of a model by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def is_quantized(model: CoMemForConditionalGeneration) -> bool:
    """Whether the backbone is in a few bits, so that its weights cannot be saved."""
    return getattr(model.backbone, "hf_quantizer", None) is not None
