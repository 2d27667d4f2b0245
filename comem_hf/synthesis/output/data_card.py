"""The card of a data set: `README.md` of its folder."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from comem_hf.cards.bank_card import size_category
from comem_hf.cards.check import check_card
from comem_hf.cards.generated import mark, one_line
from comem_hf.cards.template import fill_template
from comem_hf.synthesis.settings.source import SourceSettings

from .counts import STEPS


def render_data_card(contents: Mapping[str, Any]) -> str:
    """Return the card of what a synthesis made, marked so that [`is_generated`] recognises it.

    Args:
        contents (`Mapping`): What `synthesis.json` holds.

    Raises:
        ValueError: If the Hub would refuse the card.
    """
    from huggingface_hub import DatasetCardData

    files, counts, settings = contents["files"], contents["counts"], contents["settings"]
    rows = sum(file["rows"] for file in files.values())
    splits = {"train.jsonl": "train", "held_out.jsonl": "test"}
    metadata = DatasetCardData(
        license=settings["license"] or "unknown",
        language=contents["languages"] or None,
        tags=["comem", "memory", "synthetic"],
        task_categories=["visual-question-answering"],
        size_categories=[size_category(rows)],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": splits[name], "path": name} for name in files if files[name]["rows"]],
            }
        ],
    )
    steps = [
        (text, [f"{of_source[step]:,}" for of_source in counts.values()])
        for step, text in STEPS.items()
        if any(of_source[step] for of_source in counts.values())
    ]
    facts = {name: one_line(value) for name, value in contents["made_with"].items()}
    facts |= {
        name.replace("_", " "): one_line(value)
        for name, value in settings.items()
        if name not in ("sources", "license") and value not in (None, [])
    }
    text = fill_template(
        "synthesis.md",
        metadata,
        rows=rows,
        sources=[{"name": source["name"], "what": _what(source)} for source in settings["sources"]],
        names=list(counts),
        steps=steps,
        facts=facts,
        files=[(name, f"{file['rows']:,}", file["sha256"]) for name, file in files.items()],
        images=contents["images"],
    )
    check_card(text, "the card of the data")
    return mark(text)


def _what(source: Mapping[str, Any]) -> str:
    """What a source is, with its settings that are not as usual, and the digests of its files."""
    usual = {field.name: field.default for field in fields(SourceSettings) if field.name not in ("name", "questions")}
    changed = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in source.items()
        if name in usual and (tuple(value) if isinstance(value, list) else value) != usual[name]
    }
    files = [f"`{name}`: sha256 `{digest}`" for name, digest in source["sha256"].items()]
    return "; ".join([*(f"{name.replace('_', ' ')} {one_line(value)}" for name, value in changed.items()), *files])
