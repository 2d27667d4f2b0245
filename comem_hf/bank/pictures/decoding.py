"""Pictures of records, decoded in threads before they are asked for."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.sources.rows.reasons import reason_of
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import check_aspect_ratio, load_image
from comem_hf.modeling.picture_shrinking_comem import Use


MOST_AHEAD = 2**25  # pixels that wait for their turn, 100 MB
MOST_THREADS = 4


def load_record(record: ItemRecord, uses: Sequence[Use] = ()) -> MemoryItem:
    """The item of a record, with its picture decoded.

    Args:
        record (`ItemRecord`): The record.
        uses (`Sequence[Callable]`, *optional*): All that the picture is for (see [`load_image`]); by default it keeps
            its size.

    Raises:
        ValueError: If the picture cannot be decoded or one side is too long.
    """
    image = None
    if record.image is not None:
        try:
            image = load_image(record.image_bytes(), "its image", uses=uses)
        except MemoryError:
            raise
        except Exception as error:
            reason = reason_of(error)
            if not reason.startswith("its image"):
                reason = f"its image cannot be decoded: {reason}"
            raise ValueError(reason) from None
        check_aspect_ratio(image, "its image")
    return MemoryItem(image=image, text=record.text, id=record.id)


class DecodingAhead:
    """Decodes pictures while the batch before them is encoded; as a context manager, it ends its threads.

    Threads are enough, as Pillow's decoders let others run. What waits is at most as many items as the batch has, and
    `MOST_AHEAD` pixels.

    Args:
        records (`Sequence[ItemRecord]`): The records, in the order in which they are taken.
        pixels (`Sequence[int]`): How many pixels of each stay after it was decoded.
        load (`Callable[[ItemRecord], MemoryItem]`): Decodes one.
        threads (`int`, *optional*): At most so many pictures are decoded at a time; by default one for each processor
            that this process may use, and at most four.
    """

    def __init__(
        self,
        records: Sequence[ItemRecord],
        pixels: Sequence[int],
        load: Callable[[ItemRecord], MemoryItem],
        threads: int | None = None,
    ):
        self.records = records
        self.pixels = pixels
        self.load = load
        self._threads = ThreadPoolExecutor(threads or min(MOST_THREADS, _processors()), "comem-decoding")
        self._started: dict[int, Future] = {}

    def __enter__(self) -> "DecodingAhead":
        return self

    def __exit__(self, *exception) -> None:
        self._threads.shutdown(cancel_futures=True)

    def take(self, places: range) -> list[Future]:
        """Start a batch and some of what comes after it; forget what comes before it.

        A batch that was too large may be taken again in parts.

        Args:
            places (`range`): Places of the batch among the records.

        Returns:
            `list[Future]`: Its items, whose `result` waits for them and raises what decoding raised.
        """
        self._started = {place: item for place, item in self._started.items() if place >= places.start}
        waiting = 0
        for place in range(places.start, min(places.stop + len(places), len(self.records))):
            if place >= places.stop:
                waiting += self.pixels[place]
                if waiting > MOST_AHEAD:
                    break
            if place not in self._started:
                self._started[place] = self._threads.submit(self.load, self.records[place])
        return [self._started[place] for place in places]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


__all__ = ["DecodingAhead", "load_record"]
