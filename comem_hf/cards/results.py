"""Results of `comem evaluate`, for the card of the measured model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .generated import one_line


if TYPE_CHECKING:
    from huggingface_hub import EvalResult


RESULTS_NAME = "evaluation.json"
METRIC = "exact_match"


def summary(questions: int, top_k: int | None, items: int) -> str:
    """Say how many questions were asked, and how many of a bank's items were retrieved for each, if any."""
    return f"{questions} questions" + ("" if top_k is None else f", top-{top_k} of {items} items")


@dataclass(frozen=True)
class Results:
    """The scores of a model on a file of questions.

    Args:
        title (`str`): Summary of the questions.
        command (`str`): Command that measured the scores.
        questions (`dict`): `{"file": str, "sha256": str}`.
        top_k (`int`, *optional*): Items that were retrieved per question; `None` if nothing was retrieved.
        scores (`tuple[dict, ...]`): For each way, `{"way": str, "exact_match": float, "positions": float}`.
        memory_fingerprint (`str`): Fingerprint of the measured model.
    """

    title: str
    command: str
    questions: Mapping[str, str]
    top_k: int | None
    scores: tuple[Mapping, ...]
    memory_fingerprint: str

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read the file that `comem evaluate --output` wrote.

        Raises:
            ValueError: If it is no such file.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            scores = tuple(
                {"way": one_line(score["way"]), METRIC: float(score[METRIC]), "positions": float(score["positions"])}
                for score in found["scores"]
            )
            questions = {"file": one_line(found["data"]["file"]), "sha256": str(found["data"]["sha256"])}
            top_k = None if found["top_k"] is None else int(found["top_k"])
            title = summary(int(found["questions"]), top_k, int(found["bank"]["items"]))
            fingerprint = str(found["model"]["memory_fingerprint"])
            return cls(title, one_line(found["command"]), questions, top_k, scores, fingerprint)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{str(path)!r} holds no results of `comem evaluate --output` ({type(error).__name__}: {error})."
            ) from error

    def entries(self) -> list["EvalResult"]:
        """The scores as the Hub lists them in `model-index`."""
        from huggingface_hub import EvalResult

        return [
            EvalResult(
                task_type="image-text-to-text",
                dataset_type=Path(self.questions["file"]).stem,
                dataset_name=self.title,
                dataset_revision=self.questions["sha256"],
                dataset_args={**({"top_k": self.top_k} if self.top_k else {}), "command": self.command},
                metric_type=METRIC,
                metric_name=f"exact match, {score['way']}",
                metric_value=round(score[METRIC], 4),
            )
            for score in self.scores
        ]
