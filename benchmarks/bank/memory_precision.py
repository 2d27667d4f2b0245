"""Cost of storing memory in fewer bits: bytes per item, and changed answers.

    python benchmarks/bank/memory_precision.py

The embedded bank is built once per dtype and asked the held-out questions of the embedded default; answers are
compared with those of float32.
"""

import tempfile
from pathlib import Path

from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank.format.precision import MEMORY_DTYPES, bytes_per_item
from comem_hf.default import default_path
from comem_hf.evaluation import evaluate, load_questions


WAYS = ("memory, true item", "memory, top-k")


def main():
    """Build, ask, print."""
    logging.disable_progress_bar()
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    embedded = MemoryBank.from_pretrained(default_path("bank"))
    items = [embedded[item_id] for item_id in embedded.ids]
    questions = load_questions(default_path("questions.jsonl"))
    print(f"{len(questions)} questions, {len(items)} items")
    columns = "".join(f"{way:>22}{'unchanged':>11}" for way in WAYS)
    print(f"{'dtype':<10}{'bytes/item':>12}{'of float32':>12}{columns}")
    whole = None
    for dtype in MEMORY_DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            bank = MemoryBank.build(
                items, model=model, processor=processor, output_dir=Path(folder) / "bank", dtype=dtype
            )
            scores = evaluate(model, processor, bank, questions, ways=WAYS)
        whole = scores if whole is None else whole
        shape = bank.config.num_memory_tokens, bank.config.hidden_size
        size = bytes_per_item(dtype, *shape)
        line = f"{dtype:<10}{size:>12,}{size / bytes_per_item('float32', *shape):>12.4f}"
        for score, reference in zip(scores, whole, strict=True):
            same = sum(a == b for a, b in zip(score.answers, reference.answers, strict=True)) / len(questions)
            line += f"{score.exact_match:>22.3f}{same:>11.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
