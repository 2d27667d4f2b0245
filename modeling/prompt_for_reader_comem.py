"""What a text-only reader gets of memory and prompt, and the state of a text that it has read."""

from dataclasses import dataclass

import torch

from .generation_comem import MemoryInCache
from .prompt_with_memory_comem import PromptWithMemory


@dataclass
class PromptForReader(PromptWithMemory):
    """Input of a text-only reader, `[memory ; encoded prompt ; prompt]`, padded on the left.

    `inputs_embeds` have shape `(batch, rows, reader's hidden)`; `position_ids` of shape `(batch, rows)` count the rows
    from 0, padding skipped.
    """

    rows: torch.Tensor | None = None
    """`(batch, prompt)`: the row whose output belongs to each position of the prompt; `None` if these are the last
    rows, in order, as without padding on the right."""

    def aligned(self, outputs: torch.Tensor, logits_to_keep: int | torch.Tensor = 0) -> torch.Tensor:
        """Return outputs by positions of the prompt.

        Args:
            outputs (`torch.Tensor` of shape `(batch, kept, ...)`): Outputs of the last rows, as many as
                `num_kept` says.
            logits_to_keep (`int` or `torch.Tensor`): The wanted positions, as in the backbone's `forward`.
        """
        if isinstance(logits_to_keep, torch.Tensor):
            wanted = logits_to_keep.to(outputs.device)
        else:
            wanted = slice(-outputs.shape[1], None)
        if self.rows is None:
            return outputs[:, wanted]
        rows = self.rows.to(outputs.device)[:, wanted] - (self.inputs_embeds.shape[1] - outputs.shape[1])
        return outputs.gather(1, rows[..., None].expand(-1, -1, outputs.shape[-1]))

    def num_kept(self, logits_to_keep: int | torch.Tensor) -> int:
        """Return how many rows at the end the wanted positions are among."""
        if isinstance(logits_to_keep, torch.Tensor) or not logits_to_keep:
            return self.prompt_length
        return min(logits_to_keep, self.prompt_length)


class ReadingInCache(MemoryInCache):
    """The state for continuing a text that a text-only reader has in its cache."""

    def continue_after(
        self, attention_mask: torch.Tensor | None, past_length: int, new: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mask and positions as [`MemoryInCache`] does; `position_ids` have the shape `(batch, new)`."""
        attention_mask, position_ids = super().continue_after(attention_mask, past_length, new)
        return attention_mask, position_ids[0]


def left_padded(rows: torch.Tensor, mask: torch.Tensor, least: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Move the rows that count to the end, in order, and cut off what none in the batch needs, but leave `least`."""
    length = max(int(mask.sum(dim=1).max()), least)
    order = mask.long().argsort(dim=1, stable=True)[:, -length:]
    mask = mask.gather(1, order)
    rows = rows.gather(1, order[..., None].expand(-1, -1, rows.shape[-1]))
    return rows.masked_fill(~mask[..., None], 0), mask


__all__ = ["PromptForReader", "ReadingInCache", "left_padded"]
