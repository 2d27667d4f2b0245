"""Rows in other languages, by a callable of the user's."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.evaluation.asking.predictions_file import PredictionsFile
from comem_hf.synthesis.output.row import Row
from comem_hf.synthesis.questions.draw import draw

from .teacher import predictions_path


Translate = Callable[[list[str], str], Sequence[str]]
"""`translate(texts, language)` returns the texts in that language, in order."""


def load_translator(name: str) -> Translate:
    """Import the callable `translate(texts, language)` that `"module:function"` names.

    Args:
        name (`str`): The name.

    Raises:
        ValueError: If the name has another form, or there is no such callable.
    """
    module, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *function.split(".")]):
        raise ValueError(f"`translator` must be 'module:function', such as 'my_translation:translate', got {name!r}.")
    try:
        found = import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"`translator` {name!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise ValueError(f"`translator` {name!r} is no callable, but {type(found).__name__}.")
    return found


def translated_rows(
    rows: Sequence[Row],
    languages: Sequence[str],
    count: int,
    translate: Translate,
    folder: Path,
    seed: int,
    batch_size: int,
) -> list[Row]:
    """Return some rows in each language: their questions and answers, with the items as they are.

    What a run has translated is kept in its folder, batch by batch, and not translated again.

    Args:
        rows (`Sequence[Row]`): The rows to draw from.
        languages (`Sequence[str]`): The languages.
        count (`int`): Rows of each language.
        translate (`Callable[[list[str], str], Sequence[str]]`): The translator.
        folder (`Path`): Folder of the run.
        seed (`int`): Seed of the drawing.
        batch_size (`int`): Texts that the translator gets at a time.

    Raises:
        ValueError: If the translator returns something else than as many texts that are not empty.
    """
    made = []
    for language in languages:
        chosen = draw(rows, count, seed, f"language {language}", lambda row: row.id)
        texts = {f"{row.id}@{part}": getattr(row, part) for row in chosen for part in ("question", "answer")}
        digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]
        file = PredictionsFile(predictions_path(folder, f"translated.{language}.{digest}"), list(texts))
        missing = [name for name in texts if name not in file.found]
        for start in tqdm(range(0, len(missing), batch_size), desc=f"Translation, {language}", leave=False):
            names = missing[start : start + batch_size]
            found = _checked([texts[name] for name in names], language, translate)
            file.append(Prediction(name, text, (), 0) for name, text in zip(names, found, strict=True))
        if texts:
            file.finish()
        for row in chosen:
            question, answer = (file.found[f"{row.id}@{part}"].prediction for part in ("question", "answer"))
            made.append(replace(row, id=f"{row.id}@{language}", language=language, question=question, answer=answer))
    return made


def _checked(texts: list[str], language: str, translate: Translate) -> list[str]:
    found = translate(list(texts), language)
    if isinstance(found, str) or not isinstance(found, Sequence) or len(found) != len(texts):
        what = (
            f"{len(found)} texts" if isinstance(found, Sequence) and not isinstance(found, str) else repr(found)[:80]
        )
        raise ValueError(f"The translator must return {len(texts)} texts in {language!r}, one for each, got {what}.")
    for text, translated in zip(texts, found, strict=True):
        if not isinstance(translated, str) or not translated.strip():
            raise ValueError(f"The translator gave {translated!r} for {text[:80]!r} in {language!r}, not a text.")
    return list(found)
