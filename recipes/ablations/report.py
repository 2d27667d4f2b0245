"""The table and the picture of a comparison, and the section of `benchmarks/RESULTS.md` that holds the table."""

import platform
import statistics
from datetime import date
from importlib.metadata import version
from pathlib import Path

import matplotlib


matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from .material import COUNTS  # noqa: E402


BEGIN, END = "<!-- ablations: written by `make ablations` -->", "<!-- end of ablations -->"
HEADERS = {1: "true item alone", 3: "of 3", 10: "of 10"}
PACKAGES = ("comem_hf", "torch", "transformers", "peft")


def machine_and_versions(threads: int) -> dict:
    """Return where and when a comparison was run, and by what."""
    versions = {name: version(name) for name in PACKAGES}
    return {"date": date.today().isoformat(), "threads": threads, "python": platform.python_version()} | versions


def score_of(results: list[dict]) -> float:
    """Return by what rows are ranked: the mean of the figures of all numbers of items, over the seeds."""
    return statistics.mean(result["exact_match"][str(count)] for result in results for count in COUNTS)


def table(result: dict) -> str:
    """Format a comparison (the content of `ablations.json`) as Markdown, the best row first."""
    run, references = result["run"], result["references"]
    lines = [
        _line(["row", *HEADERS.values(), "seeds", "training", "final loss", "what it is"]),
        _line(["---", *["---:"] * 6, "---"]),
    ]
    rag = [f"{references['rag'][str(count)]:.3f}" for count in COUNTS]
    lines.append(_line(["RAG", *rag, "", "", "", "the backbone with the items in its prompt, in the same orders"]))
    lines.append(_line(["no items", f"{references['no_items']:.3f}", *[""] * 5, "the backbone alone"]))
    lines += [_line(_cells(row)) for row in sorted(result["rows"], key=lambda row: -score_of(row["results"]))]
    with_lengths = [row for row in result["rows"] if any("/" in name for name in row["results"][0]["exact_match"])]
    text = [
        f"`make ablations`, {run['date']}: exact match on {run['num_questions']} questions about held-out countries, "
        f"the true item at a random place among the nearest; {run['steps']} steps of {run['batch_size']} samples, "
        f"{run['threads']} threads; mean and standard deviation where there are several seeds. "
        f"Python {run['python']}, {', '.join(f'{name} {run[name]}' for name in PACKAGES)}.",
        "\n".join(lines),
        *map(_lengths, with_lengths),
    ]
    return "\n\n".join(text) + "\n"


def plot(result: dict, path: Path) -> None:
    """Plot a comparison as a PNG: exact match of each row, beside the backbone with the items in its prompt."""
    rows = sorted(result["rows"], key=lambda row: score_of(row["results"]))
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.4 * len(rows)))
    for number, count in enumerate(COUNTS):
        colour = plt.get_cmap("tab10").colors[number]
        means, spreads = zip(*(_mean_and_spread(row["results"], str(count)) for row in rows), strict=True)
        places = [place + 0.2 * (number - 1) for place in range(len(rows))]
        axes.errorbar(means, places, xerr=spreads, fmt="o", color=colour, label=HEADERS[count])
        axes.axvline(
            result["references"]["rag"][str(count)], color=colour, linestyle=":", label=f"RAG, {HEADERS[count]}"
        )
    axes.set(xlabel="exact match", xlim=(-0.02, 1.02))
    axes.set_yticks(range(len(rows)), [row["key"] for row in rows])
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def write_section(page: Path, text: str) -> None:
    """Write the table between the two marks of a page, or with them at its end."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2] if begin else "\n"
    before = before if begin else f"{before.rstrip()}\n\n"
    section = f"## Objectives and controls\n\nHow: [recipes/ablations](../recipes/ablations/README.md).\n\n{text}"
    page.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}", encoding="utf-8")


def _cells(row: dict) -> list[str]:
    results = row["results"]
    figures = [_figure(*_mean_and_spread(results, str(count)), len(results)) for count in COUNTS]
    minutes = statistics.mean(result["training_seconds"] for result in results) / 60
    loss = statistics.mean(result["final_loss"] for result in results)
    return [row["key"], *figures, str(len(results)), f"{minutes:.1f} min", f"{loss:.3f}", row["note"]]


def _mean_and_spread(results: list[dict], name: str) -> tuple[float, float]:
    values = [result["exact_match"][name] for result in results]
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _figure(mean: float, spread: float, count: int) -> str:
    return f"{mean:.3f} ± {spread:.3f}" if count > 1 else f"{mean:.3f}"


def _lengths(row: dict) -> str:
    """Say what a row answers from fewer vectors."""
    results = row["results"]
    found = [name for name in results[0]["exact_match"] if "/" in name]
    parts: dict[str, list[str]] = {}
    for name in found:
        items, vectors = name.split("/")
        parts.setdefault(vectors, []).append(f"{_mean_and_spread(results, name)[0]:.3f} of {items}")
    told = "; ".join(f"{vectors} vectors: {', '.join(figures)}" for vectors, figures in parts.items())
    return f"`{row['key']}` with the first vectors only: {told}."


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"
