"""Make the embedded default from its sources: `python -m recipes.atlas_small`, or `make default-checkpoint`.

Every stage leaves its result in the work folder; run again, the command skips or resumes it. Its stages: fetch flags
and emoji, train the backbone from scratch, write the memory encoder's training data, train the memory encoder with
`comem train`, build the bank, and replace `comem_hf/default/atlas-small`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from transformers import set_seed

from comem_hf import CoMemProcessor
from recipes.atlas_small.data.collection import load_collections
from recipes.atlas_small.data.samples.memory_data import write_rows
from recipes.atlas_small.data.samples.pictures import load_motifs
from recipes.atlas_small.data.samples.recall import Course, RecallMaker
from recipes.atlas_small.learning.backbone import motifs_alike, train_backbone
from recipes.atlas_small.learning.facts import Told, start_from_facts, told_items

from .architecture import new_model
from .curves import plot_curves
from .embedded import make_default


ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "comem_hf" / "default" / "atlas-small"
LOGS = Path(__file__).with_name("logs")
MEMORY_BATCH = 16
MEMORY_COURSES = (  # numbers of steps, and what their samples are: one picture each, the true item at any place
    (60, Course(items=(1, 2, 3), facts=(1, 2), turns=2, follow=1.0)),
    (60, Course(items=(1, 2, 3), facts=(2, 3, 6), turns=4, follow=1.0, alike=0.1)),
    (600, Course(items=(1, 2, 3, 3), facts=(3, 6, 6), turns=6, follow=1.0, alike=0.3, look=0.02, mixed=0.25)),
)


def train_memory(work: Path, data: Path, told: list[Told], steps: int, seed: int) -> Path:
    """Train the memory encoder by the command line, as a user would, and return the trained model's folder."""
    output, untrained = work / "model", work / "untrained"
    if (output / "config.json").is_file():
        return output
    processor = CoMemProcessor.from_pretrained(work / "backbone")
    set_seed(seed)
    model = new_model(work / "backbone")
    shares = start_from_facts(model, processor, told)
    print("Attention of each query to what it looks for:", *(f"{share:.2f}" for share in shares))
    model.save_pretrained(untrained)
    processor.save_pretrained(untrained)
    command = [sys.executable, "-m", "comem_hf", "train"]
    options = {
        "--model": untrained,
        "--data": data,
        "--output-dir": output,
        "--max-steps": steps,
        "--batch-size": MEMORY_BATCH,
        "--gradient-accumulation": 1,
        "--learning-rate": 1e-3,
        "--muon-learning-rate": 3e-3,
        "--weight-decay": 0.1,
        "--max-grad-norm": 1.0,
        "--attn-implementation": "eager",
        "--save-steps": 200,
        "--seed": seed,
    }
    # The rows are in the order of a curriculum. Many CPUs multiply bfloat16 ten times slower than float32.
    flags = ["--no-shuffle"]
    subprocess.run([*command, *(str(part) for pair in options.items() for part in pair), *flags], check=True)
    return output


def main() -> None:
    """Run the stages that are not done yet."""
    parser = argparse.ArgumentParser(prog="python -m recipes.atlas_small", description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "atlas-small", help="folder for all stages")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seed = arguments.seed

    collections = load_collections(arguments.work, seed)
    work = arguments.work / f"seed-{seed}"  # another seed holds out other things: nothing may be shared
    inventors = [collection.inventor for collection in collections]
    train_backbone(work, inventors, [collection.drawings() for collection in collections], seed=seed)

    motifs = load_motifs(work / "pictures")
    courses = [replace(course, samples=steps * MEMORY_BATCH) for steps, course in MEMORY_COURSES]
    maker = RecallMaker(inventors, motifs, courses, motifs_alike(work / "seeing", motifs), seed + 1)
    data = work / "memory.jsonl"
    steps = sum(steps for steps, _ in MEMORY_COURSES)
    write_rows(data, maker, steps * MEMORY_BATCH)
    told = told_items(inventors, motifs, work / "pictures", seed)
    model = train_memory(work, data, told, steps, seed)

    make_default(DEFAULT, model, collections, seed)
    LOGS.mkdir(exist_ok=True)
    logs = {
        "backbone": json.loads((work / "backbone" / "training_log.json").read_text()),
        "memory": json.loads((model / "trainer_state.json").read_text())["log_history"],
    }
    for name, log in logs.items():
        (LOGS / f"{name}.json").write_text(json.dumps(log, indent=1) + "\n")
    plot_curves(logs, LOGS / "curves.png")


if __name__ == "__main__":
    main()
