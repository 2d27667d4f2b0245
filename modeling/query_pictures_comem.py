"""Which prompt a picture belongs to, and how many positions prompts take, whose pictures may leave the sequence."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig


def rows_of_pictures(is_picture: torch.Tensor, lengths: torch.Tensor) -> torch.LongTensor:
    """Return the row of each picture in a batch of prompts.

    Args:
        is_picture (`torch.Tensor` of shape `(batch, length)`): True at the tokens that stand for pictures.
        lengths (`torch.Tensor` of shape `(pictures,)`): Tokens of each picture, in the order of the batch.

    Raises:
        ValueError: If there are not as many tokens as the pictures have together.
    """
    given, needed = int(is_picture.sum()), int(lengths.sum())
    if given != needed:
        raise ValueError(
            f"The prompts have {given} tokens for pictures, but the pictures have {needed}: prompts must not be cut, "
            "and each picture needs its place."
        )
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
        return tensor.take_along_dim(_like(self.index, tensor), dim=1)

    def put_back(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor `(batch, kept, ...)` by positions of the prompt.

        A position of a picture gets what the last kept position before it has: what follows the picture is predicted
        there. It is zero if there is none.
        """
        seen = torch.zeros(len(tensor), self.prompt_length, dtype=torch.long, device=tensor.device)
        seen = seen.scatter_add(1, self.index, self.mask.long()).cumsum(dim=1)
        columns = (self.index.shape[1] - seen[:, -1:] + seen - 1).clamp(min=0)
        return tensor.take_along_dim(_like(columns, tensor), dim=1).masked_fill(_like(seen == 0, tensor), 0)


def _like(positions: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Return `(batch, positions)` with as many dimensions as `tensor`."""
    return positions.reshape(*positions.shape, *[1] * (tensor.ndim - 2))


def count_prompt_positions(input_ids: torch.Tensor, attention_mask: torch.Tensor, config: PreTrainedConfig) -> int:
    """Count the positions that prompts take in the sequence, without padding.

    Args:
        input_ids (`torch.Tensor` of shape `(batch, length)`): The prompts, with a token for each feature of a picture.
        attention_mask (`torch.Tensor` of shape `(batch, length)`): 0 at padding.
        config ([`CoMemConfig`]): The model's configuration.
    """
    kept = KeptPositions.of(input_ids, config.backbone_config) if config.ffn_source == "vision" else None
    count = int((attention_mask if kept is None else kept.take(attention_mask) * kept.mask).sum())
    if config.reader_config is None:
        return count
    # A text-only reader gets the encoded prompt, and then the prompt or what follows its first picture.
    return count + int((attention_mask.bool() & read_after_encoding(input_ids, config)).sum())


def position_limit(config: PreTrainedConfig) -> int | None:
    """Return how many positions a model has for memory, prompt and answer; `None` if its configuration does not say.

    Args:
        config ([`CoMemConfig`]): The model's configuration.
    """
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def read_after_encoding(input_ids: torch.LongTensor, config: PreTrainedConfig) -> torch.BoolTensor:
    """Return which tokens of prompts a text-only reader gets beside their hidden states."""
    if config.reader_prompt == "whole":
        return torch.ones_like(input_ids, dtype=torch.bool)
    is_end = input_ids == config.backbone_config.vision_end_token_id
    is_after = is_end.long().cumsum(1) - is_end.long() > 0
    return is_after | ~is_end.any(dim=1, keepdim=True)


__all__ = ["KeptPositions", "count_prompt_positions", "position_limit", "read_after_encoding", "rows_of_pictures"]
