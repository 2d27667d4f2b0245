"""A build that is killed (SIGKILL) at random moments and resumed, compared with an undisturbed one.

    python benchmarks/bank/kill.py [--items 2000] [--kills 20] [--seed 0]

The embedded model encodes copies of the embedded bank's items, each with a text of its own, in shards of 16. The
moments are drawn from the processor time of the undisturbed build, which other work on the machine does not change;
each run of the killed build ends at the next of them. In the end the bank must verify, hold every item once, and have
the same bytes in every file.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from itertools import cycle, islice, pairwise
from pathlib import Path


os.environ["OMP_NUM_THREADS"] = "1"  # the builds are forked, and OpenMP's threads do not survive a fork

import psutil
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank, MemoryItem
from comem_hf.default import default_path


SHARD_SIZE = 16


def make_items(number: int) -> list[MemoryItem]:
    """Return copies of the embedded bank's items, each with a text and an id of its own."""
    bank = MemoryBank.from_pretrained(default_path("bank"))
    items = [bank[item_id] for item_id in bank.ids]
    return [
        MemoryItem(image=item.image.fp.getvalue(), text=f"{item.text} Copy {place}.", id=f"{item.id}-{place}")
        for place, item in enumerate(islice(cycle(items), number))
    ]


def main():
    """Build undisturbed, build with kills, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    items = make_items(arguments.items)
    fork = multiprocessing.get_context("fork")

    def start(output: Path):
        options = {"model": model, "processor": processor, "output_dir": output, "shard_size": SHARD_SIZE}
        build = fork.Process(target=MemoryBank.build, args=(items,), kwargs=options)
        build.start()
        return build

    with tempfile.TemporaryDirectory() as folder:
        undisturbed, killed = Path(folder) / "undisturbed", Path(folder) / "killed"
        build = start(undisturbed)
        whole = _watch(build, float("inf"))
        _finish(build)
        print(
            f"{len(items)} items, {-(-len(items) // SHARD_SIZE)} shards; undisturbed {whole:.1f} s of processor time"
        )
        print(f"{'kill':>5}{'after s':>9}{'finished shards':>17}  left half-written")
        draw = random.Random(arguments.seed)
        moments = [0, *sorted(draw.uniform(0, whole) for _ in range(arguments.kills))]
        kills = 0
        for previous, moment in pairwise(moments):
            build = start(killed)
            _watch(build, moment - previous)
            if build.exitcode is not None:
                _finish(build)
                break
            build.kill()
            build.join()
            kills += 1
            staging = killed.with_name("killed.unfinished")
            shards = len(list(staging.glob("journal/[0-9]*.json")))
            torn = ", ".join(path.name for path in staging.rglob("*.unfinished")) or "-"
            print(f"{kills:>5}{moment - previous:>9.2f}{shards:>17}  {torn}", flush=True)
        if not killed.exists():
            _finish(start(killed))
        bank = MemoryBank.from_pretrained(killed)
        bank.verify()
        files = [{path.name: path.read_bytes() for path in each.iterdir()} for each in (undisturbed, killed)]
        checks = {
            f"killed {arguments.kills} times": kills == arguments.kills,
            "the bank verifies": True,
            "no item lost or doubled, all in order": bank.ids == [item.id for item in items],
            "every file as in the undisturbed bank": files[0] == files[1],
            "no work folder left": not killed.with_name("killed.unfinished").exists(),
        }
    for check, held in checks.items():
        print(f"{check:<42}{'yes' if held else 'NO'}")
    sys.exit(not all(checks.values()))


def _watch(build, seconds: float) -> float:
    """Wait until a build has used this much processor time or has ended; return the time used."""
    process, spent = psutil.Process(build.pid), 0.0
    while spent < seconds and build.exitcode is None:
        time.sleep(0.002)
        times = process.cpu_times()
        spent = max(spent, times.user + times.system)
    return spent


def _finish(build) -> None:
    build.join()
    if build.exitcode:
        sys.exit(f"a build ended with exit code {build.exitcode}")


if __name__ == "__main__":
    main()
