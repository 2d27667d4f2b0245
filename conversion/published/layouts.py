"""The layouts of published checkpoints, split into backbone, encoder and resampler."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from transformers import PreTrainedConfig

from .backbone_config import (
    read_adapter_backbone_config,
    read_backbone_config,
    refuse_comem,
    refuse_other_vocabulary,
)
from .comparison import EMBEDDINGS, add_tensor, refuse_other_copy
from .key_names import (
    INFERENCE_COPY,
    OWN_PREFIX,
    RESAMPLER,
    RESAMPLER_KEYS_VALUES,
    RESAMPLER_NAMES,
    modern_name,
)
from .peft_config import ADAPTER_CONFIG
from .peft_folder import LoraFactors, read_peft_folder
from .resampler import check_resampler_shapes
from .tensor_files import LazyTensor, find_file, read_weights


WITHOUT_COPY = "merged without inference copy"


@dataclass
class PublishedCheckpoint:
    """The parts of a published checkpoint of any layout; tensors by their names in transformers 5.

    Args:
        source (`str`): Folder or repository.
        layout (`str`): `"full merged"`, `"merged without inference copy"` or `"adapter"`; with a text-only reader
            `"full merged, text-only reader"` or `"adapter, text-only reader"`.
        config (`PreTrainedConfig`): Configuration of the backbone.
        backbone (`dict[str, LazyTensor]`): All tensors of the backbone.
        backbone_source (`str`): Where they are from: `source` itself, or another folder or repository.
        backbone_named (`bool`): Whether the caller has named the backbone.
        config_source (`str`): Where configuration, tokenizer and image processor are from.
        copy (`dict[str, LazyTensor]`): The checkpoint's own copy of the backbone, which reads memory and answers. In
            an adapter folder it is as before training; in a merged checkpoint it may have been trained, too.
        text_reader (`dict[str, LazyTensor]`, *optional*): In a checkpoint whose reader is a text-only language model,
            what it holds of that one's tensors, by the names of its own class; `copy` is then empty. In an adapter
            folder they are as before training. `None`: the reader is a vision-language model.
        encoder_head (`LazyTensor`, *optional*): The encoder's output layer, which only a text-only reader uses.
        encoder (`dict[str, LazyTensor]`): The encoder's full tensors; in an adapter folder, those saved whole.
        lora (`dict[str, LoraFactors]`, *optional*): In an adapter folder, the factors by layer.
        reader_lora (`dict[str, LoraFactors]`): In an adapter folder, the factors of layers of the copy, or of the
            text-only reader.
        lora_dropout (`float`): Dropout that the adapter was trained with.
        adapter_backbone (`str`, *optional*): In an adapter folder, the name of the model that it was trained from.
        resampler (`dict[str, LazyTensor]`): The resampler's tensors by their published names, without the prefix.
    """

    source: str
    layout: str
    config: PreTrainedConfig
    backbone: dict[str, LazyTensor]
    backbone_source: str
    backbone_named: bool
    config_source: str
    copy: dict[str, LazyTensor] = field(default_factory=dict)
    text_reader: dict[str, LazyTensor] | None = None
    encoder_head: LazyTensor | None = None
    encoder: dict[str, LazyTensor] = field(default_factory=dict)
    lora: dict[str, LoraFactors] | None = None
    reader_lora: dict[str, LoraFactors] = field(default_factory=dict)
    lora_dropout: float = 0.0
    adapter_backbone: str | None = None
    resampler: dict[str, LazyTensor] = field(default_factory=dict)

    @property
    def has_copy(self) -> bool:
        """Whether the checkpoint holds a copy of the backbone, so that a named backbone was compared with it."""
        return bool(self.copy)


def read_published(
    source: str | os.PathLike, backbone: str | os.PathLike | None = None, has_text_reader: bool = False
) -> PublishedCheckpoint:
    """Find out which layout a checkpoint has and split it into its parts.

    Weights are not read yet, except to compare untouched copies of the backbone with `backbone`.

    Args:
        source (`str` or `os.PathLike`): Folder or repository.
        backbone (`str` or `os.PathLike`, *optional*): The backbone; needed unless the checkpoint holds a copy, or an
            adapter folder the untouched weights (`non_lora_state_dict.bin`).
        has_text_reader (`bool`, *optional*, defaults to `False`): Whether the caller has named a text-only reader.
            Otherwise the checkpoint has one if `model_inf.*` has no vision tower, and the encoder has.

    Raises:
        ValueError: If a part is missing or unknown, or if `backbone` is not the one that the checkpoint was made
            from.
    """
    source = str(source)
    adapter = read_peft_folder(source) if find_file(source, ADAPTER_CONFIG) else None
    tensors = read_weights(source) if adapter is None else adapter.others
    _refuse_own(tensors, "source", source)
    is_text = _has_text_reader(source, {*tensors}, None if adapter is None else {*adapter.lora}, has_text_reader)
    lora = reader_lora = None
    if adapter is not None:
        of_copy = {layer: pair for layer, pair in adapter.lora.items() if layer.startswith(INFERENCE_COPY)}
        lora = _by_modern_name({n: pair for n, pair in adapter.lora.items() if n not in of_copy}, source)
        reader_lora = {n.removeprefix(INFERENCE_COPY): p for n, p in of_copy.items()}
        reader_lora = reader_lora if is_text else _by_modern_name(reader_lora, source)
    encoder, copy, text_reader, resampler = {}, {}, {}, {}
    for key, tensor in tensors.items():
        if key.startswith(INFERENCE_COPY) and is_text:
            add_tensor(text_reader, key.removeprefix(INFERENCE_COPY), tensor)
        elif key.startswith(INFERENCE_COPY):
            add_tensor(copy, modern_name(key.removeprefix(INFERENCE_COPY)), tensor)
        elif key.startswith(RESAMPLER):
            add_tensor(resampler, key.removeprefix(RESAMPLER), tensor)
        else:
            add_tensor(encoder, modern_name(key), tensor)
    untouched = dict(encoder) if lora is not None and EMBEDDINGS in encoder else None
    head = encoder.pop("lm_head.weight", None)  # the memory encoder does not use a second head
    _check_resampler(resampler, source, is_plain=lora is None and not copy and not text_reader)

    if backbone is not None:
        config = read_backbone_config(backbone, "backbone")
        refuse_other_vocabulary(source, config, backbone)
        base, config_source = _read_backbone(str(backbone)), str(backbone)
        if lora is not None:
            refuse_other_copy(copy, base, source, str(backbone))
    elif untouched is not None:
        config, config_source = read_adapter_backbone_config(source, adapter.backbone_name)
        base = untouched
        refuse_other_copy(copy, base, source, source)
    elif lora is None and copy:
        config, base, config_source = read_backbone_config(source, "source"), copy, source
    else:
        what = "is an adapter without its backbone" if lora is not None else "holds no copy of the backbone"
        name = f"; it names {adapter.backbone_name!r}" if adapter and adapter.backbone_name else ""
        raise ValueError(f"{source} {what}; pass `backbone=` (--backbone), the model that it was trained from{name}.")
    return PublishedCheckpoint(
        source=source,
        layout=("adapter" if lora is not None else "full merged" if copy or text_reader else WITHOUT_COPY)
        + ", text-only reader" * is_text,
        config=config,
        backbone=base,
        backbone_source=source if backbone is None else str(backbone),
        backbone_named=backbone is not None,
        config_source=config_source,
        copy=copy,
        text_reader=text_reader if is_text else None,
        encoder_head=head,
        encoder=encoder,
        lora=lora,
        reader_lora=reader_lora or {},
        lora_dropout=0.0 if adapter is None else adapter.dropout,
        adapter_backbone=None if adapter is None else adapter.backbone_name,
        resampler=resampler,
    )


def _has_text_reader(source: str, keys: set[str], adapted: set[str] | None, is_named: bool) -> bool:
    def split(names: set[str]) -> tuple[set[str], set[str]]:
        of_reader = {name for name in names if name.startswith(INFERENCE_COPY)}
        return names - of_reader, {name.removeprefix(INFERENCE_COPY) for name in of_reader}

    def sees(names: set[str]) -> bool:
        return any("visual." in name for name in names)

    if is_named and sees(split(keys | (adapted or set()))[1]):
        raise ValueError(
            f"`reader` (--reader) is for checkpoints with a text-only reader, but that of {source} (`model_inf.*`) "
            "has a vision tower; leave it out."
        )
    encoder, reader = split(keys if adapted is None else adapted)
    # PEFT adapts layers of the reader that are called as layers of the encoder, and no others.
    is_whole = bool(reader) and (adapted is None or reader <= encoder)
    return is_named or is_whole and sees(encoder) and not sees(reader)


def _by_modern_name(lora: dict[str, LoraFactors], source: str) -> dict[str, LoraFactors]:
    result = {}
    for layer, factors in lora.items():
        name = modern_name(layer)
        if not name.startswith("model."):
            raise ValueError(
                f"{source} adapts {layer}, which is no layer of the encoder's text model or vision tower."
            )
        name = name.removeprefix("model.")
        if name in result:
            raise ValueError(f"{factors.a.origin} and {result[name].a.origin} adapt the same layer; remove one.")
        result[name] = factors
    return result


def _check_resampler(resampler: dict[str, LazyTensor], source: str, is_plain: bool):
    if not resampler and is_plain:
        raise ValueError(
            f"{source} is a plain model, with neither a resampler (`{RESAMPLER}*`) nor a copy of its backbone "
            f"(`{INFERENCE_COPY}*`); pass a CoMEM checkpoint, and a plain model as `backbone=` (--backbone) only."
        )
    if not resampler:
        raise ValueError(
            f"{source} holds no resampler (`{RESAMPLER}*`), and memory needs one; the published merge script drops "
            "it, so convert the adapter folder, or the checkpoint from before the merge."
        )
    strange = resampler.keys() ^ {*RESAMPLER_NAMES, RESAMPLER_KEYS_VALUES}
    if strange:
        raise ValueError(f"{source} holds another resampler than the published one: {sorted(strange)[:4]}.")
    check_resampler_shapes(resampler)


def _read_backbone(backbone: str) -> dict[str, LazyTensor]:
    tensors = read_weights(backbone)
    _refuse_own(tensors, "backbone", backbone)
    if any(key.startswith((RESAMPLER, INFERENCE_COPY)) for key in tensors):
        refuse_comem("backbone", backbone)
    named = {}
    for key, tensor in tensors.items():
        add_tensor(named, modern_name(key), tensor)
    return named


def _refuse_own(keys: Iterable[str], argument: str, path: str):
    if any(key.startswith(OWN_PREFIX) for key in keys):
        refuse_comem(argument, path)
