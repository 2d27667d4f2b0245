"""Results of benchmarks, for the card of the measured model."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .generated import counted, one_line


if TYPE_CHECKING:
    from huggingface_hub import EvalResult


BENCHMARKS_NAME = "benchmarks.json"
_TEXTS = ("benchmark", "language", "scorer", "metric", "way")
_NUMBERS = {"score": float, "low": float, "high": float, "top_k": int, "questions": int}


def way_title(way: str, top_k: int) -> str:
    """Return the title of a way, such as "RAG, k = 10"."""
    return f"{way}, k = {top_k}" if top_k else way


@dataclass(frozen=True)
class BenchmarkResults:
    """The scores of a model on benchmarks.

    Args:
        command (`str`): Command that measured the scores.
        protocol (`str`): Name of the protocol that the questions were asked by.
        memory_fingerprint (`str`, *optional*): Fingerprint of the measured model; `None` if it has no memory encoder.
        rows (`tuple[dict, ...]`): For each benchmark, language, scorer and way: `benchmark`, `language`, `scorer`,
            `metric`, `way` (texts), `questions`, `top_k` (whole numbers), `score`, `low`, `high` (0 to 100; ends of
            the confidence interval), `positions` (mean prompt positions, `None` if no question was asked) and `sha256`
            (of the benchmark's data files).
    """

    command: str
    protocol: str
    memory_fingerprint: str | None
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls, path: Path) -> "BenchmarkResults":
        """Read the file `benchmarks.json` of a report.

        Raises:
            ValueError: If it is no such file.
        """
        try:
            return cls.from_record(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{str(path)!r} holds no benchmark results of `comem evaluate` ({type(error).__name__}: {error})."
            ) from error

    @classmethod
    def from_record(cls, found: Mapping[str, Any]) -> "BenchmarkResults":
        """Take the results out of what a file holds; a field that is missing or of another type raises an error."""
        rows = tuple(
            {name: one_line(row[name]) for name in _TEXTS}
            | {name: kind(row[name]) for name, kind in _NUMBERS.items()}
            | {"positions": None if row["positions"] is None else float(row["positions"])}
            | {"sha256": str(row["sha256"])}
            for row in found["results"]
        )
        fingerprint = found["model"]["memory_fingerprint"]
        return cls(
            command=one_line(found["command"]),
            protocol=one_line(found["protocol"]),
            memory_fingerprint=None if fingerprint is None else str(fingerprint),
            rows=rows,
        )

    def entries(self) -> list["EvalResult"]:
        """The scores as the Hub lists them in `model-index`: an entry per benchmark and language, all ways in it."""
        from huggingface_hub import EvalResult

        return [
            EvalResult(
                task_type="visual-question-answering",
                dataset_type=row["benchmark"],
                dataset_name=f"{row['benchmark']} ({row['language']}), {counted(row['questions'], 'question')}",
                dataset_config=row["language"],
                dataset_revision=row["sha256"],
                dataset_args={"protocol": self.protocol, "command": self.command},
                metric_type=re.sub(r"\W+", "_", row["metric"].lower()).strip("_"),
                metric_name=f"{row['metric']}, {row['scorer']} scorer, {way_title(row['way'], row['top_k'])}",
                metric_value=round(row["score"], 2),
                metric_args={
                    "way": row["way"],
                    "top_k": row["top_k"],
                    "scorer": row["scorer"],
                    "interval": [round(row["low"], 2), round(row["high"], 2)],
                },
            )
            for row in self.rows
        ]

    def table(self) -> list[list[str]]:
        """The scores as rows of a card's table: benchmark, way, scorer, score with its interval, prompt positions."""
        return [
            [
                f"{row['benchmark']} ({row['language']}), {counted(row['questions'], 'question')}",
                way_title(row["way"], row["top_k"]),
                f"{row['scorer']}, {row['metric']}",
                f"{row['score']:.2f} [{row['low']:.1f}, {row['high']:.1f}]",
                "" if row["positions"] is None else f"{row['positions']:,.0f}",
            ]
            for row in self.rows
        ]
