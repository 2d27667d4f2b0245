"""From questions, pictures and a bank to training data."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers.utils import logging

from comem_hf.bank import MemoryBank
from comem_hf.cards.licenses import check_license
from comem_hf.default import DEFAULT_NAME, default_path
from comem_hf.evaluation.asking.digests import digest_of_bank, digest_of_model
from comem_hf.evaluation.asking.processes import Processes
from comem_hf.evaluation.asking.run import RUN_NAME, joined_settings
from comem_hf.files.whole_file import write_durably
from comem_hf.modeling.local_paths_comem import public_name
from comem_hf.synthesis.answers.teacher import Teacher
from comem_hf.synthesis.answers.translation import Translate, load_translator, translated_rows
from comem_hf.synthesis.output.counts import STEPS
from comem_hf.synthesis.output.row import Row
from comem_hf.synthesis.output.write import write_result
from comem_hf.synthesis.questions.pictures import encoded_picture
from comem_hf.synthesis.settings.settings import SynthesisSettings

from .gather import Gathered, gather
from .made import made_rows


logger = logging.get_logger(__name__)

# What the answers do not depend on: a run with other values of these goes on with the answers that it has.
_AFTER_THE_ANSWERS = {
    "output",
    "model",
    "bank",
    "data",
    "only_found",
    "shuffle_items",
    "max_missing",
    "languages",
    "per_language",
    "translate_from",
    "translator",
    "license",
    "sources",
}


def synthesize(
    model: Any,
    processor: Any,
    bank: MemoryBank,
    settings: SynthesisSettings,
    *,
    translate: Translate | None = None,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Make training data: retrieve, answer by the backbone with the items in its prompt, keep what is right, write.

    The folder of the result has `train.jsonl` and `held_out.jsonl` (rows for `comem train`; those about a known item
    for `comem evaluate --questions`, too), their pictures in `images`, a data card `README.md`, and, written last,
    `synthesis.json`. The same call goes on with an interrupted run; the same model, bank, questions and settings give
    the same bytes, however often it was interrupted and by however many processes it was made.

    Args:
        model (`CoMemForConditionalGeneration`): The model that answers; its memory is not used.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): The bank, which can be searched (see [`MemoryBank.attach`]).
        settings ([`SynthesisSettings`]): What to make.
        translate (`Callable[[list[str], str], Sequence[str]]`, *optional*): Translates texts into a language, and
            keeps their order; by default what `settings.translator` names.
        processes ([`Processes`], *optional*): The processes that share the answering; this one alone if not given.

    Returns:
        `dict`: What `synthesis.json` holds: settings, counts of each step, and SHA-256 of the files. In processes but
        the first it has the counts alone.

    Raises:
        ValueError: If a file or setting is not valid, too many pictures are missing, an entity is on both sides of the
            split, the folder holds another run, or no row to train on is left.
    """
    processes = processes or Processes()
    check_license(settings.license)
    _check_folder(settings.output)
    if settings.languages and translate is None:
        if settings.translator is None:
            raise ValueError("`languages` need a `translator`: a callable `translate(texts, language)`.")
        translate = load_translator(settings.translator)
    gathered = gather(model, processor, bank, settings)
    made_with = _made_with(model, bank, settings)
    if processes.index == 0:
        _begin(settings, gathered, made_with, model)
    processes.wait()
    held_out = {each.item_id or each.entity for one in gathered for each in one.candidates if each.side == "held_out"}
    teacher = Teacher(model, processor, settings, processes)
    rows = [row for one in gathered for row in made_rows(one, teacher, bank, held_out)]
    counts = {one.source.name: one.counts for one in gathered}
    if not any(row.side == "train" for row in rows):
        raise ValueError(_nothing_left(counts, settings.output))
    result = {"counts": counts}
    if processes.index == 0:
        rows += _translated(rows, settings, translate, gathered)
        questions = {each.id: each.question for one in gathered for each in one.candidates}
        record = {
            "made_with": made_with,
            "settings": _shown(settings, gathered),
            "languages": list(dict.fromkeys(row.language for row in rows)),
            "counts": counts,
        }
        result = write_result(
            settings.output, rows, bank, lambda question_id: encoded_picture(questions[question_id]), record
        )
        for one in gathered:
            if one.source.count is not None and one.counts["train"] < one.source.count:
                logger.warning(
                    f"Source {one.source.name!r} gave {one.counts['train']} rows, fewer than its `count` "
                    f"{one.source.count}."
                )
    processes.wait()
    return result


