"""The reader of a published text-only checkpoint: a language model of its own, changed by training.

As with a vision-language reader, PEFT puts adapters on the reader's layers, too: on those whose numbers the encoder
has as well.
"""

import json
import os
from dataclasses import dataclass

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME

from comem_hf.conversion.published.comparison import EMBEDDINGS, changed_weights, refuse_other_copy, same_weights
from comem_hf.conversion.published.layouts import PublishedCheckpoint
from comem_hf.conversion.published.peft_folder import LoraFactors
from comem_hf.conversion.published.tensor_files import LazyTensor, find_file, read_weights
from comem_hf.modeling.adapter_comem import linear_layers
from comem_hf.modeling.site_configuration_comem import as_reader_config

from .encoder_weights import merged


WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
UNKNOWN = (
    "Whether the training changed the text-only reader cannot be told from these files, and the published training "
    "does; its weights are taken as they are."
)


@dataclass(frozen=True)
class TextReader:
    """What a converted checkpoint's text-only reader is.

    Args:
        config (`PreTrainedConfig`): Its configuration.
        weights (`dict[str, LazyTensor]`): Its tensors to write, by the names of its own class, training's change
            included.
        trained (`bool`, *optional*): Whether the training changed it; `None` if that cannot be told.
        rank (`int`, *optional*): Rank of the change, if it is known.
        note (`str`): A sentence for the report.
    """

    config: PreTrainedConfig
    weights: dict[str, LazyTensor]
    trained: bool | None
    rank: int | None
    note: str

    def on_meta(self) -> PreTrainedModel:
        """Return a model of its kind without weights."""
        return _on_meta(self.config)


def read_text_reader(published: PublishedCheckpoint, reader: str | os.PathLike | None) -> TextReader:
    """Put together the text-only reader of a checkpoint.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        reader (`str` or `os.PathLike`, *optional*): The language model that training started from. A merged checkpoint
            needs its configuration only; its weights, if they are there, are compared.

    Raises:
        ValueError: If it is not given, is no text-only language model, or is another one.
    """
    source = published.source
    if reader is None:
        raise ValueError(
            f"{source} has a text-only reader (`model_inf.*`), and no file says its number of heads and its other "
            "settings; pass `reader=` (--reader), the language model that it was trained from."
        )
    config = _read_config(reader)
    _refuse_other_head(published)
    base = _read_base(reader)
    if published.text_reader and published.lora is None:
        return _of_merged(published, config, base, str(reader))
    if not base:
        raise ValueError(f"`reader` {reader} has no weights, and {source} holds none of its reader; add them.")
    if published.text_reader:
        refuse_other_copy(published.text_reader, base, source, str(reader))
    if published.lora is None:
        return TextReader(config, base, None, None, UNKNOWN)
    weights = dict(base)
    for layer, factors in published.reader_lora.items():
        _check_factors(layer, factors, base, source, str(reader))
        weights[f"{layer}.weight"] = merged(base[f"{layer}.weight"], factors)
    trained = any(factors.b.load().any() for factors in published.reader_lora.values())
    rank = max((factors.rank for factors in published.reader_lora.values()), default=None) if trained else None
    return TextReader(config, weights, bool(trained), rank, _note(config, trained))


def _of_merged(
    published: PublishedCheckpoint, config: PreTrainedConfig, base: dict[str, LazyTensor], reader: str
) -> TextReader:
    weights = published.text_reader
    if not base:
        return TextReader(config, weights, None, None, UNKNOWN)
    model = _on_meta(config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    layers = {names[id(layer.weight)] for _, layer in linear_layers(model.base_model)}
    others = {name: tensor for name, tensor in weights.items() if name not in layers}
    tied = model.get_expanded_tied_weights_keys(all_submodels=True).keys()
    for name, tensor in others.items():
        if name not in tied and (name not in base or not same_weights(tensor, base[name])):
            raise ValueError(
                f"`reader` {reader} is not the model that the reader of {published.source} was trained from: {name} "
                "differs, which adapters do not change; pass the right model."
            )
    trained = bool(changed_weights({name: weights[name] for name in layers & weights.keys()}, base))
    return TextReader(config, weights, trained, None, _note(config, trained))


def _note(config: PreTrainedConfig, trained: bool) -> str:
    reader = f"The reader is a text-only language model of type {config.model_type!r}"
    if not trained:
        return f"{reader}, which the training did not change."
    return f"{reader}; it was trained, too, and the change is merged into its weights (`reader.language_model.*`)."


def _read_config(reader: str | os.PathLike) -> PreTrainedConfig:
    path = find_file(reader, CONFIG_NAME)
    if path is None:
        raise ValueError(f"`reader` {reader} has no {CONFIG_NAME}, which describes its weights; add it.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        as_reader_config(values)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(f"{path} is no JSON object of settings; download it again.") from None
    except ValueError as error:
        raise ValueError(f"`reader` {reader} is no text-only reader: {error}") from None
    return AutoConfig.from_pretrained(path.parent)


def _read_base(reader: str | os.PathLike) -> dict[str, LazyTensor]:
    return read_weights(reader) if any(find_file(reader, name) for name in WEIGHT_FILES) else {}


def _refuse_other_head(published: PublishedCheckpoint):
    """The published reader uses the encoder's table and head; ours those of the backbone, which are the same."""
    held = published.encoder_head
    if held is None:
        return
    base = published.backbone.get("lm_head.weight", published.backbone[EMBEDDINGS])
    if not same_weights(held, base):
        raise ValueError(
            f"{held.origin} is not the output layer of `backbone` {published.backbone_source}, and the text-only "
            "reader answers through it; pass the model that the checkpoint was trained from."
        )


def _check_factors(layer: str, factors: LoraFactors, base: dict[str, LazyTensor], source: str, reader: str):
    weight = base.get(f"{layer}.weight")
    shape = (factors.b.shape[0], factors.a.shape[1])
    if weight is None or tuple(weight.shape) != shape:
        what = "lacks it" if weight is None else f"has {tuple(weight.shape)}"
        raise ValueError(
            f"{source} adapts {layer} of its reader, of shape {shape}, but `reader` {reader} {what}; pass the model "
            "that it was trained from."
        )


def _on_meta(config: PreTrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)
