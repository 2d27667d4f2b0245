"""Which prompt a picture belongs to, and prompts whose pictures leave the sequence."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig


def rows_of_pictures(is_picture: torch.Tensor, lengths: torch.Tensor) -> torch.LongTensor:
    """Return the row of each picture in a batch of prompts.

    Args:
        is_picture (`torch.Tensor` of shape `(batch, length)`): True at the tokens that stand for pictures.
        lengths (`torch.Tensor` of shape `(pictures,)`): Tokens of each picture, in the order of the batch.
    """
    ends_of_rows, ends_of_pictures = is_picture.sum(dim=1).cumsum(dim=0), lengths.cumsum(dim=0)
    return torch.searchsorted(ends_of_rows, ends_of_pictures.to(ends_of_rows.device))


@dataclass
class KeptPositions:
    """Positions of prompts that stay when pictures leave the sequence; rows are padded on the left."""

    index: torch.LongTensor
    """`(batch, kept)`: where the positions were in the prompt."""
    mask: torch.BoolTensor
    """`(batch, kept)`: false where a row has less than the longest one."""
    prompt_length: int
    """Positions of the prompt before pictures left."""

    @classmethod
    def of(cls, input_ids: torch.LongTensor, config: PreTrainedConfig) -> "KeptPositions | None":
        """Find the positions that are not of images, nor of the tokens around an image; `None` if that is all."""
        is_image = input_ids == config.image_token_id
        if not is_image.any():
            return None
        before, after = is_image.roll(-1, dims=1), is_image.roll(1, dims=1)
        before[:, -1] = after[:, 0] = False
        starts = before & (input_ids == config.vision_start_token_id)
        ends = after & (input_ids == config.vision_end_token_id)
        keep = ~(is_image | starts | ends)
        most = int(keep.sum(dim=1).max())
        # Sorted stably, the positions that leave come first, and the others stay in their order.
        index = keep.int().argsort(dim=1, stable=True)[:, input_ids.shape[1] - most :]
        return cls(index, keep.gather(1, index), input_ids.shape[1])

    def take(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the kept positions of a tensor `(batch, length, ...)`."""
        index = self.index.reshape(*self.index.shape, *[1] * (tensor.ndim - 2)).expand(-1, -1, *tensor.shape[2:])
        return tensor.gather(1, index)

    def put_back(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor `(batch, kept, ...)` at its positions in the prompt, zero where pictures were."""
        tensor = tensor.masked_fill(~self.mask.reshape(*self.mask.shape, *[1] * (tensor.ndim - 2)), 0)
        index = self.index.reshape(*self.index.shape, *[1] * (tensor.ndim - 2)).expand_as(tensor)
        return tensor.new_zeros(len(tensor), self.prompt_length, *tensor.shape[2:]).scatter_add(1, index, tensor)


def count_prompt_positions(input_ids: torch.Tensor, attention_mask: torch.Tensor, config: PreTrainedConfig) -> int:
    """Count the positions that prompts take in the sequence, without padding.

    Args:
        input_ids (`torch.Tensor` of shape `(batch, length)`): The prompts, with a token for each feature of a picture.
        attention_mask (`torch.Tensor` of shape `(batch, length)`): 0 at padding.
        config ([`CoMemConfig`]): The model's configuration.
    """
    kept = KeptPositions.of(input_ids, config.backbone_config) if config.ffn_source == "vision" else None
    return int((attention_mask if kept is None else kept.take(attention_mask) * kept.mask).sum())


__all__ = ["KeptPositions", "count_prompt_positions", "rows_of_pictures"]
