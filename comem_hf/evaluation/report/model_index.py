"""The report's scores for a model card: `benchmarks.json` beside the model, and the `model-index` that it becomes."""

import hashlib
from typing import Any

from comem_hf.cards.benchmarks import BenchmarkResults


OF_OTHER_CODE = "of other code"
"""Name of the protocol of predictions whose model, and way of asking it, are not known."""


def fits_a_card(contents: dict[str, Any]) -> bool:
    """Whether a report has scores of a known model, which its card may show.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds.
    """
    return contents["settings"]["protocol"] != OF_OTHER_CODE and bool(benchmarks_record(contents)["results"])


def benchmarks_record(contents: dict[str, Any]) -> dict[str, Any]:
    """Return what `benchmarks.json` holds; [`BenchmarkResults`] reads it for the card of a model.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds.
    """
    settings = contents["settings"]
    return {
        "command": settings["command"],
        "model": {"memory_fingerprint": settings["memory_fingerprint"]},
        "protocol": settings["protocol"],
        "results": [
            {
                "benchmark": benchmark["name"],
                "language": benchmark["language"],
                "questions": benchmark["questions"],
                "sha256": _digest(benchmark["files"]),
                "way": way["way"],
                "top_k": way["top_k"],
                "positions": way["positions"],
                **{name: score[name] for name in ("scorer", "metric", "score", "low", "high")},
            }
            for benchmark in contents["benchmarks"]
            for way in benchmark["ways"]
            for score in way["scores"]
            if score["score"] is not None
        ],
    }


def model_index(contents: dict[str, Any]) -> str:
    """Return the `model-index` block of a card, as YAML; empty if nothing was scored.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds.
    """
    from huggingface_hub import ModelCardData

    results = BenchmarkResults.from_record(benchmarks_record(contents))
    if not results.rows:
        return ""
    name = contents["settings"]["model"].rpartition("/")[2]
    return ModelCardData(model_name=name, eval_results=results.entries()).to_yaml(line_break="\n") + "\n"


def _digest(files: list[dict[str, Any]]) -> str:
    """The digest of a benchmark's file, or one of the digests of all its files."""
    digests = [file["sha256"] for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
