"""A text-only language model that reads memory and prompt in the backbone's place."""

from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .adapter_comem import base_layer
from .cache_name_comem import CACHE_NAME
from .configuration_comem import CoMemConfig
from .placement_comem import execution_device, place_module
from .resampler_comem import Projection, root_mean_square
from .site_configuration_comem import as_reader_config


LANGUAGE_MODEL = "reader.language_model."  # in a checkpoint and in the model
# What the reader is called with; models that find positions or cache in another way are of another kind.
NEEDED_ARGUMENTS = ("inputs_embeds", "attention_mask", "position_ids", CACHE_NAME, "logits_to_keep")


class ReaderProjection(Projection):
    """The way from the backbone's width to that of a text-only reader.

    Rows are first brought to a root mean square of 1, as RMS normalisation without weights does it: memory vectors
    and pictures have the size of the backbone's embeddings, hidden states a much larger one.
    """

    @torch.no_grad()
    def start(self, size: float):
        """Set the weights from which training starts.

        Args:
            size (`float`): Root mean square of projected rows.
        """
        self.weight.normal_(std=size / self.in_features**0.5)
        self.bias.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        normed = F.rms_norm(states, states.shape[-1:])
        return super().forward(normed.to(self.weight.dtype)).to(states.dtype)


class CoMemReader(nn.Module):
    """A text-only causal language model, and the projection of what it reads, if its width is not the backbone's.

    Args:
        config ([`CoMemConfig`]): `reader_config` and `reader_vocabulary` decide the shapes.
        language_model ([`~transformers.PreTrainedModel`], *optional*): A loaded reader, which is used as it is; if not
            given, it is made from `reader_config`, with random weights.

    Raises:
        ValueError: If the model is not of a kind that can read embeddings.
    """

    def __init__(self, config: CoMemConfig, language_model: PreTrainedModel | None = None):
        super().__init__()
        if language_model is None:
            language_model = AutoModelForCausalLM.from_config(config.reader_config)
        else:
            for module in language_model.modules():  # as for the backbone: nothing is drawn anew
                module._is_hf_initialized = True
        refuse_unfit_reader(language_model)
        self.language_model = language_model
        self.has_own_vocabulary = config.reader_vocabulary == "reader"
        ours, its = config.hidden_size, language_model.config.hidden_size
        self.projection = None if ours == its else ReaderProjection(ours, its)

    @property
    def device(self) -> torch.device:
        """The device for inputs."""
        return execution_device(self.language_model.get_input_embeddings())

    def place(self):
        """Move the projection to where the language model computes, in its floating-point type."""
        if self.projection is not None:
            place_module(self.projection, self.device, self.language_model.dtype)

    @torch.no_grad()
    def start(self):
        """Let a new projection give rows of the size of the reader's own embeddings."""
        if self.projection is not None:
            embeddings = self.language_model.get_input_embeddings().weight
            self.projection.start(root_mean_square(embeddings))

    def project(self, states: torch.Tensor) -> torch.Tensor:
        """Return memory vectors, hidden states or picture features as rows of the reader's input.

        Args:
            states (`torch.Tensor` of shape `(..., backbone's hidden)`): What the backbone or its encoder gives.

        Returns:
            `torch.Tensor` of shape `(..., reader's hidden)`, in the reader's type.
        """
        states = states.to(device=self.device, dtype=self.language_model.dtype)
        return states if self.projection is None else self.projection(states)

    def read(self, **inputs: Any):
        """Run the language model without its head; return its output with `last_hidden_state`.

        Args:
            **inputs: `inputs_embeds` of shape `(batch, rows, reader's hidden)`, and further arguments of the model.
        """
        return self.language_model.base_model(**self._placed(inputs), return_dict=True)

    def forward(self, head: nn.Module, logits_to_keep: int, **inputs: Any) -> CausalLMOutputWithPast:
        """Run the language model.

        Args:
            head (`torch.nn.Module`): The backbone's output layer, used with its vocabulary; else the reader uses its
                own.
            logits_to_keep (`int`): Rows at the end for which logits are wanted; 0: all.
            **inputs: As for [`~CoMemReader.read`].
        """
        if self.has_own_vocabulary:
            inputs = self._placed(inputs)
            return self.language_model(**inputs, logits_to_keep=logits_to_keep, return_dict=True)
        output = self.read(**inputs)
        states = output.last_hidden_state[:, -logits_to_keep:]  # 0 is all
        states = states.to(device=execution_device(head), dtype=head.weight.dtype)
        return CausalLMOutputWithPast(
            logits=head(states),
            hidden_states=output.hidden_states,
            attentions=output.attentions,
            **{CACHE_NAME: output[CACHE_NAME] if CACHE_NAME in output else None},
        )

    def _placed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = {name: value.to(self.device) for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        if "inputs_embeds" in tensors:
            tensors["inputs_embeds"] = tensors["inputs_embeds"].to(self.language_model.dtype)
        return inputs | tensors


def refuse_unfit_reader(reader: Any):
    """Raise a `ValueError` if a loaded reader is not a plain, text-only causal language model that reads embeddings.

    Args:
        reader ([`~transformers.PreTrainedModel`]): The model.
    """
    if not isinstance(reader, PreTrainedModel):
        raise ValueError(
            "`reader` must be the name of a causal language model, or a loaded one without adapters, got "
            f"{type(reader).__name__}."
        )
    as_reader_config(reader.config)
    adapted = [name for name, module in reader.named_modules() if base_layer(module) is not module]
    if adapted:
        raise ValueError(
            f"`reader` must be a plain language model, but it has adapters on it, such as on {adapted[0]!r}; merge "
            "them into it (`merge_and_unload()`), or put them on `model.reader.language_model` afterwards."
        )
    # Types that are also models of masked tokens see what comes after a token, unless they are told that they decode.
    if type(reader.config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(reader.config, "is_decoder", False):
        raise ValueError(
            f"`reader` must be a causal language model, but {type(reader).__name__} sees the tokens that follow; load "
            "it with `is_decoder=True` if it was trained so."
        )
    if reader.get_output_embeddings() is None:
        raise ValueError(
            f"`reader` must be a language model with its head, as `AutoModelForCausalLM` loads it, but "
            f"{type(reader).__name__} has none."
        )
    unknown = [name for name in NEEDED_ARGUMENTS if name not in signature(reader.forward).parameters]
    if unknown:
        raise ValueError(
            f"`reader` must be a language model of the kind of Llama and Qwen2, but {type(reader).__name__} takes no "
            f"{' and no '.join(f'`{name}`' for name in unknown)}."
        )


__all__ = ["LANGUAGE_MODEL", "CoMemReader", "ReaderProjection", "refuse_unfit_reader"]
