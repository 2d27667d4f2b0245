"""The places beside the input where memory enters the backbone."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging

from .alignment_loss_comem import alignment_loss, answer_mean, question_mean
from .configuration_comem import CoMemConfig
from .ffn_memory_comem import CoMemFfnMemory, FfnMemoryLayerMixin, compose_layers, restore_layers
from .placement_comem import execution_device, place_module
from .query_pictures_comem import rows_of_pictures
from .vision_blocks_comem import VisionBlockMixin, VisionSites, compose_blocks, restore_blocks
from .vision_memory_comem import CoMemVisionMemory


logger = logging.get_logger(__name__)

SITES = ("ffn_memory", "vision_memory")


class CoMemSitesMixin:
    """The methods of the model for memory in the feed-forward layers and in the vision tower.

    The layers of the backbone are of classes that can take memory. They get it as an argument of each call, and
    without that argument they compute what they always do. So the backbone alone is bit-identical to the plain one,
    and two threads or a recomputation for gradient checkpointing cannot disturb each other.
    """

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel
    ffn_memory: CoMemFfnMemory | None
    vision_memory: CoMemVisionMemory | None

    def _make_sites(self):
        """Make the modules that the configuration describes, and let the backbone's layers take memory."""
        for site in SITES:
            config = getattr(self.config, f"{site}_config")
            setattr(self, site, None if config is None else self._make_site(site, config))

    def _make_site(self, site: str, config: dict[str, Any]) -> nn.Module:
        visual, hidden_size = self.backbone.model.visual, self.config.hidden_size
        by_pictures = site == "vision_memory" or config["source"] == "vision"
        if site == "ffn_memory":
            compose_layers(self.backbone.model.language_model)
        if by_pictures:
            compose_blocks(visual)
        if site == "vision_memory":
            return CoMemVisionMemory(config, vision_width(visual), text_size=hidden_size)
        tower = (len(visual.blocks), vision_width(visual)) if by_pictures else None
        return CoMemFfnMemory(config, hidden_size, hidden_size, tower=tower)

    def add_ffn_memory(self, **config: Any):
        """Add new, trainable memory in the feed-forward layers; items or pictures then stay out of the sequence.

        Args:
            **config: Keys of `ffn_memory_config` in [`CoMemConfig`].

        Raises:
            ValueError: If the model has it already, or if it cannot be combined with another setting.
        """
        self._add_site("ffn_memory", config)

    def add_vision_memory(self, **config: Any):
        """Add new, trainable memory in the vision tower.

        Args:
            **config: Keys of `vision_memory_config` in [`CoMemConfig`].

        Raises:
            ValueError: If the model has it already, or if it cannot be combined with another setting.
        """
        self._add_site("vision_memory", config)

    def _add_site(self, site: str, config: dict[str, Any]):
        field = f"{site}_config"
        if getattr(self.config, field) is not None:
            raise ValueError(f"The model has `{field}` already; remove it first with `remove_{site}()`.")
        # The configuration checks its values when it is made.
        values = {**self.config.to_dict(), field: config}
        checked = getattr(CoMemConfig.from_dict(values), field)
        for module in self.backbone.modules():
            if getattr(module, "gradient_checkpointing", False):
                refuse_reentrant_checkpointing(module._gradient_checkpointing_func)
        new = self._make_site(site, checked).train(self.training)
        self._place_site(new)
        setattr(self, site, new)
        setattr(self.config, field, checked)
        self._name_whole_layers()

    def remove_ffn_memory(self):
        """Take memory out of the feed-forward layers; the backbone's layers are as they were."""
        self._remove_site("ffn_memory")

    def remove_vision_memory(self):
        """Take memory out of the vision tower; the backbone's blocks are as they were."""
        self._remove_site("vision_memory")

    def _remove_site(self, site: str):
        others = [name for name in SITES if name != site and getattr(self, name) is not None]
        if self.config.num_memory_tokens == 0 and not others:
            raise ValueError(f"Without `{site}` the model would have no memory; `model.backbone` is the plain model.")
        setattr(self, site, None)
        setattr(self.config, f"{site}_config", None)
        if self.ffn_memory is None:
            restore_layers(self.backbone.model.language_model)
        if self.vision_memory is None and self.config.ffn_source != "vision":
            restore_blocks(self.backbone.model.visual)
        self._name_whole_layers()

    def _place_sites(self):
        for site in self._sites().values():
            self._place_site(site)

    def _place_site(self, site: nn.Module):
        """Move a site's tensors to where the backbone computes, in the backbone's floating-point type."""
        place_module(site, execution_device(self.backbone.get_input_embeddings()), self.backbone.dtype)

    def _sites(self) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in SITES if getattr(self, name) is not None}

    def site_parameters(self) -> dict[str, nn.Parameter]:
        """Return the tensors of memory in feed-forward layers and vision tower, by name."""
        return {
            f"{name}.{key}": parameter
            for name, site in self._sites().items()
            for key, parameter in site.named_parameters()
        }

    def _vision_sites(
        self,
        inputs_embeds: torch.Tensor,
        is_text: torch.Tensor,
        labels: torch.LongTensor | None,
        is_picture: torch.Tensor,
        grid: torch.LongTensor,
    ) -> dict[str, VisionSites]:
        """Return the argument by which the vision tower's blocks get what is theirs in this call; none if nothing is.

        Args:
            inputs_embeds (`torch.Tensor` of shape `(batch, length, hidden)`): Embeddings of the prompts.
            is_text (`torch.Tensor` of shape `(batch, length)`): True at text.
            labels (`torch.LongTensor` of shape `(batch, length)`, *optional*): -100 at what is no answer.
            is_picture (`torch.Tensor` of shape `(batch, length)`): True at the tokens that stand for the pictures.
            grid (`torch.LongTensor` of shape `(pictures, 3)`): Patches of each picture in time, height and width.
        """
        adapters = None if self.ffn_memory is None else self.ffn_memory.vision_adapters
        memory = None
        if self.vision_memory is not None:
            question, lengths = question_mean(inputs_embeds, is_text, labels), grid.prod(dim=-1)
            rows = rows_of_pictures(is_picture, lengths // self.backbone.model.visual.spatial_merge_size**2)
            memory = self.vision_memory.begin(question, rows, lengths)
        return {} if adapters is None and memory is None else {"vision_sites": VisionSites(adapters, memory)}

    def _alignment_loss(
        self,
        vectors: list[torch.Tensor],
        rows: list[torch.LongTensor],
        inputs_embeds: torch.Tensor,
        is_text: torch.Tensor,
        labels: torch.LongTensor | None,
    ) -> torch.Tensor | None:
        """Return the weighted alignment loss of the memory of pictures after the last block, in training only."""
        if not vectors or not self.training:
            return None
        if labels is None:
            logger.warning_once(
                "A model with vision memory is being trained without `labels`: the question is taken to be all of the "
                "text, and there is no alignment loss."
            )
            return None
        visual = self.backbone.model.visual
        # The tower's projector reads several neighbouring tokens at once: here they are the vector, repeated.
        # In mixed precision the vector is in float32 and the projector is not.
        vector = torch.cat(vectors).to(self.backbone.dtype)
        projected = visual.merger(vector.repeat_interleave(visual.spatial_merge_size**2, dim=0))
        loss = alignment_loss(projected, torch.cat(rows), *answer_mean(inputs_embeds, is_text, labels))
        return self.config.vision_memory_config["alignment_weight"] * loss

    def _refuse_layers_without_memory(self):
        """Refuse to give memory to layers that would overlook it, as another model has put back the plain ones."""
        layers = []
        if self.ffn_memory is not None:
            layers += [(layer, FfnMemoryLayerMixin) for layer in self.backbone.model.language_model.layers]
        if self.vision_memory is not None or self.config.ffn_source == "vision":
            layers += [(block, VisionBlockMixin) for block in self.backbone.model.visual.blocks]
        if not all(isinstance(layer, kind) for layer, kind in layers):
            raise ValueError(
                "The backbone's layers take no memory any more: another model that shares this backbone has removed "
                "its own; load the backbone anew for one of the two."
            )

    def _with_adapters_of_tower(self, vision_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return arguments for the vision tower alone; refuse to run it where its features depend on the question."""
        if self.vision_memory is not None and "vision_sites" not in vision_kwargs:
            raise ValueError(
                "With `vision_memory_config`, features of pictures depend on the question and cannot be computed or "
                "cached without it; pass `pixel_values` with the prompt."
            )
        if self.config.ffn_source == "vision" and self.ffn_memory.vision_adapters is not None:
            vision_kwargs.setdefault("vision_sites", VisionSites(self.ffn_memory.vision_adapters, None))
        return vision_kwargs


def refuse_reentrant_checkpointing(function: Any):
    """Refuse a checkpointing function that computes gradients for a layer's positional arguments only."""
    if getattr(function, "keywords", {}).get("use_reentrant"):
        raise ValueError(
            "`use_reentrant` must be False with memory in the feed-forward layers or in the vision tower, or with a "
            "mix of hidden layers, which would get no gradients, got True."
        )


def vision_width(visual: nn.Module) -> int:
    """Return the width of a vision tower's tokens; the two families name it differently."""
    return visual.blocks[0].norm1.weight.shape[0]


__all__ = ["SITES", "CoMemSitesMixin", "refuse_reentrant_checkpointing", "vision_width"]
