"""Memory and time of building a bank of photographs, in a fresh process; with another version beside it.

    python benchmarks/bank/building/photographs.py [--pictures 96] [--megapixels 12] [--python OTHER/.venv/bin/python]

The embedded model, with the memory of CoMEM's own pixel limits, encodes JPEG files of noise as photographs have it
(as strong at every scale), in batches of 32. `--python` is the interpreter of an environment in which another version
of the package is installed, such as one made in a checkout of an older commit:

    git worktree add ../older COMMIT && make -C ../older .venv/.installed-test

It builds a bank of the same files; the two take turns, and their vectors are compared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file


# In the words of every version.
BUILD = """
import json, resource, sys, time
import psutil, torch
from transformers.utils import logging
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank.sources import read_image_folder
from comem_hf.default import default_path

torch.set_num_threads(1)
logging.disable_progress_bar()
model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
processor = CoMemProcessor.from_pretrained(default_path("model"), memory_max_pixels=64 * 28 * 28)
before, elapsed, spent = psutil.Process().memory_info().rss, time.perf_counter(), time.process_time()
MemoryBank.build(read_image_folder(sys.argv[1]), model=model, processor=processor, output_dir=sys.argv[2])
print(json.dumps({
    "before": before,
    "at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "elapsed": time.perf_counter() - elapsed,
    "processor": time.process_time() - spent,
}))
"""


def draw_photographs(folder: Path, number: int, size: tuple[int, int]) -> None:
    """Write noise that is as strong at every scale, from the whole picture to a few pixels; each moved on."""
    draw = np.random.default_rng(0)
    total = np.zeros((size[1], size[0], 3), np.float32)
    side = 2
    while side < max(size):
        grid = draw.integers(0, 256, (max(1, side * size[1] // size[0]), side, 3), dtype=np.uint8)
        total += np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BILINEAR), np.float32) - 127.5
        side *= 4
    noise = np.clip(total * 0.6 + 127.5, 0, 255).astype(np.uint8)
    for place in range(number):
        moved = np.roll(noise, place * size[0] // number, axis=1)
        Image.fromarray(moved).save(folder / f"{place:03d}.jpg", quality=85)


def build(python: str, pictures: Path, output: Path) -> dict[str, float]:
    """Build a bank in a fresh process; return bytes and seconds."""
    command = [python, "-c", BUILD, pictures, output]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=output.parent)
    return json.loads(result.stdout.splitlines()[-1])


def cosines(banks: list[Path]) -> np.ndarray:
    """Return the cosine between the memory vectors of each item in two banks, shape (items, memory tokens)."""
    one, other = (load_file(bank / "memory-00000.safetensors")["memory"].astype(np.float64) for bank in banks)
    return (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)


def main():
    """Draw, build, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--python", help="Interpreter with another version of the package.")
    options = parser.parse_args()
    width = round((options.megapixels * 1e6 * 4 / 3) ** 0.5)
    pythons = {"this version": sys.executable} | ({"other version": options.python} if options.python else {})
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        draw_photographs(pictures, options.pictures, (width, width * 3 // 4))
        size = sum(path.stat().st_size for path in pictures.iterdir())
        print(f"{options.pictures} JPEG files of {width} x {width * 3 // 4} pixels, {size / 1e6:.0f} MB")
        found = {name: build(python, pictures, Path(folder, name)) for name, python in pythons.items()}
        print(f"{'':<15}{'GB before':>12}{'GB at most':>12}{'s elapsed':>12}{'s of processor':>16}")
        for name, row in found.items():
            gigabytes = f"{row['before'] / 1e9:>12.2f}{row['at most'] / 1e9:>12.2f}"
            print(f"{name:<15}{gigabytes}{row['elapsed']:>12.1f}{row['processor']:>16.1f}")
        if options.python:
            between = cosines([Path(folder, name) for name in found])
            print(f"cosine of their memory vectors: {between.mean():.6f} on average, {between.min():.6f} at least")


if __name__ == "__main__":
    main()
