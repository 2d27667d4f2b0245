"""Start-up, each time in a new process: imports, loading beside a plain backbone, the first answer.

    python -m benchmarks.speed.start_up [--rounds 5] [--depth-share 0.25]

Writes a backbone and a model on it, whole by default (9 GB of disk for the 2B shape). Both are loaded from a full
checkpoint, and the model also from a memory-only one, for which the backbone's weights are hashed. The files lie in
the page cache, so that loading is the work of the processor. The first answer is that of the embedded default.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.shapes import Shape, random_model


IMPORTS = {
    "`import comem_hf`, after torch and transformers": ["import transformers, torch", "import comem_hf"],
    "the same names of transformers alone": [
        "import transformers, torch",
        "from transformers import AutoModel, AutoProcessor",
    ],
    "`from comem_hf import CoMemForConditionalGeneration, CoMemProcessor`": [
        "import transformers, torch",
        "from comem_hf import CoMemForConditionalGeneration, CoMemProcessor",
    ],
    "`import comem_hf` alone": ["", "import comem_hf"],
}
PLAIN, FULL, MEMORY_ONLY = "plain backbone", "model, full checkpoint", "model, memory-only checkpoint, hashed"
QUIET = (
    "from transformers.utils import logging; logging.disable_progress_bar(); import torch; torch.set_num_threads(1)"
)
ANSWER = [
    "import comem_hf; from transformers import pipeline; from comem_hf.default import default_path",
    'ask = pipeline("memory-image-text-to-text", model=str(default_path("model")), memory_bank=default_path("bank"))',
    'ask(images=default_path("examples") / "gr.png", text="What is the capital of this country?", top_k=3)',
    'ask(images=default_path("examples") / "gr.png", text="What is its currency?", top_k=3)',
]
PARTS = ("imports", "pipeline with model and bank", "first answer", "second answer")
MEASURE = """
import gc, json, sys
from time import perf_counter, process_time
found, names = [], {}
for statement in json.loads(sys.argv[1]):
    gc.collect()
    start = perf_counter(), process_time()
    exec(statement, names)
    found.append((perf_counter() - start[0], process_time() - start[1]))
print(json.dumps(found))
"""


def in_new_process(statements: list[str]) -> list[tuple[float, float]]:
    """Return the elapsed and the processor time of each statement, run one after the other in a new process."""
    command = [sys.executable, "-c", MEASURE, json.dumps(statements)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def loading(folder: Path, shape: Shape) -> dict[str, list[str]]:
    """Write the checkpoints; return the statements that load them, by name."""
    model = random_model(shape)
    plain, full, memory_only = (folder / name for name in ("plain", "full", "memory-only"))
    model.backbone.save_pretrained(plain)
    model.save_pretrained(full)
    model.config.backbone_name_or_path = str(plain)
    model.save_pretrained(memory_only, memory_only=True)
    # Both names import all that loading needs, so that its time has no imports in it.
    names = "from transformers import AutoModelForImageTextToText; from comem_hf import CoMemForConditionalGeneration"
    theirs, ours = f"{names}; Model = AutoModelForImageTextToText", f"{names}; Model = CoMemForConditionalGeneration"
    return {
        PLAIN: [QUIET, theirs, f"model = Model.from_pretrained({str(plain)!r})"],
        FULL: [QUIET, ours, f"model = Model.from_pretrained({str(full)!r})"],
        MEMORY_ONLY: [QUIET, ours, f"model = Model.from_pretrained({str(memory_only)!r})"],
    }


def spread(values: list[float]) -> Spread:
    """Summarize in milliseconds."""
    return Spread.of([value * 1e3 for value in values])


def main() -> None:
    """Write, measure in turns, record."""
    options = parse(__doc__, depth_share=1.0)
    with tempfile.TemporaryDirectory() as folder:
        statements = IMPORTS | loading(Path(folder), options.measured) | {"first answer": ANSWER}
        for case in statements.values():  # fills the page cache and writes compiled files
            in_new_process(case)
        found = {name: [] for name in statements}
        for number in range(options.rounds):
            for name in reversed(statements) if number % 2 else statements:
                found[name].append(in_new_process(statements[name]))

    last = {name: [run[-1] for run in runs] for name, runs in found.items() if name != "first answer"}
    answers = zip(PARTS, zip(*found["first answer"], strict=True), strict=True)
    last |= {f"embedded default: {part}": list(runs) for part, runs in answers}
    rows = []
    for name, runs in last.items():
        row = {
            "what": name if name in IMPORTS or ":" in name else f"loading, {name}",
            "processor ms": spread([cpu for _, cpu in runs]),
            "elapsed ms": statistics.median(elapsed for elapsed, _ in runs) * 1e3,
        }
        if name in (PLAIN, FULL, MEMORY_ONLY):
            pairs = zip(runs, last[PLAIN], strict=True)
            row["x of plain, processor"] = Spread.of([ours[1] / plain[1] for ours, plain in pairs])
        rows.append(row)
    in_time = next(row["x of plain, processor"].median for row in rows if row["what"] == f"loading, {FULL}")
    goals = [Goal("loading a full checkpoint, nothing hashed / plain `from_pretrained`", in_time, 1.5)]
    notes = [
        "A plain backbone's tensors stay in the mapped file until they are used. So do those of the backbone here; "
        "the memory encoder's own are copied, because with safetensors before 0.8 saving into the same folder would "
        "change mapped ones. That copy, the encoder's layers beside the backbone's, and the looks at weights by which "
        "later changes are noticed are what loading takes beyond the plain backbone."
    ]
    about = "Start-up in new processes;"
    record("start_up", about, options, rows, goals if options.shape != "atlas-small" else [], notes)


if __name__ == "__main__":
    main()
