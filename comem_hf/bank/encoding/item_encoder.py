"""Encoding items into memory vectors and embeddings, in batches of items of about the same length."""

import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import PIL.Image
import torch

from comem_hf.bank.format.precision import pack, unpack
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.pictures.decoding import DecodingAhead, load_record
from comem_hf.bank.sources.rows.reasons import reason_of
from comem_hf.modeling.memory_inputs import MemoryInputs
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_shrinking_comem import shrunk_size
from comem_hf.modeling.processing_comem import MAX_ITEM_CHARACTERS

from .embedder import Embedder
from .shrinking_batch import ShrinkingBatch, ends_build


@dataclass(frozen=True)
class Encoded:
    """The result of encoding one item.

    Args:
        memory (`torch.Tensor` or `None`): Shape (memory tokens, hidden), on the CPU.
        embedding (`np.ndarray` or `None`): Shape (embedding size,).
        problem (`str` or `None`): Why the item could not be encoded.
    """

    memory: torch.Tensor | None = None
    embedding: np.ndarray | None = None
    problem: str | None = None


class ItemEncoder:
    """Encodes records with a model in eval mode; one bad record does not disturb the others, whatever it raises.

    Args:
        model (`CoMemForConditionalGeneration`): Gives the memory vectors.
        processor (`CoMemProcessor`): Prepares the items.
        embedder (`Embedder`): Gives the embeddings.
        batch_size (`int`): Items per encoder pass; halved when memory runs out.
        dtype (`str`): Type that the vectors are stored in; they must be finite in it.
        num_memory_tokens (`int`, *optional*): Number of vectors of each item, from the first on; all by default.
    """

    def __init__(
        self,
        model,
        processor,
        embedder: Embedder,
        batch_size: int,
        dtype: str,
        num_memory_tokens: int | None = None,
    ):
        self.model = model
        self.processor = processor
        self.embedder = embedder
        self.batches = ShrinkingBatch(batch_size)
        self.dtype = dtype
        self.num_memory_tokens = num_memory_tokens

    def encode(
        self, records: Sequence[ItemRecord], progress: Callable[[int], object] = lambda items: None
    ) -> list[Encoded]:
        """Encode records, the longest first: batches need little padding, and memory runs out early if at all.

        Args:
            records (`Sequence[ItemRecord]`): The items.
            progress (`Callable[[int], object]`, *optional*): Called with the number of items of each finished batch.

        Returns:
            `list[Encoded]`: One per record, in their order.
        """
        if not records:
            return []
        sizes = [_picture_size(record) for record in records]
        lengths = self.lengths(records, sizes)
        order = sorted(range(len(records)), key=lambda place: -lengths[place])
        uses = [self.processor.memory_picture_size, self.embedder.picture_size]
        pixels = [math.prod(shrunk_size(sizes[place], uses)) if sizes[place] else 0 for place in order]

        with DecodingAhead([records[place] for place in order], pixels, partial(load_record, uses=uses)) as decoding:

            def encode_batch(batch: range) -> list[Encoded]:
                encoded = self._encode_batch(decoding.take(batch))
                progress(len(batch))
                return encoded

            batches = self.batches.apply(encode_batch, range(len(order)))
        results = dict(zip(order, (encoded for batch in batches for encoded in batch), strict=True))
        return [results[place] for place in range(len(records))]

    def lengths(self, records: Sequence[ItemRecord], sizes: Sequence[tuple[int, int] | None]) -> list[int]:
        """About how many tokens each record will take, with a picture of this width and height."""
        texts = self._text_lengths([(record.text or "")[:MAX_ITEM_CHARACTERS] for record in records])
        return [text + self._image_length(size) for text, size in zip(texts, sizes, strict=True)]

    def _text_lengths(self, texts: list[str]) -> list[int]:
        return [len(ids) for ids in self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]]

    def _image_length(self, size: tuple[int, int] | None) -> int:
        if size is None:
            return 0
        side = self.processor.image_processor.patch_size * self.processor.image_processor.merge_size
        pixels = math.prod(size)
        return min(max(pixels, self.processor.memory_min_pixels), self.processor.memory_max_pixels) // side**2

    def _encode_batch(self, decoded: Sequence[Future]) -> list[Encoded]:
        items: list[MemoryItem] = []
        results: list[Encoded | None] = []
        for item in decoded:
            try:
                items.append(item.result())
                results.append(None)
            except Exception as error:  # for damaged files, the decoders of Pillow raise errors of many types
                if ends_build(error):
                    raise
                results.append(Encoded(problem=reason_of(error)))
        if items:
            encoded = iter(self._encode_items(items))
            results = [next(encoded) if result is None else result for result in results]
        return results

    def _encode_items(self, items: list[MemoryItem]) -> list[Encoded]:
        try:
            memory_inputs = self.processor.process_memories([items])
            self._check_tokens(memory_inputs["input_ids"])
        except Exception as error:
            return self._encode_singly(items, error)
        try:
            return self._run(items, memory_inputs)
        except Exception as error:
            encoded = self._encode_singly(items, error)
            if len(items) > 1 and all(one.problem for one in encoded):
                raise  # not the fault of an item: the model or the embedder does not work
            return encoded

    def _encode_singly(self, items: list[MemoryItem], error: Exception) -> list[Encoded]:
        """Encode items one by one, after an error, to find out whose fault it is."""
        if ends_build(error):
            raise error
        if len(items) == 1:
            return [Encoded(problem=reason_of(error))]
        return [encoded for item in items for encoded in self._encode_items([item])]

    def _run(self, items: list[MemoryItem], memory_inputs: MemoryInputs) -> list[Encoded]:
        embeddings = self.embedder.embed_items(items, memory_inputs)
        with torch.inference_mode():
            memory = self.model.encode_memory(memory_inputs.to(self.model.device))[:, : self.num_memory_tokens].cpu()
        finite = torch.isfinite(unpack(pack(memory, self.dtype), self.dtype)).flatten(1).all(dim=1).numpy()
        finite &= np.isfinite(embeddings).all(axis=1)
        return [
            Encoded(vectors, embedding) if good else Encoded(problem=f"its vectors in {self.dtype} are not finite.")
            for vectors, embedding, good in zip(memory, embeddings, finite, strict=True)
        ]

    def _check_tokens(self, input_ids: torch.Tensor) -> None:
        """Refuse tokens that the model has no vector for: an accelerator would give up at them for good."""
        known = self.model.get_input_embeddings().num_embeddings
        if (largest := int(input_ids.max())) >= known:
            token = self.processor.tokenizer.convert_ids_to_tokens(largest)
            raise ValueError(
                f"its text has the token {token!r} (number {largest}), but the model has only {known} tokens: the "
                "tokenizer was extended and the model was not."
            )


@contextmanager
def eval_mode(model):
    """Keep a model in eval mode during a `with` statement."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _picture_size(record: ItemRecord) -> tuple[int, int] | None:
    """Width and height in the header of a record's picture, if there are any."""
    if record.image is None:
        return None
    try:
        with PIL.Image.open(io.BytesIO(record.image_bytes())) as opened:
            return opened.size
    except Exception:  # decoding it will report the problem
        return None
