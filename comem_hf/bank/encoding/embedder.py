"""Embedders: they turn images, and texts if the model can, into the vectors that a bank searches."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from comem_hf.modeling.memory_item import FOUND_BY_PICTURE, MemoryItem
from comem_hf.modeling.picture_comem import load_image

from .tower_features import tower_features


class Embedder(ABC):
    """Turns items and queries into finite float32 vectors of shape (inputs, embedding size), of any norm.

    `settings` is JSON with a `"type"`, and goes into `bank_config.json`: a bank is searched with the embedder that has
    the same settings.
    """

    settings: dict
    embeds_text: bool = False

    @abstractmethod
    def embed_images(self, images: Sequence) -> np.ndarray:
        """Embed images, in any form that [`load_image`] takes."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, in the same space as images.

        Raises:
            ValueError: If this embedder has no text side.
        """
        raise ValueError(f"{FOUND_BY_PICTURE} (embedder {self.settings['type']!r}): search with `image=`.")

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size that the embedder resizes a picture to: pictures of items come smaller out of their decoder.

        They have at least twice so many pixels per side. By default it is not known, and they keep all pixels.

        Args:
            size (`tuple[int, int]`): Width and height of the picture.

        Returns:
            `tuple[int, int]`: Width and height, or `None` if the picture must keep its own.
        """
        return None

    def check_item(self, item: MemoryItem) -> None:
        """Refuse an item that this embedder cannot make searchable.

        Raises:
            ValueError: If the item has no image and the embedder has no text side.
        """
        if item.image is None and not self.embeds_text:
            raise ValueError(
                f"it has no image. {FOUND_BY_PICTURE} (embedder {self.settings['type']!r}): add an image, or build "
                "the bank with an embedder that has a text side (such as CLIP)."
            )

    def embed_items(self, items: Sequence[MemoryItem], memory_inputs: Mapping) -> np.ndarray:
        """Embed items by their image, or by their text where they have no image.

        Args:
            items (`Sequence[MemoryItem]`): The items.
            memory_inputs (`Mapping`): The same items as the processor prepared them for the memory encoder.
        """
        images = [place for place, item in enumerate(items) if item.image is not None]
        texts = [place for place, item in enumerate(items) if item.image is None]
        parts = []
        if images:
            parts.append(self.embed_images([items[place].image for place in images]))
        if texts:
            parts.append(self.embed_texts([items[place].text for place in texts]))
        return np.concatenate(parts)[np.argsort(images + texts)]


class BackboneEmbedder(Embedder):
    """The vision tower of the model's own backbone, average-pooled: it needs no other model, and reads no image twice.

    Images of queries are prepared in the same way as those of items. The features are taken before the merger: the
    outputs of the merger differ far less between images than they have in common.

    Args:
        model (`CoMemForConditionalGeneration`): The model; the adapter of its memory encoder is not used.
        processor (`CoMemProcessor`): Its processor.
        grid (`int`, defaults to 2): The image is divided into `grid` x `grid` fields, each pooled on its own; 1 loses
            where things are in the image.
        layer (`int`, defaults to -1): 0 is the patch embedding, `n` the output of the n-th block, -1 that of the last.
            Early layers tell near-identical images apart.
    """

    type = "backbone"

    def __init__(self, model, processor, grid: int = 2, layer: int = -1):
        depth = len(model.backbone.model.visual.blocks)
        if not isinstance(grid, int) or not 1 <= grid <= 16:
            raise ValueError(f"`grid` must be an integer from 1 to 16, got {grid!r}.")
        if not isinstance(layer, int) or not -1 <= layer <= depth:
            raise ValueError(f"`layer` must be an integer from -1 to {depth}, got {layer!r}.")
        self.model = model
        self.processor = processor
        self.grid = grid
        self.layer = layer

    @property
    def settings(self) -> dict:
        """The values that decide an embedding, with the present pixel limits of the processor."""
        pixels = {name: getattr(self.processor, name) for name in ("memory_min_pixels", "memory_max_pixels")}
        return {"type": self.type, "grid": self.grid, "layer": self.layer, **pixels}

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        return self.processor.memory_picture_size(size)

    def embed_images(self, images: Sequence) -> np.ndarray:
        items = [[MemoryItem(image=image)] for image in images]
        return self.embed_items([], self.processor.process_memories(items))

    def embed_items(self, items: Sequence[MemoryItem], memory_inputs: Mapping) -> np.ndarray:
        with torch.inference_mode():
            features = tower_features(self.model, memory_inputs, self.layer)
            pooled = [functional.adaptive_avg_pool2d(image, self.grid).flatten() for image in features]
            return _to_numpy(torch.stack(pooled))


