"""Predictions on disk: lines that are written as answers come, so that a run can go on where it was interrupted."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from comem_hf.files.whole_file import write_durably

from .prediction import Prediction


class PredictionsFile:
    """The predictions of one way to one benchmark, as JSONL.

    While a run goes on, each of its processes appends to a part of its own, `NAME.part0.jsonl`; when all questions are
    answered, the parts become `NAME.jsonl`, in the order of the questions.

    Args:
        path (`Path`): The file `NAME.jsonl`.
        ids (`Sequence[str]`): Ids of all questions, in order.
        process (`int`, *optional*, defaults to `0`): Number of this process.

    Raises:
        ValueError: If a line is no prediction, has the id of no question, or answers a question a second time.
    """

    def __init__(self, path: Path, ids: Sequence[str], process: int = 0):
        self.path = path
        self.ids = list(ids)
        self.part = path.with_suffix(f".part{process}.jsonl")
        self.found: dict[str, Prediction] = {}
        self._was_cut = False
        self.read()

    def read(self) -> None:
        """Read what this and other processes have written."""
        known, self.found = set(self.ids), {}
        places: dict[str, str] = {}
        for file in [self.path, *self._parts()]:
            if not file.exists():
                continue
            for number, line in enumerate(_whole_lines(file), start=1):
                place = f"line {number} of {str(file)!r}"
                prediction = _prediction_of(line, place)
                if prediction.id not in known:
                    raise ValueError(
                        f"{place[0].upper()}{place[1:]} answers {prediction.id!r}, which is no question of this run: "
                        "it is of another run, or of more questions than are asked now; choose another output folder."
                    )
                # A process that ends while parts become one file leaves both.
                if self.found.setdefault(prediction.id, prediction) != prediction:
                    raise ValueError(
                        f"{place[0].upper()}{place[1:]} answers {prediction.id!r} a second time, first in "
                        f"{places[prediction.id]}: delete one of them."
                    )
                places.setdefault(prediction.id, place)

    def append(self, predictions: Iterable[Prediction]) -> None:
        """Write predictions that are not there yet, and force them to disk."""
        new = [prediction for prediction in predictions if prediction.id not in self.found]
        self.part.parent.mkdir(parents=True, exist_ok=True)
        if not self._was_cut:  # only an earlier process can have left one
            _cut_unfinished_line(self.part)
            self._was_cut = True
        with open(self.part, "a", encoding="utf-8") as file:
            file.writelines(_line_of(prediction) for prediction in new)
            file.flush()
            os.fsync(file.fileno())
        self.found |= {prediction.id: prediction for prediction in new}

    def finish(self) -> tuple[Prediction, ...]:
        """Put all parts into the one file, and return its predictions in the order of the questions.

        Raises:
            ValueError: If a question was not answered.
        """
        self.read()
        missing = [question_id for question_id in self.ids if question_id not in self.found]
        if missing:
            raise ValueError(
                f"{str(self.path)!r} lacks {len(missing)} of {len(self.ids)} answers, first {missing[0]!r}."
            )
        predictions = tuple(self.found[question_id] for question_id in self.ids)
        parts = self._parts()
        if parts:  # without any, the one file is whole
            text = "".join(map(_line_of, predictions))
            write_durably(self.path, lambda place: place.write_text(text, encoding="utf-8"))
        for part in parts:
            part.unlink()
        return predictions

    def _parts(self) -> list[Path]:
        name = self.path.name.removesuffix(".jsonl")
        return sorted(self.path.parent.glob(f"{name}.part*.jsonl"))


def _line_of(prediction: Prediction) -> str:
    return json.dumps(asdict(prediction), ensure_ascii=False) + "\n"


def _prediction_of(line: str, place: str) -> Prediction:
    try:
        row = json.loads(line)
        prediction = Prediction(**{**row, "items": tuple(row["items"])})
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        names = [field.name for field in fields(Prediction)]
        raise ValueError(
            f"{place[0].upper()}{place[1:]} is no prediction: it must be a JSON object with {names} "
            f"({type(error).__name__}: {error})."
        ) from error
    return prediction


def _whole_lines(file: Path) -> list[str]:
    """The lines that were written to their end."""
    return [line for line in file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if line.strip()]


def _cut_unfinished_line(file: Path) -> None:
    """Remove what a process that was killed left of its last line."""
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(file, "rb+") as opened:
            opened.truncate(whole)
