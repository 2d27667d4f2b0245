"""Answers that a model generates to the questions of its evaluation data, compared with the expected ones."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from comem_hf.answering import GREEDY, exact_match
from comem_hf.training.data.chat import IGNORE_INDEX


TOKENS = ("input_ids", "attention_mask", "mm_token_type_ids")
OTHERS = ("pixel_values", "image_grid_thw", "memory_inputs")


class GeneratedAnswers:
    """Share of the questions of an evaluation that a model answers exactly.

    A question is a row's conversation up to its last answer, with the row's memory items, in the tokens of training.
    With several processes each answers the rows of its own batches, and all of them count all answers.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_samples (`int`, *optional*): Number of rows that are asked, from the first on; all by default.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_samples: int | None = None, max_new_tokens: int = 32):
        self.tokenizer = tokenizer
        self.max_samples = max_samples
        self.max_new_tokens = max_new_tokens
        self.right: list[int] = []

    @property
    def score(self) -> float | None:
        """The share of exact answers, from 0 to 1, or `None` if nothing was asked."""
        return sum(self.right) / len(self.right) if self.right else None

    def ask(
        self,
        model: PreTrainedModel,
        batch: Mapping[str, Any],
        gather: Callable[[torch.Tensor], torch.Tensor],
        **settings: Any,
    ) -> None:
        """Answer the questions of a batch, unless enough have been asked.

        Args:
            model (`PreTrainedModel`): The model, in evaluation mode.
            batch (`Mapping`): A batch of [`MemoryCollator`], with `labels`.
            gather (`Callable`): Function that joins the values of all processes in the order of the rows, without
                those of rows that occur twice to fill the last batch, such as accelerate's `gather_for_metrics`.
            **settings: Further arguments of `generate`.
        """
        left = None if self.max_samples is None else self.max_samples - len(self.right)
        if left is not None and left <= 0:
            return
        questions, answers = split_at_last_answer(batch, self.tokenizer.pad_token_id)
        with torch.no_grad():
            tokens = model.generate(**questions, max_new_tokens=self.max_new_tokens, **GREEDY, **settings)
        generated = self._read(tokens[:, questions["input_ids"].shape[1] :])
        pairs = zip(generated, self._read(answers), strict=True)
        right = torch.tensor([exact_match(*pair) for pair in pairs], dtype=torch.long, device=tokens.device)
        self.right += gather(right).tolist()[:left]

    def _read(self, tokens: torch.Tensor) -> list[str]:
        return self.tokenizer.batch_decode(tokens, skip_special_tokens=True)


def split_at_last_answer(batch: Mapping[str, Any], pad_token_id: int) -> tuple[dict[str, Any], torch.Tensor]:
    """Cut the conversations of a batch before the last answer of each.

    Args:
        batch (`Mapping`): A left-padded batch of [`MemoryCollator`], with `labels`.
        pad_token_id (`int`): Id of the padding token.

    Returns:
        `tuple`: Inputs of `generate`, left-padded, and the tokens of the answers, (batch, length), with padding in
        the other places. A row without an answer is asked as a whole.
    """
    labels, mask = batch["labels"], batch["attention_mask"]
    length = labels.shape[1]
    learned = labels != IGNORE_INDEX
    places = torch.arange(length, device=labels.device)
    begins = learned & ~pad(learned, (1, 0))[:, :-1]
    starts = (begins * places).amax(dim=1)
    starts[~learned.any(dim=1)] = length
    widths = starts - (length - mask.sum(dim=1))
    width = int(widths.max())
    cut = {
        name: torch.stack(
            [
                pad(row[start - size : start], (width - size, 0), value=pad_token_id if name == "input_ids" else 0)
                for row, start, size in zip(batch[name], starts.tolist(), widths.tolist(), strict=True)
            ]
        )
        for name in TOKENS
        if name in batch
    }
    answers = torch.where(learned & (places >= starts[:, None]), labels, pad_token_id)
    return cut | {name: batch[name] for name in OTHERS if name in batch}, answers
