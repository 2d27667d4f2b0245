"""Readers of a memory bank while another process adds to it and removes from it, and is killed now and then.

    python benchmarks/bank/readers.py [--seconds 60] [--readers 8] [--seed 0]

Each reader is a process of two threads that share a bank: both search and fetch memory, one reloads the bank or opens
it anew. An item's embedding, text and memory follow from its id, and the bank's items from its generation, so that
every answer is compared with that of a complete state: the bank's, or, if the other thread has reloaded it meanwhile,
one of those in between. Exits with 1 if any answer differs. No model is needed.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path


os.environ["OMP_NUM_THREADS"] = "1"  # processes are forked, and OpenMP's threads do not survive a fork

import numpy as np
import torch
from transformers.utils import logging

from comem_hf import MemoryBank
from comem_hf.bank import BankConfig, Embedder
from comem_hf.bank.changing.writer import BankWriter
from comem_hf.bank.format.file_names import INDEX_NAME, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.format.vectors import write_memory
from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.bank.index.index import unit_rows
from comem_hf.files.whole_file import write_durably


BASE, BATCH, HITS = 500, 8, 3
EMBEDDING, TOKENS, HIDDEN = 64, 4, 32
QUERIES = unit_rows(np.random.default_rng(0).standard_normal((BATCH, EMBEDDING), dtype=np.float32))


class GivenVectors(Embedder):
    """Embedder that takes embeddings in the place of images."""

    settings = {"type": "given"}

    def embed_images(self, images) -> np.ndarray:
        return np.stack(images)


def batch_ids(batch: int) -> list[str]:
    """Return the ids of a batch; batch 0 is always in the bank."""
    return [f"{batch}-{place}" for place in range(BATCH if batch else BASE)]


@lru_cache(4)
def batch_embeddings(batch: int) -> np.ndarray:
    """Return unit vectors; each item of an added batch is the nearest to one of the queries."""
    noise = np.random.default_rng(batch + 1).standard_normal((len(batch_ids(batch)), EMBEDDING), dtype=np.float32)
    return unit_rows(QUERIES + 0.02 * noise if batch else noise)


def memory_value(item_id: str) -> float:
    """Return the value of all numbers in the memory of an item."""
    batch, place = map(int, item_id.split("-"))
    return float(1000 * batch + place)


def records_and_memory(batch: int) -> tuple[list[ItemRecord], torch.Tensor]:
    """Return a batch as it is stored."""
    ids = batch_ids(batch)
    values = torch.tensor([memory_value(item_id) for item_id in ids])
    records = [ItemRecord(item_id, f"Text of {item_id}.", None, None, "{}") for item_id in ids]
    return records, values[:, None, None].expand(-1, TOKENS, HIDDEN).contiguous()


def present_batch(generation: int) -> int | None:
    """Return the batch of a generation beside batch 0: every change adds one or removes it again."""
    return (generation + 1) // 2 if generation % 2 else None


@lru_cache(64)
def true_answer(generation: int) -> tuple[tuple[str, ...], ...]:
    """Return the ids of the hits of every query."""
    batches = [batch for batch in (0, present_batch(generation)) if batch is not None]
    ids = [item_id for batch in batches for item_id in batch_ids(batch)]
    scores = QUERIES @ np.concatenate([batch_embeddings(batch) for batch in batches]).T
    return tuple(tuple(ids[place] for place in row) for row in np.argsort(-scores, axis=1)[:, :HITS])


def write_bank(folder: Path) -> None:
    """Write a bank of batch 0."""
    records, memory = records_and_memory(0)
    index = FaissIndex.create("Flat", EMBEDDING, "cosine")
    index.add(batch_embeddings(0), np.arange(BASE))
    contents = {
        INDEX_NAME: index.save,
        memory_name(0): lambda path: write_memory(path, memory, "float32"),
        items_name(0): lambda path: write_items(path, records),
    }
    folder.mkdir()
    BankConfig(
        num_items=BASE,
        num_memory_tokens=TOKENS,
        hidden_size=HIDDEN,
        memory_dtype="float32",
        memory_fingerprint="synthetic",
        model={"id": None, "revision": None},
        embedder=GivenVectors.settings,
        embedding_size=EMBEDDING,
        shard_sizes=[BASE],
        files={name: write_durably(folder / name, write) for name, write in contents.items()},
    ).save(folder)


def change_forever(folder: Path) -> None:
    """Change the bank from one generation to the next, without end."""
    while True:
        with BankWriter(folder) as writer:
            generation = writer.before.config.generation
            if (batch := present_batch(generation)) is None:
                batch = present_batch(generation + 1)
                records, memory = records_and_memory(batch)
                writer.append(records, memory, batch_embeddings(batch))
            else:
                writer.remove([writer.before.rows.row(item_id) for item_id in batch_ids(batch)])
            writer.commit()


class Reader:
    """Two threads that read one bank; `wrong` lists wrong answers and errors."""

    def __init__(self, folder: Path, seconds: float):
        self.folder = folder
        self.end = time.monotonic() + seconds
        self.counts = Counter()
        self.wrong = []
        self.bank = self._open()

    def run(self) -> None:
        """Read until the time is over."""
        other = threading.Thread(target=self._guarded, args=(self._search_only,))
        other.start()
        self._guarded(self._reload_and_search)
        other.join()

    def _open(self) -> MemoryBank:
        return MemoryBank.from_pretrained(self.folder, embedder=GivenVectors())

    def _guarded(self, read) -> None:
        try:
            while time.monotonic() < self.end and not self.wrong:
                read()
        except Exception as error:  # of any kind: a reader must never fail
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _search_only(self) -> None:
        self._check(self.bank)

    def _reload_and_search(self) -> None:
        before = self.bank.config.generation
        hits = self._check(self.bank)
        if self.counts["reloads"] % 10 == 9:
            self.bank = self._open()
        else:
            self.bank.reload()
        self.counts["reloads"] += 1
        after = self.bank.config.generation
        self.counts["generations"] += after > before
        if after < before or len(self.bank) != BASE + BATCH * (after % 2):
            self.wrong.append(f"generation {after} of {len(self.bank)} items after {before}")
        if sorted(self.bank.ids) != sorted(
            item_id for batch in {0, present_batch(after)} - {None} for item_id in batch_ids(batch)
        ):
            self.wrong.append(f"generation {after} holds other ids")
        self._check_memory(self.bank, hits, "old hits")

    def _check(self, bank: MemoryBank):
        first = bank.config.generation
        hits = bank.search(image=list(QUERIES), k=HITS)
        last = bank.config.generation
        answer = tuple(tuple(hit.item.id for hit in each) for each in hits)
        if answer not in {true_answer(generation) for generation in range(first, last + 1)}:
            self.wrong.append(f"between generations {first} and {last} the answer was {answer}")
        if any(hit.item.text != f"Text of {hit.item.id}." for each in hits for hit in each):
            self.wrong.append(f"another text in generation {first}")
        self.counts["searches"] += 1
        self._check_memory(bank, hits, "memory")
        return hits

    def _check_memory(self, bank: MemoryBank, hits, what: str) -> None:
        """Check that hits get their own memory, or are refused if some have been removed since."""
        first = bank.config.generation
        try:
            memory = bank.memory_inputs(hits)["memory_embeds"]
        except ValueError as error:
            last = bank.config.generation
            batches = {int(hit.item.id.split("-")[0]) for each in hits for hit in each} - {0}
            gone = any({present_batch(generation)} != batches for generation in range(first, last + 1))
            if "has been removed" not in str(error) or not batches or not gone:
                self.wrong.append(f"{what} in generations {first} to {last}: {error}")
            self.counts["refused hits"] += 1
            return
        expected = torch.tensor([[memory_value(hit.item.id) for hit in each] for each in hits])
        if not torch.equal(memory, expected[:, :, None, None].expand_as(memory)):
            self.wrong.append(f"{what} of other items in generation {first}")
        self.counts[what] += 1


def read(folder: Path, seconds: float, results) -> None:
    """Run a reader in its process, and put its counts and errors into `results`."""
    try:
        reader = Reader(folder, seconds)
        reader.run()
        results.put((reader.counts, reader.wrong))
    except Exception as error:
        results.put((Counter(), [f"{type(error).__name__}: {error}"]))


def main():
    """Start readers and a writer, kill the writer now and then, sum up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    draw = random.Random(arguments.seed)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "bank"
        write_bank(folder)
        readers = [
            fork.Process(target=read, args=(folder, arguments.seconds, results)) for _ in range(arguments.readers)
        ]
        for reader in readers:
            reader.start()
        end = time.monotonic() + arguments.seconds
        kills, failed = 0, False
        while time.monotonic() < end:
            writer = fork.Process(target=change_forever, args=(folder,))
            writer.start()
            writer.join(min(draw.uniform(0.2, 2), max(0.1, end - time.monotonic())))
            failed |= writer.exitcode is not None
            writer.kill()
            writer.join()
            kills += 1
        counts, wrong = Counter(), []
        for _ in readers:
            reader_counts, reader_wrong = results.get(timeout=120)
            counts += reader_counts
            wrong += reader_wrong
        bank = MemoryBank.from_pretrained(folder)
        report = bank.verify()
    print(f"{len(readers)} readers of two threads, {arguments.seconds:.0f} s, writer killed {kills} times")
    rows = {"generations written": report["generation"], **counts, "wrong answers": len(wrong)}
    for name, count in rows.items():
        print(f"{name:<24}{count:>10}")
    for each in wrong[:5]:
        print(each)
    if failed:
        print("A writer failed.")
    sys.exit(bool(wrong) or failed or report["generation"] == 0)


if __name__ == "__main__":
    main()
