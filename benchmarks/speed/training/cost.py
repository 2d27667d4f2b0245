"""Time and memory of a training step, against LoRA on the same backbone that reads the items in its prompt.

    python -m benchmarks.speed.training.cost [--samples 4] [--items 3] [--rounds 1] [--steps 3]

Both learn the same answers to questions about pictures, with the same items of a text and a picture, by adapters of
the same rank on the same layers, and AdamW. LoRA's step is PEFT's and transformers' own: logits at every position and
a cache, as `Trainer` calls the model. Every step runs in fresh processes, one after another in turns; the first step
of a process does not count in time. What a process held before the model, libraries included, does not count as
memory.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import psutil
import torch
from peft import LoraConfig, get_peft_model
from tqdm import tqdm
from transformers.utils import logging

from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread, ratio, seconds_of, use_one_thread
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.shapes import Shape, random_backbone, random_model
from benchmarks.speed.training.batches import IGNORED, AnsweredQuestions
from comem_hf.training import MemoryEncoderTrainer, MemoryTrainingArguments


LORA = "LoRA, items in the prompt"
FRUGAL = f"{LORA}; logits of answers alone, no cache"
MEMORY, DISTILLED = "memory encoder", "memory encoder, distilled"
TWICE, ONCE = "memory encoder, each item in two rows", "the same, each item encoded once"
KINDS = (LORA, FRUGAL, MEMORY, DISTILLED, TWICE, ONCE)
GOALS = {MEMORY: (0.65, 0.45), DISTILLED: (0.75, 0.75)}  # of LoRA's memory, and of its time


class Taken(NamedTuple):
    """What a step took: seconds, and bytes that the process held at most with the model and beside it."""

    seconds: float
    held: int
    held_beside_model: int


def lora_step(questions: AnsweredQuestions, shape: Shape, frugal: bool) -> tuple[torch.nn.Module, Callable]:
    """Return a plain backbone with PEFT's LoRA, and the function that computes its loss."""
    settings = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear")
    model, inputs = get_peft_model(random_backbone(shape), settings).train(), questions.in_prompts()
    if frugal:
        following = torch.nn.functional.pad(inputs.pop("labels"), (0, 1), value=IGNORED)[:, 1:]
        inputs |= {"logits_to_keep": following != IGNORED, "use_cache": False}
        targets = following[following != IGNORED]
        return model, lambda: torch.nn.functional.cross_entropy(model(**inputs).logits, targets)
    return model, lambda: model(**inputs).loss


def memory_step(
    questions: AnsweredQuestions, shape: Shape, folder: str, distilled: bool, once: bool
) -> tuple[torch.nn.Module, Callable]:
    """Return a model with a memory encoder, and the function by which our trainer computes its loss."""
    model = random_model(shape, trainable=True).train()
    arguments = MemoryTrainingArguments(
        output_dir=folder, use_cpu=True, distillation_weight=float(distilled), disable_tqdm=True
    )
    trainer = MemoryEncoderTrainer(model=model, args=arguments)

    def loss():
        inputs = questions.beside_prompts(once)
        if distilled:
            inputs["teacher_inputs"] = questions.in_prompts()
        count = (inputs["labels"] != IGNORED).sum()
        return trainer.compute_loss(model, inputs, num_items_in_batch=count)

    return model, loss


def measure(kind: str, shape: Shape, samples: int, items: int, steps: int) -> Taken:
    """Take so many steps of a kind in this process, after one that does not count."""
    use_one_thread()
    logging.set_verbosity_error()
    torch.manual_seed(0)
    process = psutil.Process()
    libraries = process.memory_info().rss
    distinct = samples * items // (2 if kind in (TWICE, ONCE) else 1)
    questions = AnsweredQuestions(shape, samples, items, distinct)
    with tempfile.TemporaryDirectory() as folder:
        if kind in (LORA, FRUGAL):
            model, loss = lora_step(questions, shape, frugal=kind == FRUGAL)
        else:
            model, loss = memory_step(questions, shape, folder, distilled=kind == DISTILLED, once=kind == ONCE)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)
        loaded = process.memory_info().rss

        def step():
            loss().backward()
            optimizer.step()
            optimizer.zero_grad()

        seconds = [seconds_of(step) for _ in range(1 + steps)][1:]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    return Taken(statistics.median(seconds), most - libraries, most - loaded)


def main() -> None:
    """Measure, record."""
    more = {
        "samples": {"type": int, "default": 4, "help": "questions in a batch"},
        "items": {"type": int, "default": 3, "help": "items of each question"},
        "steps": {"type": int, "default": 3, "help": "steps of a process that count"},
        "kinds": {"nargs": "*", "choices": KINDS, "default": KINDS, "help": argparse.SUPPRESS},
    }
    options = parse(__doc__, shape="medium", depth_share=1.0, rounds=1, **more)
    taken: dict[str, list[Taken]] = {kind: [] for kind in options.kinds}
    turns = [kind for number in range(options.rounds) for kind in options.kinds[:: -1 if number % 2 else 1]]
    for kind in tqdm(turns, desc="Processes"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            sizes = options.measured, options.samples, options.items, options.steps
            one = pool.apply(measure, (kind, *sizes))
        taken[kind].append(one)
        tqdm.write(f"{kind}: {one.seconds:.1f} s a step, {one.held / 1e9:.2f} GB at most")
    columns = {
        name: {kind: [getattr(one, name) for one in of] for kind, of in taken.items()} for name in Taken._fields
    }
    shares = {name: {kind: ratio(column, kind, LORA) for kind in taken} for name, column in columns.items()}
    rows = [
        {
            "step": kind,
            "s": Spread.of(columns["seconds"][kind]).median,
            "x in time": shares["seconds"][kind],
            "GB at most": Spread.of(columns["held"][kind]).median / 1e9,
            "x in memory": shares["held"][kind],
            "GB beside the model": Spread.of(columns["held_beside_model"][kind]).median / 1e9,
            "x beside the model": shares["held_beside_model"][kind],
        }
        for kind in taken
    ]
    goals = [
        Goal(f"{what} of a step: {kind} / {LORA}", shares[name][kind].median, limit)
        for kind, limits in GOALS.items()
        for what, name, limit in zip(("memory", "time"), ("held", "seconds"), limits, strict=True)
        if kind in taken
    ]
    about = f"A batch of {options.samples} questions with {options.items} items each, in fresh processes;"
    record("training_cost", about, options, rows, goals)


if __name__ == "__main__":
    main()
