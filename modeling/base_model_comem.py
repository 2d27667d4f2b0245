"""The model without its language modelling head."""

from torch import nn


class CoMemBaseModel(nn.Module):
    """A view of a model that gives last hidden states instead of logits, memory included.

    Trainers that multiply hidden states by the head themselves, such as TRL's, call `model.base_model`. The view's
    modules are the model's own, by the names that the backbone's base model gives them; the model does not hold the
    view.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.config = model.config
        self.visual = model.backbone.model.visual
        is_backbone = model.reader is None
        reader = model.backbone.model.language_model if is_backbone else model.reader.language_model.base_model
        self.language_model = reader
        self.memory_encoder = model.memory_encoder
        object.__setattr__(self, "whole", model)  # not a submodule: it has the head

    def forward(self, *args, **kwargs):
        """Run the model as its own `forward` does, up to the head.

        Args:
            *args, **kwargs: As for [`CoMemForConditionalGeneration.forward`], without `labels` and `logits_to_keep`.

        Returns:
            [`~transformers.modeling_outputs.BaseModelOutputWithPast`]: `last_hidden_state` is aligned with
            `input_ids`.
        """
        return self.whole._last_states(*self.whole._inputs_of_backbone(*args, **kwargs))

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the backbone's encoder of pictures."""
        return self.whole.backbone.get_encoder(modality=modality)

    def get_decoder(self) -> nn.Module:
        """Return the text model that reads: the backbone's, or a text-only reader."""
        return self.language_model


__all__ = ["CoMemBaseModel"]
