"""The backbone's training batches: items as plain text and pictures in the prompt (RAG), answers supervised."""

from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from comem_hf.rag import item_content
from recipes.atlas_small.data.pictures import Motif
from recipes.atlas_small.data.samples import Sample, SampleMaker


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
USER, ASSISTANT, END = "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"
IGNORED = -100


class SampleDataset(Dataset):
    """`length` samples of a [`SampleMaker`]; sample i is the same in every run."""

    def __init__(self, maker: SampleMaker, length: int):
        self.maker, self.length = maker, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        return {"sample": self.maker(index)}


class ReadingCollator:
    """Collator of samples into left-padded batches of the plain backbone.

    The whole pool of pictures is split into patches once, on construction (half precision, some hundred megabytes).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Qwen2VLImageProcessorPil,
        motifs: list[Motif],
        folder: Path,
    ):
        self.tokenizer = tokenizer
        self.image_token_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.patches, self.grids, self.cache = {}, {}, {}
        for motif in tqdm(motifs, desc="Patches"):
            for name in motif.files:
                with Image.open(folder / name) as image:
                    inputs = image_processor(image.convert("RGB"), return_tensors="pt")
                self.patches[name] = inputs["pixel_values"].half()
                self.grids[name] = inputs["image_grid_thw"][0]

    def _ids(self, text: str) -> list[int]:
        if text not in self.cache:
            if len(self.cache) > 50_000:
                self.cache.clear()
            self.cache[text] = self.tokenizer(text)["input_ids"]
        return self.cache[text]

    def _image(self, name: str) -> str:
        tokens = int(self.grids[name].prod()) // 4
        return "<|vision_start|>" + "<|image_pad|>" * tokens + "<|vision_end|>"

    def _encode(self, sample: Sample) -> tuple[list[int], list[int], list[str]]:
        pieces, pictures = [(SYSTEM, False)], []
        for item in sample.items:
            parts = item_content(item.text, has_picture=True, picture_first=True)
            shown = "".join(part.get("text") or self._image(item.picture) for part in parts)
            pieces.append((f"{USER}{shown}{END}", False))
            pictures.append(item.picture)
        for number, (question, answer) in enumerate(sample.turns):
            image = "" if number else self._image(sample.picture)
            pieces += [(f"{USER}{image}{question}{END}{ASSISTANT}", False), (f"{answer}{END}", True)]
        pictures.append(sample.picture)
        ids, labels = [], []
        for text, supervised in pieces:
            piece = self._ids(text)
            ids += piece
            labels += piece if supervised else [IGNORED] * len(piece)
        return ids, labels, pictures

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        encoded = [self._encode(row["sample"]) for row in rows]
        length = max(len(ids) for ids, _, _ in encoded)
        pad = self.tokenizer.pad_token_id
        pictures = [name for _, _, names in encoded for name in names]
        input_ids = torch.tensor([[pad] * (length - len(ids)) + ids for ids, _, _ in encoded])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.tensor([[0] * (length - len(ids)) + [1] * len(ids) for ids, _, _ in encoded]),
            "labels": torch.tensor([[IGNORED] * (length - len(ids)) + labels for ids, labels, _ in encoded]),
            "mm_token_type_ids": (input_ids == self.image_token_id).int(),
            "pixel_values": torch.cat([self.patches[name] for name in pictures]).float(),
            "image_grid_thw": torch.stack([self.grids[name] for name in pictures]),
        }
