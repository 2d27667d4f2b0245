"""A made-up batch of questions with answers, its items encoded or in the prompts: the same texts and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.speed.shared.prompts import TURN
from benchmarks.speed.shared.shapes import Shape
from comem_hf.modeling.memory_inputs import MemoryInputs


IGNORED = -100  # of labels
TURN_OF_ITEM = 17  # tokens around an item that is encoded: its sentence, roles, start and end
ANSWER = range(6, 15)  # tokens
ITEM = 0.6  # the shortest text of an item, as a share of the shape's


@dataclass(frozen=True)
class Part:
    """Token ids with the pictures that stand in them."""

    ids: torch.Tensor
    pictures: tuple[torch.Tensor, ...] = ()

    def __add__(self, other: "Part") -> "Part":
        return Part(torch.cat([self.ids, other.ids]), self.pictures + other.pictures)


class AnsweredQuestions:
    """A batch of questions about a picture, with items of text and picture, and answers; lengths are drawn at random.

    Args:
        shape ([`Shape`]): The sizes; an item's text has up to `item_text` tokens.
        samples (`int`), items (`int`): Questions, and items of each.
        distinct (`int`): Items that differ; they are dealt to the questions in turn.
    """

    def __init__(self, shape: Shape, samples: int, items: int, distinct: int):
        self.config, self.random = shape.backbone_config(), torch.Generator().manual_seed(0)
        self.dtype, self.grid, self.items = shape.dtype, shape.item_picture, items
        least = round(ITEM * shape.item_text)
        self.known = [self._picture() + self._text(least, shape.item_text) for _ in range(distinct)]
        self.questions = [self._picture() + self._text(shape.question_text) for _ in range(samples)]
        self.answers = [self._text(ANSWER.start, ANSWER.stop - 1) for _ in range(samples)]
        self.index = [number % distinct for number in range(samples * items)]

    def in_prompts(self) -> dict[str, torch.Tensor]:
        """Return the batch with every item in a turn of its own before the question."""
        prompts = []
        for row, question in enumerate(self.questions):
            whole = Part(torch.zeros(0, dtype=torch.long))
            for number in self.index[row * self.items : (row + 1) * self.items]:
                whole += self.known[number] + self._text(TURN)
            prompts.append(whole + question)
        return self._with_answers(prompts)

    def beside_prompts(self, once: bool = True) -> dict[str, torch.Tensor]:
        """Return the batch with the items as `memory_inputs`.

        Args:
            once (`bool`, *optional*): Whether an item of several questions is given once.
        """
        known = [item + self._text(TURN_OF_ITEM) for item in self.known]
        is_once = once and len(known) < len(self.index)
        memory = self._padded(known if is_once else [known[number] for number in self.index])
        memory["item_counts"] = torch.full((len(self.questions),), self.items)
        if is_once:
            memory["item_index"] = torch.tensor(self.index)
        return {**self._with_answers(self.questions), "memory_inputs": MemoryInputs(memory)}

    def _with_answers(self, prompts: Sequence[Part]) -> dict[str, torch.Tensor]:
        inputs = self._padded([prompt + answer for prompt, answer in zip(prompts, self.answers, strict=True)])
        inputs["labels"] = torch.full_like(inputs["input_ids"], IGNORED)
        for row, answer in enumerate(self.answers):
            inputs["labels"][row, -len(answer.ids) :] = answer.ids
        return inputs

    def _padded(self, rows: Sequence[Part]) -> dict[str, torch.Tensor]:
        length = max(len(row.ids) for row in rows)
        ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, length - len(row.ids) :] = row.ids
            mask[number, length - len(row.ids) :] = 1
        pictures = [picture for row in rows for picture in row.pictures]
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "mm_token_type_ids": (ids == self.config.image_token_id).int(),
            "pixel_values": torch.cat(pictures),
            "image_grid_thw": torch.tensor([(1, *self.grid)] * len(pictures)),
        }

    def _picture(self) -> Part:
        vision = self.config.vision_config
        size = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        patches = self.grid[0] * self.grid[1]
        image = [self.config.image_token_id] * (patches // vision.spatial_merge_size**2)
        ids = [self.config.vision_start_token_id, *image, self.config.vision_end_token_id]
        return Part(torch.tensor(ids), (torch.randn(patches, size, generator=self.random).to(self.dtype),))

    def _text(self, least: int, most: int | None = None) -> Part:
        length = least if most is None else int(torch.randint(least, most + 1, (), generator=self.random))
        return Part(torch.randint(100, 4000, (length,), generator=self.random))  # no special tokens
