"""The losses that are added to that of the answers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from comem_hf.modeling import CoMemForConditionalGeneration

from .contrastive import contrastive_loss
from .reconstruction import reconstruction_loss
from .shares import answer_shares


class AddedLoss:
    """Reconstruction and contrastive loss, with their weights.

    Args:
        reconstruction_weight (`float`): Weight of [`reconstruction_loss`].
        contrastive_weight (`float`): Weight of [`contrastive_loss`].
        contrastive_layer (`int`, *optional*): Its layer; by default the one in the middle, `num_hidden_layers // 2`.
        contrastive_temperature (`float`): Its temperature.
    """

    KEYS = ("reconstruction_inputs", "true_items")
    """What batches hold for these losses, and the model does not take."""

    def __init__(
        self,
        *,
        reconstruction_weight: float = 0.0,
        contrastive_weight: float = 0.0,
        contrastive_layer: int | None = None,
        contrastive_temperature: float = 0.07,
    ):
        self.reconstruction_weight = reconstruction_weight
        self.contrastive_weight = contrastive_weight
        self.layer, self.temperature = contrastive_layer, contrastive_temperature

    def take(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """Take what these losses need out of the inputs of the model; in training, ask it for the states it needs.

        Args:
            inputs (`dict`): A batch, changed in place.
            training (`bool`): Whether the losses will be computed.

        Returns:
            `dict`: The entries [`AddedLoss.KEYS`], and in training those of the model.
        """
        taken = {name: inputs.pop(name) for name in self.KEYS if name in inputs}
        if not training or not taken:
            return {}
        taken["inputs"] = dict(inputs)  # label smoothing takes the labels out of them
        if "true_items" in taken:
            inputs["output_hidden_states"] = True
        return taken

    def __call__(
        self,
        wrapped: nn.Module,
        model: CoMemForConditionalGeneration,
        outputs: Mapping[str, Any],
        taken: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
        num_processes: int = 1,
    ) -> torch.Tensor | float:
        """Compute the weighted losses.

        Args:
            wrapped (`torch.nn.Module`): The model, as the trainer wraps it for several processes.
            model ([`CoMemForConditionalGeneration`]): The model itself.
            outputs (mapping): What the model has returned for the batch.
            taken (`dict`): What [`AddedLoss.take`] has returned.
            num_items_in_batch, num_processes: See [`answer_shares`].
        """
        if not taken:
            return 0.0
        inputs, loss = taken["inputs"], 0.0
        shares = answer_shares(inputs["labels"], num_items_in_batch, num_processes)
        if "reconstruction_inputs" in taken:
            repeated = reconstruction_loss(wrapped, taken["reconstruction_inputs"], shares)
            loss = loss + self.reconstruction_weight * repeated
        if "true_items" in taken:
            layer = model.config.get_text_config().num_hidden_layers // 2 if self.layer is None else self.layer
            compared = contrastive_loss(
                model,
                outputs["hidden_states"][layer],
                inputs,
                taken["true_items"],
                shares,
                layer=layer,
                temperature=self.temperature,
            )
            loss = loss + self.contrastive_weight * compared
        return loss
