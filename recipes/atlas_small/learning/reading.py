"""The backbone's training batches: items as plain text and pictures in the prompt (RAG), answers supervised."""

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from recipes.atlas_small.data.samples.recall import Recall, RecallMaker


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
USER, ASSISTANT, END = "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
IGNORED = -100
LENGTHS = 16  # batches are padded to multiples of it
CACHED_TEXTS = 50_000


class SampleDataset(Dataset):
    """`length` samples of a maker; sample i is the same in every run."""

    def __init__(self, maker: RecallMaker, length: int):
        self.maker, self.length = maker, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        return {"sample": self.maker(index)}


class ReadingCollator:
    """Collator of samples into left-padded batches for the text model, with the rows of the pictures' tokens.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The tokenizer.
        files (`Sequence[str]`): Picture files, in the order of their tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, files: Sequence[str]):
        self.tokenizer, self.cache = tokenizer, {}
        self.rows = {name: row for row, name in enumerate(files)}

    def _ids(self, text: str) -> list[int]:
        if text not in self.cache:
            if len(self.cache) > CACHED_TEXTS:
                self.cache.clear()
            self.cache[text] = self.tokenizer(text)["input_ids"]
        return self.cache[text]

    def _pieces(self, sample: Recall) -> list[tuple[str, bool]]:
        """The texts of a sample, and whether each is supervised. A picture begins or ends a piece."""
        if not sample.turns[0].question:  # a plain course
            words = [(item.text, False) for item in sample.items] + [(turn.answer, True) for turn in sample.turns]
            return [piece for word in words for piece in ((PICTURE, False), word)]
        pieces = [(SYSTEM, False)]
        for item in sample.items:
            pieces += [(USER + PICTURE, False), (item.text + END, False)]
        for turn in sample.turns:
            pieces += [(USER + PICTURE if turn.picture else USER, False)]
            pieces += [(turn.question + END + ASSISTANT, False), (turn.answer + END, True)]
        return pieces

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        samples = [row["sample"] for row in rows]
        encoded = [[(self._ids(text), is_answer) for text, is_answer in self._pieces(sample)] for sample in samples]
        lengths = [sum(len(ids) for ids, _ in pieces) for pieces in encoded]
        length = -(-max(lengths) // LENGTHS) * LENGTHS
        input_ids = torch.full((len(samples), length), self.tokenizer.pad_token_id)
        labels = torch.full_like(input_ids, IGNORED)
        for row, pieces in enumerate(encoded):
            start = length - lengths[row]
            for ids, is_answer in pieces:
                input_ids[row, start : start + len(ids)] = torch.tensor(ids)
                if is_answer:
                    labels[row, start : start + len(ids)] = torch.tensor(ids)
                start += len(ids)
        pictures = [
            self.rows[name]
            for sample in samples
            for name in (*(item.picture for item in sample.items), *(t.picture for t in sample.turns if t.picture))
        ]
        return {
            "input_ids": input_ids,
            "attention_mask": (input_ids != self.tokenizer.pad_token_id).long(),
            "labels": labels,
            "pictures": torch.tensor(pictures),
        }
