"""Made-up questions, items and stored memory of the sizes that a shape names."""

import torch
from transformers import Qwen2VLConfig

from comem_hf.modeling.memory_inputs import MemoryInputs

from .shapes import Shape


TURN = 7  # tokens of the chat template around an item that is pasted: role, line breaks, start and end


class Prompts:
    """Inputs of a model, on its device and in its type; ids of text and patches are drawn at random.

    Args:
        shape ([`Shape`]): The sizes.
        device (`str`): Where the tensors go.
    """

    def __init__(self, shape: Shape, device: str = "cpu"):
        self.shape, self.device = shape, device
        self.config: Qwen2VLConfig = shape.backbone_config()
        self.random = torch.Generator().manual_seed(0)

    def question(self, batch: int = 1, pasted: int = 0) -> dict[str, torch.Tensor]:
        """Return questions about a picture, each after so many items that are pasted into its prompt."""
        shape, rows = self.shape, []
        for _ in range(batch):
            parts = []
            for _ in range(pasted):
                parts += [*self._picture(shape.pasted_picture), self._text(shape.item_text + TURN)]
            rows.append(torch.cat([*parts, *self._picture(shape.question_picture), self._text(shape.question_text)]))
        grids = ([shape.pasted_picture] * pasted + [shape.question_picture]) * batch
        return self._inputs(torch.stack(rows), grids)

    def items(self, count: int, whole: bool = False) -> dict[str, torch.Tensor]:
        """Return items to be encoded, their pictures of the size that is encoded or, if `whole`, pasted."""
        grid = self.shape.pasted_picture if whole else self.shape.item_picture
        rows = [torch.cat([*self._picture(grid), self._text(self.shape.item_text)]) for _ in range(count)]
        return self._inputs(torch.stack(rows), [grid] * count)

    def raw(self, count: int, batch: int = 1, whole: bool = False) -> MemoryInputs:
        """Return items that `generate` encodes, so many for each question."""
        return MemoryInputs({**self.items(count * batch, whole), "item_counts": torch.full((batch,), count)})

    def stored(self, count: int, batch: int = 1) -> MemoryInputs:
        """Return stored vectors, as a bank gives them."""
        tokens = self.shape.memory.get("num_memory_tokens", 8)
        size = (batch, count, tokens, self.config.text_config.hidden_size)
        vectors = torch.randn(size, generator=self.random).mul_(0.02)
        return MemoryInputs(
            {"memory_embeds": vectors.to(self.device), "item_mask": torch.ones(batch, count, dtype=torch.bool)}
        )

    def _picture(self, grid: tuple[int, int]) -> tuple[torch.Tensor, ...]:
        config = self.config
        ids = (config.vision_start_token_id, config.image_token_id, config.vision_end_token_id)
        start, image, end = (torch.tensor([value]) for value in ids)
        return start, image.repeat(grid[0] * grid[1] // config.vision_config.spatial_merge_size**2), end

    def _text(self, length: int) -> torch.Tensor:
        # Ids between those of the embedded default's special tokens, at the start, and of Qwen2's, at the end.
        return torch.randint(100, 4000, (length,), generator=self.random)

    def _inputs(self, input_ids: torch.Tensor, grids: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
        vision = self.config.vision_config
        size = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        patches = torch.randn(sum(a * b for a, b in grids), size, generator=self.random)
        inputs = {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "mm_token_type_ids": (input_ids == self.config.image_token_id).int(),
            "pixel_values": patches.to(self.shape.dtype),
            "image_grid_thw": torch.tensor([(1, *grid) for grid in grids]),
        }
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}
