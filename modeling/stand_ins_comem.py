"""What stands in for items and pictures that the batch of one process lacks, so that all take the same way."""

import torch
from torch import nn
from transformers import PreTrainedConfig

from .configuration_comem import CoMemConfig
from .memory_inputs import MemoryInputs
from .sharded_weights_comem import in_processes, is_sharded


class CoMemStandInsMixin:
    """The methods of the model for batches without items or pictures, when several processes train or share weights.

    Such processes wait for each other: for the gradients of the same parameters and, where weights are sharded, for
    the same parts of the model to ask for them. A batch without items would leave the memory encoder out, one without
    pictures a vision tower, and the others would wait for ever. So a small item with a picture is encoded with the
    others, and a small picture seen, and nothing of what comes out but the graph is used: gradients are zero.
    """

    # Attributes that the model has.
    config: CoMemConfig
    training: bool

    def _needs_stand_in_item(self) -> bool:
        """Whether the memory encoder must run, on an item with a picture, whatever the batch holds."""
        if not in_processes() or self.config.num_memory_tokens == 0:
            return False
        if self.training and torch.is_grad_enabled():
            return any(parameter.requires_grad for parameter in self.memory_encoder.parameters()) or is_sharded(self)
        return is_sharded(self)

    def _with_whole_graph(self, output):
        """Give an output in training a graph that has in it all that other processes may learn of their batches.

        Beside the encoder, that is memory in the layers. On one process, it is enough that the backward pass of a
        batch that there is nothing to learn of does not fail.
        """
        if not (self.training and torch.is_grad_enabled()):
            return output
        name = "logits" if output.loss is None else "loss"
        sources = self.site_parameters().values() if in_processes() else ()
        if not output[name].requires_grad and not sources:
            sources = self.parameters()
        output[name] = with_graph_of(output[name], [source for source in sources if source.requires_grad])
        return output


def with_graph_of(states: torch.Tensor, sources: list[torch.Tensor]) -> torch.Tensor:
    """Return the same numbers, from which zero gradients flow back to `sources`."""
    nothing = [source.flatten()[:0].sum().to(states) for source in sources]
    return states + sum(nothing) if nothing else states


def stand_in_picture(config: PreTrainedConfig, device: torch.device) -> tuple[torch.Tensor, torch.LongTensor]:
    """Return patches and grid of the smallest picture that a backbone can see: one token.

    Args:
        config (`PreTrainedConfig`): The backbone's configuration.
        device (`torch.device`): Where the tensors are made.
    """
    vision = config.vision_config
    side = vision.spatial_merge_size
    numbers = getattr(vision, "in_channels", 3) * vision.temporal_patch_size * vision.patch_size**2
    return torch.zeros(side**2, numbers, device=device), torch.tensor([[1, side, side]], device=device)


def with_stand_in_item(items: MemoryInputs | None, config: PreTrainedConfig, device: torch.device) -> MemoryInputs:
    """Return raw items with one more at their end, which has a picture.

    Args:
        items ([`MemoryInputs`], *optional*): Raw items.
        config (`PreTrainedConfig`): The backbone's configuration.
        device (`torch.device`): Where the tensors are made, if there are no items.
    """
    pixels, grid = stand_in_picture(config, device)
    tokens = [config.vision_start_token_id, config.image_token_id, config.vision_end_token_id]
    ids = torch.tensor([tokens], device=device)
    more = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels, "image_grid_thw": grid}
    if items is None:
        return MemoryInputs(more)
    joined = {}
    length = max(items["input_ids"].shape[1], len(tokens))
    for name in ("input_ids", "attention_mask"):
        rows = [
            nn.functional.pad(part, (length - part.shape[1], 0)) for part in (items[name], more[name].to(items[name]))
        ]
        joined[name] = torch.cat(rows)
    for name in ("pixel_values", "image_grid_thw"):
        before = items.get(name)
        joined[name] = more[name] if before is None else torch.cat([before, more[name].to(before)])
    return MemoryInputs(joined)


__all__ = ["CoMemStandInsMixin", "stand_in_picture", "with_graph_of", "with_stand_in_item"]