class ModelEmbedder(Embedder):
    """Any `AutoModel` that gives image features: CLIP, SigLIP, DINOv2, ViT and the like.

    Args:
        model (`PreTrainedModel`): A model with `get_image_features`, or a vision model with pooled output.
        image_processor: Its image processor.
        tokenizer (*optional*): Its tokenizer; with `get_text_features` it makes texts searchable.
    """

    def __init__(self, model, image_processor, tokenizer=None):
        self.model = model.eval()
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        self.embeds_text = tokenizer is not None and hasattr(model, "get_text_features")
        revision = getattr(model.config, "_commit_hash", None)
        self.settings = {"type": "model", "id": model.config._name_or_path or None, "revision": revision}

    @classmethod
    def from_pretrained(
        cls, name: str, revision: str | None = None, device: torch.device | None = None
    ) -> "ModelEmbedder":
        """Load model, image processor and, where there is one, tokenizer.

        Args:
            name (`str`): Folder or Hub id.
            revision (`str`, *optional*): Branch, tag or commit of the repository.
            device (`torch.device`, *optional*): Device of the model; defaults to the CPU.
        """
        from transformers import AutoModel, AutoTokenizer

        # Under its short name the class asks for torchvision in early versions of transformers 5.
        from transformers.models.auto.image_processing_auto import AutoImageProcessor

        model = AutoModel.from_pretrained(name, revision=revision).to(device or "cpu")
        image_processor = AutoImageProcessor.from_pretrained(name, revision=revision)
        tokenizer = None
        if hasattr(model, "get_text_features"):
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        return cls(model, image_processor, tokenizer)

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        settings = getattr(self.image_processor, "size", None) or {}
        if not getattr(self.image_processor, "do_resize", False):
            return None
        shortest = settings.get("shortest_edge")
        if shortest and not settings.get("longest_edge"):
            return shortest, shortest
        sides = settings.get("height"), settings.get("width")
        return (max(sides), max(sides)) if all(sides) else None

    def embed_images(self, images: Sequence) -> np.ndarray:
        images = [load_image(image, uses=[self.picture_size]) for image in images]
        pixels = self.image_processor(images=images, return_tensors="pt")["pixel_values"]
        pixels = pixels.to(self.model.device, self.model.dtype)
        with torch.inference_mode():
            if hasattr(self.model, "get_image_features"):
                return _to_numpy(_pooled(self.model.get_image_features(pixel_values=pixels)))
            return _to_numpy(_pooled(self.model(pixel_values=pixels)))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        if not self.embeds_text:
            return super().embed_texts(texts)
        inputs = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            return _to_numpy(_pooled(self.model.get_text_features(**inputs)))


def resolve_embedder(embedder, model, processor) -> Embedder:
    """Return the embedder for the `embedder` argument of [`MemoryBank.build`].

    Args:
        embedder (`str`, `os.PathLike` or `Embedder`): `"backbone"`, folder or Hub id of an `AutoModel`, or an object.
        model, processor: What `"backbone"` refers to; another model is loaded onto the device of this one.

    Raises:
        ValueError: If it is no embedder, or `bank_config.json` cannot store its settings unchanged.
    """
    if isinstance(embedder, Embedder):
        _check_settings(embedder.settings)
        return embedder
    if embedder == "backbone":
        return BackboneEmbedder(model, processor)
    if isinstance(embedder, torch.nn.Module):
        raise ValueError("Give a model as `embedder=ModelEmbedder(model, image_processor)`: it needs its processor.")
    return ModelEmbedder.from_pretrained(str(embedder), device=model.device)


def _check_settings(settings: dict) -> None:
    try:
        same = json.loads(json.dumps(settings)) == settings
    except (TypeError, ValueError):
        same = False
    if not same or "type" not in settings:
        raise ValueError(f"`settings` of an embedder must be JSON with a 'type', without tuples, got {settings}.")


def _to_numpy(features: torch.Tensor) -> np.ndarray:
    return features.float().cpu().numpy()


def _pooled(output) -> torch.Tensor:
    if isinstance(output, torch.Tensor):
        return output
    if getattr(output, "pooler_output", None) is not None:
        return output.pooler_output
    return output.last_hidden_state.mean(dim=1)
