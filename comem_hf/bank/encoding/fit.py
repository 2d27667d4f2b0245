"""Whether a bank fits a model: its memory encoder, and the settings by which its processor prepares items."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from comem_hf.bank.format.config import BankConfig


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemConfig


_OF_PICTURES = (
    "do_convert_rgb",
    "do_resize",
    "resample",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "patch_size",
    "temporal_patch_size",
    "merge_size",
)
_PIXEL_LIMITS = ("memory_min_pixels", "memory_max_pixels")
# Words, numbers and scripts that tokenizers cut differently; tokens that were added to a tokenizer are not in it.
_PROBE = "Similar image and text knowledge: 1,024 m² of Ελλάδα, 北京 and São Paulo (isn't it?)\n"


def item_settings(processor) -> dict[str, Any]:
    """Return what of a processor decides the vectors of items, as it is stored in `bank_config.json`.

    Args:
        processor (`CoMemProcessor`): The processor.

    Returns:
        `dict`: Pixel limits of items, settings of the image processor, and `tokens`, a digest of the token ids of a
        fixed text.
    """
    ids = processor.tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    return {**_of_pictures(processor), "tokens": hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]}


def check_kinds(model, processor) -> None:
    """Raise a `ValueError` if these are not a CoMEM model that takes items and its processor.

    They may be names or swapped arguments, and a model may have no memory encoder.

    Args:
        model (`CoMemForConditionalGeneration`, *optional*): The model; `None` is not checked.
        processor (`CoMemProcessor`, *optional*): Its processor; `None` is not checked.
    """
    expected = (
        ("model", model, "memory_fingerprint", "a CoMEM model, such as `AutoModelForImageTextToText` loads"),
        ("processor", processor, "process_memories", "the model's CoMemProcessor, such as `AutoProcessor` loads"),
    )
    for name, value, method, kind in expected:
        if value is not None and not hasattr(value, method):
            shown = f"the string {value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
            raise ValueError(f"`{name}` must be {kind}, got {shown}.")
    if model is not None:
        refuse_without_encoder(model.config, "the model")


def refuse_without_encoder(config: "CoMemConfig", model: str) -> None:
    """Raise a `ValueError` if a model has no memory encoder, and so can neither make nor use a bank.

    Args:
        config ([`CoMemConfig`]): The model's configuration.
        model (`str`): Its name, for the message.
    """
    if config.num_memory_tokens == 0:
        raise ValueError(
            f"No memory bank fits {model}: it has no memory encoder, as its `num_memory_tokens` is 0, and takes no "
            "items; use it without a bank, or a model with a memory encoder."
        )


def refuse_other_model(config: BankConfig, fingerprint: str | None, processor, model: str, bank: str) -> None:
    """Refuse a model, or its processor, with which items would get other vectors than those of the bank.

    Args:
        config (`BankConfig`): The bank.
        fingerprint (`str`, *optional*): `memory_fingerprint` of the model.
        processor (`CoMemProcessor`, *optional*): Its processor, if it has one.
        model, bank (`str`): Their names, for the message.

    Raises:
        ValueError: If the bank does not fit, or it cannot be told; the message names the setting and both values.
    """
    config.refuse_other_model(fingerprint, model, bank)
    if processor is not None:
        refuse_other_processor(config, processor, model, bank)
    elif expected_settings(config):
        raise ValueError(
            f"Cannot tell whether the bank {bank!r} fits: {model} has no processor; save the processor beside it."
        )


def refuse_other_processor(config: BankConfig, processor, model: str, bank: str, pictures_only: bool = False) -> None:
    """Refuse a processor that prepares items in another way than the one that the bank was made with.

    Banks of older versions do not say how their items were prepared, except for pixel limits.

    Args:
        config (`BankConfig`): The bank.
        processor (`CoMemProcessor`): The processor.
        model, bank (`str`): Names, for the message.
        pictures_only (`bool`, defaults to `False`): Leave out the tokenizer, which takes most of the time.

    Raises:
        ValueError: If a setting differs; the message names it and both values.
    """
    expected = expected_settings(config)
    found = _of_pictures(processor) if pictures_only else item_settings(processor)
    for name, value in expected.items():
        if name in found and found[name] != value:
            raise ValueError(
                f"The bank {bank!r} does not fit the processor of {model}: its items were prepared with `{name}` "
                f"{value!r}, but the processor has {found[name]!r}. Use the processor of the bank's own model, or "
                "build the bank again."
            )


def expected_settings(config: BankConfig) -> dict[str, Any]:
    """Return the settings that a processor must have; none where the bank does not say."""
    of_embedder = {name: config.embedder[name] for name in _PIXEL_LIMITS if name in config.embedder}
    return {**of_embedder, **(config.processor or {})}


def _of_pictures(processor) -> dict[str, Any]:
    settings = {name: getattr(processor, name) for name in _PIXEL_LIMITS}
    settings |= {name: getattr(processor.image_processor, name, None) for name in _OF_PICTURES}
    return json.loads(json.dumps(settings))  # as it is read back: lists for tuples, a number for a filter
