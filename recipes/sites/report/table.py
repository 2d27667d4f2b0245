"""The table of the comparison, and what it must say beside the numbers."""

import platform
from datetime import date
from importlib.metadata import version

from recipes.sites.measures.asking import BATCH_SIZE
from recipes.sites.measures.timing import NEW_TOKENS
from recipes.sites.run import Run
from recipes.sites.ways import WAYS


HEADER = (
    "way",
    "item",
    "exact match",
    "without item",
    "added positions",
    "trained parameters",
    "prefill",
    "per token",
    "training",
    "final loss",
)


def what_was_run(run: Run, repetitions: int, threads: int) -> dict:
    """Return settings and versions of a run."""
    packages = ("comem_hf", "torch", "transformers", "peft")
    return {
        "date": date.today().isoformat(),
        "steps": run.steps,
        "batch_size": run.batch_size,
        "seed": run.seed,
        "threads": threads,
        "repetitions": repetitions,
        "tokens_per_repetition": NEW_TOKENS,
        "answer_batch_size": BATCH_SIZE,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def table(result: dict) -> str:
    """Format a result (the content of `sites.json`) as Markdown."""
    run = result["run"]
    lines = [_line(HEADER), _line(["---", "---", *["---:"] * (len(HEADER) - 2)])]
    lines += [_line(_cells(way)) for way in result["ways"]]
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    text = [
        f"{run['date']}: {run['steps']} steps of {run['batch_size']} samples for every trained way, seed "
        f"{run['seed']}; two CPU cores, {run['threads']} threads; Python {run['python']}, {versions}.",
        "\n".join(lines),
        "\n".join(f"* {name}: {meaning}" for name, meaning in _meanings(run).items()),
        "The ways:",
        "\n".join(_notes(result["ways"])),
    ]
    return "\n\n".join(text) + "\n"


def _meanings(run: dict) -> dict[str, str]:
    single = f"medians of {run['repetitions']} questions asked one by one, the ways in turns"
    return {
        "exact match": "of the held-out questions, with the true item; without item: the same questions without any",
        "added positions": "those in the reader's cache before the answer, with the true item, beyond those of the "
        "bare question with its picture in the prompt; mean over the questions",
        "prefill": f"{single}; items that become vectors are encoded before, as a bank keeps them, pictures are not",
        "per token": f"the same, of {run['tokens_per_repetition']} tokens after the first",
        "training": "time of all steps, without loading and saving",
        "final loss": "mean over the last fifty steps",
    }


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(way: dict) -> list[str]:
    is_trained = way["final_loss"] is not None
    return [
        way["name"],
        way["settings"]["items"],
        f"{way['exact_match']:.3f}",
        f"{way['exact_match_without_item']:.3f}",
        f"{way['added_positions']:+.1f}",
        f"{way['trainable_parameters']:,}",
        f"{way['prefill'] * 1e3:.1f} ms",
        f"{way['per_token'] * 1e3:.1f} ms",
        f"{way['training_seconds'] / 60:.1f} min" if is_trained else "",
        f"{way['final_loss']:.3f}" if is_trained else "",
    ]


def _notes(ways: list[dict]) -> list[str]:
    notes = {way.key: way.note for way in WAYS}
    lines = []
    for way in ways:
        settings = way["settings"]
        rates = [f"AdamW {settings['learning_rate']:g}"]
        if settings["muon_learning_rate"] is not None:
            rates.append(f"Muon {settings['muon_learning_rate']:g}")
        trained = f" (learning rate: {', '.join(rates)})" if settings["config"] is not None else ""
        lines.append(f"* {way['name']}: {notes[way['key']]}{trained}")
    return lines
