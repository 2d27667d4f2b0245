"""Push of a bank of some gigabytes over HTTP, killed (SIGKILL) on the way and repeated.

    python benchmarks/bank/push.py [--gigabytes 3]

The Hub is the small server of the tests on this machine, so the rate is that of hashing and copying, not of a network.
The bank has random bytes for pictures and random memory vectors of 8 x 1536 in bfloat16, 128 items per shard; its
index is small, because pushing opens the bank, which reads the index. A bank of an eighth of the size is pushed first,
to see whether memory depends on the size. The push of the whole is killed when the server has half of the bytes, and
then repeated. Exits with 1 if memory grows with the bank, more bytes are sent again than were in transit, or readers
see anything but no bank or the whole bank. Takes twice the bank's size on disk.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch


sys.path.insert(0, str(Path(__file__).parents[2]))  # for the tests' server

from comem_hf import MemoryBank
from comem_hf.bank import BankConfig
from comem_hf.bank.format.config import CONFIG_NAME
from comem_hf.bank.format.file_names import INDEX_NAME, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.format.vectors import write_memory
from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.cards.bank_card import write_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably
from tests.local_hub.server import HubServer


SHARD, TOKENS, HIDDEN, EMBEDDING, PICTURE = 128, 8, 1536, 32, 16 * 1024
SHARD_BYTES = SHARD * (TOKENS * HIDDEN * 2 + PICTURE)
MAY_GROW_MB = 50
ON_ITS_WAY = 5 * SHARD * TOKENS * HIDDEN * 2  # five uploads at a time


def write_bank(folder: Path, shards: int) -> BankConfig:
    """Write a bank, shard by shard."""
    folder.mkdir()
    random = np.random.default_rng(shards)
    index = FaissIndex.create("Flat", EMBEDDING, "cosine")
    files = {}
    for shard in range(shards):
        rows = range(shard * SHARD, (shard + 1) * SHARD)
        memory = torch.from_numpy(random.standard_normal((SHARD, TOKENS, HIDDEN), dtype=np.float32))
        records = [
            ItemRecord(f"item-{row}", f"Text {row}.", random.bytes(PICTURE), f"{row}.jpg", '{"language": "en"}')
            for row in rows
        ]
        for name, write in (
            (memory_name(shard), lambda path: write_memory(path, memory, "bfloat16")),  # noqa: B023
            (items_name(shard), lambda path: write_items(path, records)),  # noqa: B023
        ):
            files[name] = write_durably(folder / name, write)
        index.add(random.standard_normal((SHARD, EMBEDDING), dtype=np.float32), np.arange(rows.start, rows.stop))
    files[INDEX_NAME] = write_durably(folder / INDEX_NAME, index.save)
    config = BankConfig(
        num_items=shards * SHARD,
        num_memory_tokens=TOKENS,
        hidden_size=HIDDEN,
        memory_dtype="bfloat16",
        memory_fingerprint="synthetic",
        model={"id": None, "revision": None},
        embedder={"type": "given"},
        embedding_size=EMBEDDING,
        shard_sizes=[SHARD] * shards,
        files=files,
    )
    config.files[CARD_NAME] = write_card(folder, config)
    config.save(folder)
    return config


def push(hub: HubServer, folder: Path, repository: str, kill_at: float = float("inf")) -> dict[str, float]:
    """Push in a process of its own, killed when the server has received `kill_at` bytes, and return its cost.

    The time starts at its first request; before that it imports libraries and opens the bank.
    """
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": "ann's",
        "HF_HOME": str(folder.parent / "hf_home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
    }
    before, start, peak = hub.received, None, 0
    hub.requests.clear()
    process = psutil.Popen([sys.executable, __file__, "--push", str(folder), repository], env=environment)
    while process.poll() is None:
        peak = max(peak, process.memory_info().rss)
        start = start or (time.perf_counter() if hub.requests else None)
        if hub.received > kill_at:
            process.kill()
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode != (0 if kill_at == float("inf") else -signal.SIGKILL):
        sys.exit(f"A push ended with exit code {process.returncode}.")
    time.sleep(1)  # bytes in transit arrive
    return {"seconds": seconds, "sent": (hub.received - before) / 1e6, "peak": peak / 2**20}


def main():
    """Write the banks, push, kill, push again, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3)
    parser.add_argument("--push", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.push:
        folder, repository = options.push
        MemoryBank.from_pretrained(folder).push_to_hub(repository)
        return
    shards = max(8, round(options.gigabytes * 1e9 / SHARD_BYTES))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "lfs").mkdir()
        write_bank(root / "eighth", shards // 8)
        files = write_bank(root / "whole", shards).files
        expected = {name: entry["sha256"] for name, entry in files.items() if name != CARD_NAME}
        size = sum(files[name]["size"] for name in expected)
        print(f"{len(files)} files, {size / 1e9:.2f} GB, {shards * SHARD} items", flush=True)
        with HubServer({"ann's": "ann"}, root / "lfs") as hub:
            pushes = {"an eighth of it": push(hub, root / "eighth", "ann/eighth")}
            start = hub.received
            pushes["killed at half"] = push(hub, root / "whole", "ann/whole", start + size / 2)
            repository = hub.repositories["dataset", "ann/whole"]
            before = repository.files("main")
            pushes["pushed again"] = push(hub, root / "whole", "ann/whole")
            twice = hub.received - start - size
            pushes["and once more"] = push(hub, root / "whole", "ann/whole")
            after = {name: file.etag for name, file in repository.files("main").items() if file.is_lfs}
    print(f"{'':<18}{'seconds':>9}{'MB sent':>9}{'MB/s':>7}{'peak MB':>9}")
    for name, took in pushes.items():
        rate = took["sent"] / took["seconds"]
        print(f"{name:<18}{took['seconds']:>9.1f}{took['sent']:>9.0f}{rate:>7.0f}{took['peak']:>9.0f}")
    print(f"{len(before)} files committed when it was killed, {twice:,} bytes sent twice")
    checks = {
        "no bank to be seen after the kill": CONFIG_NAME not in before,
        "the whole bank in the end": after == expected,
        f"sent twice at most {ON_ITS_WAY:,} bytes": 0 <= twice <= ON_ITS_WAY,
        f"memory grows by at most {MAY_GROW_MB} MB": pushes["pushed again"]["peak"]
        <= pushes["an eighth of it"]["peak"] + MAY_GROW_MB,
    }
    for check, held in checks.items():
        print(f"{check:<42}{'yes' if held else 'NO'}")
    sys.exit(not all(checks.values()))


if __name__ == "__main__":
    main()
