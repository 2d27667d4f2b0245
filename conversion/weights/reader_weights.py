"""The reader of a published checkpoint: the backbone, or the backbone with a change of its own.

The published training asks for adapters on the encoder's layers only, but PEFT matches the ends of names: the layers
of the inference copy (`model_inf.*`), which reads memory and answers, get adapters, too.
"""

from dataclasses import dataclass

from comem_hf.conversion.published.comparison import changed_weights, refuse_other_copy
from comem_hf.conversion.published.layouts import PublishedCheckpoint
from comem_hf.conversion.published.tensor_files import LazyTensor

from .adapters import AdapterWeights, carry_adapter, recover_adapter
from .encoder_weights import check_lora


TEXT_MODEL = "language_model."
UNKNOWN = (
    "Whether the training changed the reader, too, cannot be told from these files, and the published training does: "
    "if it did, answers with memory are wrong. Convert the adapter folder, or a merged checkpoint with `model_inf.*` "
    "and its backbone, if you have them."
)
UNKNOWN_BASE = (
    "The reader (`model_inf.*`) is taken as it is, and the published training changes it: without the backbone it "
    "cannot be told apart from the change. Name the model that was trained from as `backbone=` (--backbone) to get it "
    "as an adapter of its own, and the encoder's at half the rank."
)
VISION_LEFT_OUT = (
    "The reader's vision tower was changed, too; with memory, pictures go through the encoder's, so that change "
    "decides nothing and was left out."
)


@dataclass(frozen=True)
class ReaderWeights:
    """What a converted checkpoint's reader is.

    Args:
        trained (`bool`, *optional*): Whether the training changed it; `None` if that cannot be told.
        backbone (`dict[str, LazyTensor]`): The backbone's tensors to write, by their names in transformers 5.
        merged (`bool`): Whether `backbone` holds the change.
        adapter ([`AdapterWeights`], *optional*): The change, if it is known.
        notes (`list[str]`): Sentences for the report; [`UNKNOWN`] and [`UNKNOWN_BASE`] are warnings, too.
    """

    trained: bool | None
    backbone: dict[str, LazyTensor]
    merged: bool
    adapter: AdapterWeights | None
    notes: list[str]


def reader_weights(published: PublishedCheckpoint, linear_layers: list[str], max_error: float) -> ReaderWeights:
    """Find out what the training changed in the reader.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        linear_layers (`list[str]`): Names of all layers that an adapter can change.
        max_error (`float`): As for [`adapter_weights`].

    Raises:
        ValueError: If the reader differs from the backbone by more than low-rank changes of linear layers.
    """
    if published.reader_lora:
        check_lora(published.reader_lora, published, linear_layers)
        _refuse_lost_layers(published)
        return _carried(published, linear_layers)
    if published.lora is not None or not published.has_copy:
        return ReaderWeights(None, published.backbone, False, None, [UNKNOWN])
    if not published.backbone_named:
        return ReaderWeights(None, published.backbone, False, None, [UNKNOWN_BASE])
    return _recovered(published, linear_layers, max_error)


def _carried(published: PublishedCheckpoint, linear_layers: list[str]) -> ReaderWeights:
    lora = {layer: factors for layer, factors in published.reader_lora.items() if layer.startswith(TEXT_MODEL)}
    vision = [factors for layer, factors in published.reader_lora.items() if layer not in lora]
    notes = [VISION_LEFT_OUT] if any(factors.b.load().any() for factors in vision) else []
    if not any(factors.b.load().any() for factors in lora.values()):  # as before the first step
        return ReaderWeights(False, published.backbone, False, None, notes)
    adapter = carry_adapter(lora, _text_layers(linear_layers), published.lora_dropout)
    return ReaderWeights(True, published.backbone, False, adapter, notes)


def _refuse_lost_layers(published: PublishedCheckpoint):
    """Raise a `ValueError` if the text layers of encoder and reader are not the same: training adapts both alike."""
    ours, theirs = (
        {layer for layer in lora if layer.startswith(TEXT_MODEL)} for lora in (published.lora, published.reader_lora)
    )
    if theirs and ours != theirs:
        some = sorted(ours ^ theirs)
        raise ValueError(
            f"{published.source} holds factors of encoder and reader (`model_inf.*`), but for {len(some)} text "
            f"layers, such as {some[0]}, only those of one of them; download it again."
        )


def _recovered(published: PublishedCheckpoint, linear_layers: list[str], max_error: float) -> ReaderWeights:
    copy, base = published.copy, published.backbone
    missing = sorted(base.keys() - copy.keys() - {"lm_head.weight"})  # which may be tied to the embeddings
    if missing:
        raise ValueError(
            f"{published.source} lacks {len(missing)} tensors of the inference copy (`model_inf.*`), such as "
            f"{missing[:2]}; download it again."
        )
    weights = {f"model.{layer}.weight": layer for layer in linear_layers}
    others = {name: tensor for name, tensor in copy.items() if name not in weights}
    refuse_other_copy(others, base, published.source, published.backbone_source)
    for name in weights:
        if name not in base or copy[name].shape != base[name].shape:
            raise ValueError(
                f"`backbone` {published.backbone_source} is not the one in {published.source}: {name} is missing or "
                "has another shape."
            )
    changed = changed_weights({name: copy[name] for name in weights}, base)
    layers = [weights[name] for name in changed if weights[name].startswith(TEXT_MODEL)]
    notes = [VISION_LEFT_OUT] if len(layers) < len(changed) else []
    if not layers:
        return ReaderWeights(False, base, False, None, notes)
    advice = f"check that {published.source} was trained from `backbone` {published.backbone_source}"
    adapter = recover_adapter(
        copy,
        base,
        layers,
        possible=_text_layers(linear_layers),
        rank=None,
        max_error=max_error,
        what="reader's change",
        knobs="`max_error`",
        advice=advice,
    )
    # The weights of the reader as they are, and not their reconstruction; in the vision tower those of the backbone.
    reader = base | {f"model.{layer}.weight": copy[f"model.{layer}.weight"] for layer in layers}
    return ReaderWeights(True, reader, True, adapter, notes)


def _text_layers(linear_layers: list[str]) -> list[str]:
    return [layer for layer in linear_layers if layer.startswith(TEXT_MODEL)]
