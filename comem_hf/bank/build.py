"""Building a memory bank: encode items shard by shard, so that an interrupted build goes on where it stopped."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers.utils import logging

from comem_hf.modeling.memory_item import MemoryItem, load_image

from .card import write_card
from .config import CARD_NAME, INDEX_NAME, BankConfig, items_name, memory_name
from .durable import write_durably
from .embedder import Embedder
from .halving import ShrinkingBatch
from .index import FlatIndex
from .items import write_items
from .precision import check_precision, pack, unpack
from .record import ItemRecord
from .staging import Staging
from .vectors import write_memory


SHARD_SIZE = 1024

MAX_ASPECT_RATIO = 200  # of Qwen2-VL's image processor, whose own error does not say which image


class BankBuilder:
    """Encodes memory items and writes them as a memory bank.

    Args:
        model (`CoMemForConditionalGeneration`): Encodes the items; run in eval mode, left in the mode it was in.
        processor (`CoMemProcessor`): Prepares the items.
        embedder (`Embedder`): Makes them searchable.
        batch_size (`int`): Items per encoder pass; halved when memory runs out.
        dtype (`str`): Of the stored memory vectors.
        shard_size (`int`): Items per file; at most this many are lost when a build is interrupted.
    """

    def __init__(self, model, processor, embedder: Embedder, batch_size: int, dtype: str, shard_size: int):
        check_precision(dtype, model.config.get_text_config().hidden_size)
        if not isinstance(shard_size, int) or shard_size < 1:
            raise ValueError(f"`shard_size` must be a positive integer, got {shard_size!r}.")
        self.model = model
        self.processor = processor
        self.embedder = embedder
        self.batches = ShrinkingBatch(batch_size)
        self.dtype = dtype
        self.shard_size = shard_size

    def build(self, items: Iterable[MemoryItem], output: Path, overwrite: bool = False) -> None:
        """Write a bank of `items` to `output`, or go on with an interrupted build of the same items.

        Raises:
            ValueError: If an item is unusable (its number is named), ids repeat, the items differ from those of the
                interrupted build, or `output` cannot be used (see [`Staging`]).
        """
        settings = {
            "memory_fingerprint": self.model.memory_fingerprint(),
            "memory_pixels": [self.processor.memory_min_pixels, self.processor.memory_max_pixels],
            "embedder": self.embedder.settings,
            "dtype": self.dtype,
            "shard_size": self.shard_size,
        }
        total = len(items) if hasattr(items, "__len__") else None
        records = self._read(items)
        with (
            Staging(output, settings, overwrite) as staging,
            logging.tqdm(total=total, unit="item", desc="Encoding memories") as progress,
            _eval_mode(self.model),
        ):
            number, resumed = 0, len(staging.shards)
            while shard := list(islice(records, self.shard_size)):
                if number < resumed:
                    _check_unchanged(staging, number, shard)
                else:
                    self._write_shard(staging, number, shard)
                number += 1
                progress.update(len(shard))
            if number < resumed:
                raise _changed(staging, number)
            if number == 0:
                raise ValueError("There are no items to build a memory bank of.")
            if not staging.published:
                self._finish(staging)
            staging.publish()

    def _read(self, items: Iterable[MemoryItem]) -> Iterator[tuple[int, ItemRecord]]:
        numbers = {}
        for number, item in enumerate(items):
            if not isinstance(item, MemoryItem):
                raise ValueError(f"Item {number} must be a MemoryItem, got {type(item).__name__}.")
            with _naming_item(number, item.id):
                self.embedder.check_item(item)
                record = ItemRecord.from_item(item)
            if record.id in numbers:
                raise ValueError(
                    f"Items {numbers[record.id]} and {number} have the same id {record.id!r}"
                    f"{' (their content is the same)' if item.id is None else ''}; every item of a bank is unique."
                )
            numbers[record.id] = number
            yield number, record

    def _encode(self, rows: list[tuple[int, ItemRecord]]) -> tuple[torch.Tensor, np.ndarray]:
        items = []
        for number, record in rows:
            with _naming_item(number, record.id):
                name = "its image" if record.image_name is None else f"its image {record.image_name!r}"
                image = None if record.image is None else load_image(record.image, name)
                if image is not None and max(image.size) > MAX_ASPECT_RATIO * min(image.size):
                    raise ValueError(
                        f"{name} is {image.width} x {image.height} pixels; one side may be at most {MAX_ASPECT_RATIO} "
                        "times the other."
                    )
                items.append(MemoryItem(image=image, text=record.text, id=record.id))
        memory_inputs = self.processor.process_memories([items])
        embeddings = self.embedder.embed_items(items, memory_inputs)
        with torch.inference_mode():
            memory = self.model.encode_memory(memory_inputs.to(self.model.device))
        memory = memory.cpu()
        stored = unpack(pack(memory, self.dtype), self.dtype)
        for (number, record), vectors, embedding in zip(rows, stored, embeddings, strict=True):
            if not (torch.isfinite(vectors).all() and np.isfinite(embedding).all()):
                raise ValueError(f"Item {number} (id {record.id!r}): its vectors in {self.dtype} are not finite.")
        return memory, embeddings

    def _write_shard(self, staging: Staging, shard: int, rows: list[tuple[int, ItemRecord]]) -> None:
        memory, embeddings = zip(*self.batches.apply(self._encode, rows), strict=True)
        contents = {
            f"bank/{memory_name(shard)}": lambda path: write_memory(path, torch.cat(memory), self.dtype),
            f"bank/{items_name(shard)}": lambda path: write_items(path, [record for _, record in rows]),
            _embeddings_name(shard): lambda path: save_file({"embeddings": np.concatenate(embeddings)}, path),
        }
        files = {name: write_durably(staging.folder / name, write) for name, write in contents.items()}
        staging.finish_shard({"num_items": len(rows), "digest": _digest(rows), "files": files})

    def _finish(self, staging: Staging) -> None:
        index = None
        for shard in range(len(staging.shards)):
            embeddings = load_file(staging.folder / _embeddings_name(shard))["embeddings"]
            if index is None:
                index = FlatIndex(embeddings.shape[1])
            index.add(embeddings)
        files = {
            name.removeprefix("bank/"): entry
            for shard in staging.shards
            for name, entry in shard["files"].items()
            if name.startswith("bank/")
        }
        files[INDEX_NAME] = write_durably(staging.bank / INDEX_NAME, index.save)
        config = BankConfig(
            num_items=len(index),
            num_memory_tokens=self.model.config.num_memory_tokens,
            hidden_size=self.model.config.get_text_config().hidden_size,
            memory_dtype=self.dtype,
            memory_fingerprint=staging.settings["memory_fingerprint"],
            model=_model_reference(self.model),
            embedder=self.embedder.settings,
            embedding_size=index.embedding_size,
            shard_sizes=[shard["num_items"] for shard in staging.shards],
            files=files,
        )
        config.files[CARD_NAME] = write_durably(staging.bank / CARD_NAME, lambda path: write_card(path, config))
        config.save(staging.bank)


@contextmanager
def _naming_item(number: int, item_id: str | None):
    """Say which item an error is about."""
    try:
        yield
    except (ValueError, OSError) as error:
        label = f"Item {number}" if item_id is None else f"Item {number} (id {item_id!r})"
        raise ValueError(f"{label}: {error}") from error


@contextmanager
def _eval_mode(model):
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _embeddings_name(shard: int) -> str:
    return f"work/embeddings-{shard:05d}.safetensors"


def _digest(rows: list[tuple[int, ItemRecord]]) -> str:
    return hashlib.sha256("\n".join(record.digest for _, record in rows).encode()).hexdigest()


def _check_unchanged(staging: Staging, shard: int, rows: list[tuple[int, ItemRecord]]) -> None:
    if staging.shards[shard]["digest"] != _digest(rows):
        raise _changed(staging, shard)


def _changed(staging: Staging, shard: int) -> ValueError:
    first = sum(entry["num_items"] for entry in staging.shards[:shard])
    last = first + staging.shards[shard]["num_items"] - 1
    return ValueError(
        f"{str(staging.folder)!r} holds an unfinished build of other items: items {first} to {last} have changed. "
        "Give the same items to resume it, or remove that folder to start again."
    )


def _model_reference(model) -> dict:
    """Hub id and revision of a model; a local folder says nothing to others and is left out."""
    name = model.config._name_or_path
    if not name or Path(name).exists():
        return {"id": None, "revision": None}
    return {"id": name, "revision": getattr(model.config, "_commit_hash", None)}
