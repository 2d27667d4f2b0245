"""What the probabilities of hits are worth: pictures of items, of things that the bank lacks, and of nothing.

    python benchmarks/bank/score_probabilities.py [--photographs PATH ...]

The embedded bank is calibrated anew, and searched through `bank.search` alone. For pictures of things that the bank
lacks, a ninth of its items is removed from a copy, nine times.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank import BackboneEmbedder
from comem_hf.bank.scores.disturbances import DISTURBANCES
from comem_hf.bank.scores.nothing import NOTHING
from comem_hf.default import default_path


PARTS = 9
LEAST = 0.5
DRAWN = 100


def turned(picture: Image.Image) -> Image.Image:
    """The picture turned by 2 degrees, with white corners."""
    return picture.rotate(2, fillcolor="white")


def darker(picture: Image.Image) -> Image.Image:
    """The picture at 0.9 of its brightness."""
    return ImageEnhance.Brightness(picture).enhance(0.9)


def scene(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Eight coloured ellipses on a coloured ground."""
    picture = Image.new("RGB", size, tuple(random.integers(0, 256, 3).tolist()))
    for _ in range(8):
        left, right = sorted(random.integers(0, size[0], 2).tolist())
        top, bottom = sorted(random.integers(0, size[1], 2).tolist())
        colour = tuple(random.integers(0, 256, 3).tolist())
        ImageDraw.Draw(picture).ellipse((left, top, right + 1, bottom + 1), fill=colour)
    return picture


def show(name: str, hits: list[list], wanted: list[str] | None = None) -> None:
    """Print scores and probabilities of first hits, and how many reach `LEAST` (and are the wanted items)."""
    first = [row[0] for row in hits]
    scores = [hit.score for hit in first]
    found = [hit.probability for hit in first]
    passing = sum(hit.probability >= LEAST for hit in first)
    right = ""
    if wanted is not None:
        right = sum(
            any(hit.probability >= LEAST and hit.item.id == item for hit in row)
            for row, item in zip(hits, wanted, strict=True)
        )
    print(
        f"{name:<26}{len(first):>5}{statistics.median(scores):>8.3f}{max(scores):>8.3f}{statistics.median(found):>9.3f}"
        f"{max(found):>8.3f}{passing:>8}{right:>7}"
    )


def main():
    """Calibrate, search, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], help="pictures that the bank cannot hold")
    parser.add_argument("--pictures", type=int, help="items to sample for the fit [default: as a build does]")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    embedded = MemoryBank.from_pretrained(default_path("bank"), model=model, processor=processor)
    with tempfile.TemporaryDirectory() as folder:
        embedded.save_pretrained(Path(folder) / "bank")
        bank = MemoryBank.from_pretrained(Path(folder) / "bank", model=model, processor=processor)
        start = time.perf_counter()
        bank.calibrate(pictures=arguments.pictures)
        fit = time.perf_counter() - start
        calibration = bank.config.calibration
        print(
            f"{calibration['pictures']} pictures of items, {calibration['nothing']} of nothing; cross-validated: "
            f"Brier score {calibration['brier']:.4f}, AUC {calibration['auc']:.4f}"
        )
        pictures = {item_id: bank[item_id].load_image() for item_id in bank.ids}
        print(f"{'':<26}{'':>5}{'score':>16}{'probability':>17}{f'>= {LEAST}':>8}")
        print(f"{'first hit of':<26}{'n':>5}{'median':>8}{'max':>8}{'median':>9}{'max':>8}{'':>8}{'right':>7}")
        for name, disturb in {**DISTURBANCES, "turned": turned, "darker": darker}.items():
            hits = bank.search(image=[disturb(picture) for picture in pictures.values()])
            show(f"an item, {name}", hits, list(pictures))
        lacking = {name: [] for name in DISTURBANCES}
        for part in range(PARTS):
            removed = bank.ids[part::PARTS]
            copy = Path(folder) / f"without-{part}"
            bank.save_pretrained(copy)
            smaller = MemoryBank.from_pretrained(copy, model=model, processor=processor)
            smaller.remove(removed)
            for name, disturb in DISTURBANCES.items():
                lacking[name] += smaller.search(image=[disturb(pictures[item_id]) for item_id in removed])
        for name, hits in lacking.items():
            show(f"no item, {name}", hits)
        random = np.random.default_rng(2026)
        for name, make in {**NOTHING, "scene": scene}.items():
            show(name, bank.search(image=[make(random, (250, 160)) for _ in range(DRAWN)]))
        if arguments.photographs:
            show("photographs", bank.search(image=[str(path) for path in arguments.photographs]))
        example = default_path("examples") / "gr.png"
        for hit in bank.search(image=str(example)):
            print(f"{example.name}: {hit.item.id} score {hit.score:.3f} probability {hit.probability:.3f}")

        items = [bank[item_id] for item_id in bank.ids]
        embedder = BackboneEmbedder(model, processor, grid=embedded.config.embedder["grid"], layer=0)
        start = time.perf_counter()
        MemoryBank.build(items, model=model, processor=processor, output_dir=Path(folder) / "built", embedder=embedder)
        build = time.perf_counter() - start
        merged = MemoryBank.merge([bank], Path(folder) / "merged")  # which has no probabilities
        times = [_milliseconds(searched, example) for searched in (bank, merged)]
        print(f"this fit {fit:.2f} s; a build, with its own fit, {build:.2f} s")
        print(f"a search {times[0]:.1f} ms, without probabilities {times[1]:.1f} ms")


def _milliseconds(bank: MemoryBank, picture: Path) -> float:
    times = []
    for _ in range(50):
        start = time.perf_counter()
        bank.search(image=str(picture))
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
