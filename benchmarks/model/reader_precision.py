"""Answers of a model that is loaded in few bits, with the memory bank that it made in full precision.

    python benchmarks/model/reader_precision.py

The embedded model is loaded in each precision and attached to the embedded bank, whose vectors stay as they are; it is
asked the held-out questions of the embedded default. Goal: within 0.02 of float32 for float16, bfloat16 and 8 bit.
"""

import time

from transformers import BitsAndBytesConfig
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.default import default_path
from comem_hf.evaluation import evaluate, load_questions


WAYS = ("no memory", "memory, true item", "memory, top-k")
PRECISIONS = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "float16": {"dtype": "float16"},
    "8 bit": {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
    "4 bit": {"quantization_config": BitsAndBytesConfig(load_in_4bit=True)},
}


def main():
    """Load, ask, print."""
    logging.disable_progress_bar()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    questions = load_questions(default_path("questions.jsonl"))
    print(f"{len(questions)} questions")
    print(f"{'precision':<12}" + "".join(f"{way:>20}{'unchanged':>11}" for way in WAYS) + f"{'seconds':>10}")
    whole = None
    for precision, arguments in PRECISIONS.items():
        model = CoMemForConditionalGeneration.from_pretrained(default_path("model"), **arguments).eval()
        bank = MemoryBank.from_pretrained(default_path("bank")).attach(model, processor)
        start = time.perf_counter()
        scores = evaluate(model, processor, bank, questions, ways=WAYS)
        seconds = time.perf_counter() - start
        whole = scores if whole is None else whole
        line = f"{precision:<12}"
        for score, reference in zip(scores, whole, strict=True):
            same = sum(a == b for a, b in zip(score.answers, reference.answers, strict=True)) / len(questions)
            line += f"{score.exact_match:>20.3f}{same:>11.3f}"
        print(f"{line}{seconds:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