def _check_folder(folder: Path) -> None:
    """Refuse a folder with anything but a run, before the work."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`output` must be a folder or not exist, got {str(folder)!r}.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RUN_NAME).is_file():
        raise ValueError(f"`output` {str(folder)!r} holds other files; choose a new folder.")


def _begin(settings: SynthesisSettings, gathered: Sequence[Gathered], made_with: dict[str, Any], model: Any) -> None:
    """Write down what the answers depend on; refuse a folder of another run."""
    depends_on = {name: value for name, value in asdict(settings).items() if name not in _AFTER_THE_ANSWERS}
    questions = [
        (each.id, each.side, each.picture, each.question.question, one.source.prompt)
        for one in gathered
        for each in one.candidates
    ]
    now = {
        **made_with,
        "weights": digest_of_model(model),
        "device": f"{model.device.type}, {str(model.dtype).removeprefix('torch.')}",
        **depends_on,
        "questions": hashlib.sha256(repr(questions).encode()).hexdigest(),
        "data": {},
    }
    joined = joined_settings(settings.output, now)
    settings.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(joined, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_durably(settings.output / RUN_NAME, lambda path: path.write_text(text, encoding="utf-8"))


def _made_with(model: Any, bank: MemoryBank, settings: SynthesisSettings) -> dict[str, Any]:
    """Model, bank and versions, by names without paths."""
    name = model.config.name_or_path or model.config.backbone_name_or_path or "a model without a name"
    return {
        "model": _public(name, "model"),
        "bank": _public(settings.bank or str(bank.folder), "bank"),
        "bank fingerprint": bank.config.memory_fingerprint,
        "bank items": len(bank),
        "bank digest": digest_of_bank(bank),
        "bank embedder": bank.config.embedder["type"],
        **{f"version of {package}": version(package) for package in ("comem_hf", "torch", "transformers", "pillow")},
    }


def _public(name: str, part: str) -> str:
    return f"{DEFAULT_NAME}, embedded in comem_hf" if Path(name) == default_path(part) else public_name(name)


def _shown(settings: SynthesisSettings, gathered: Sequence[Gathered]) -> dict[str, Any]:
    """The settings as they are recorded: without paths of this machine, with digests of the files."""
    left_out = ("output", "sources", "model", "bank")  # places; `_made_with` has the names
    shown = {name: _plain(value) for name, value in asdict(settings).items() if name not in left_out}
    shown["sources"] = [
        {**{name: _plain(value) for name, value in asdict(one.source).items()}, "sha256": one.digests}
        for one in gathered
    ]
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    return list(value) if isinstance(value, tuple) else value


def _translated(
    rows: Sequence[Row], settings: SynthesisSettings, translate: Translate | None, gathered: Sequence[Gathered]
) -> list[Row]:
    sources = settings.translate_from or [source.name for source in settings.sources]
    from_rows = [row for row in rows if row.side == "train" and row.source in sources]
    made = translated_rows(
        from_rows,
        settings.languages,
        settings.per_language,
        translate,
        settings.output,
        settings.seed,
        settings.batch_size,
    )
    for one in gathered:
        one.counts.add("translated", sum(row.source == one.source.name for row in made))
    return made


def _nothing_left(counts: dict[str, dict[str, int]], folder: Path) -> str:
    of_all = {step: sum(steps[step] for steps in counts.values()) for step in STEPS}
    if not of_all["train_questions"]:
        return (
            f"No row to train on is left: none of {of_all['answered']} answered questions is to train on, as all are "
            "held out: lower `held_out`, or ask about more entities."
        )
    return (
        f"No row to train on is left: of {of_all['train_questions']} questions to train on that were answered, "
        f"{of_all['wrong']} were answered wrong, and the true item of {of_all['not_found']} was not found. "
        f"Look at {str(folder / 'predictions')!r}; another `scorer` or a lower `min_score` of a source, "
        "or another `model`, may keep more."
    )
