"""The Hub's rules for the metadata of a card, as far as they can be checked without the Hub."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .licenses import LICENSES


RELATIONS = ("adapter", "finetune", "merge", "quantized")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|code|multilingual")
_TASK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_card(path: Path) -> str | None:
    """The text of a card, `None` if there is none.

    Raises:
        ValueError: If the file is not text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ValueError(f"The card {str(path)!r} is not text in UTF-8.") from error


def check_card(text: str, source: str) -> None:
    """Refuse a card that the Hub would refuse, before anything is uploaded.

    Args:
        text (`str`): The card: metadata between two lines `---`, then Markdown.
        source (`str`): Its name in the message.

    Raises:
        ValueError: If the metadata is not YAML, or a field has no valid value; the message names the field.
    """
    from huggingface_hub import ModelCardData
    from huggingface_hub.repocard import REGEX_YAML_BLOCK
    from yaml import YAMLError, safe_load

    block = REGEX_YAML_BLOCK.search(text)
    if block is None:
        if text.lstrip().startswith("---"):
            raise ValueError(f"The metadata of {source} has no end: add a second line of `---` below the YAML.")
        return  # a plain text, which the Hub accepts
    try:
        metadata = safe_load(block[2])
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f" in line {block[1].count(chr(10)) + place.line + 1}" if place else ""
        raise ValueError(
            f"The metadata of {source} is not valid YAML{line}: {getattr(error, 'problem', None) or error}."
        ) from error
    if not isinstance(metadata, dict):
        raise ValueError(f"The metadata of {source} must be a mapping of fields, got {metadata!r}.")
    problem = next(_problems(metadata), None)
    if problem is not None:
        raise ValueError(f"The metadata of {source} is not valid: {problem}.")
    try:
        ModelCardData(**metadata)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The metadata of {source} is not valid: {error}.") from error


def _problems(metadata: dict[str, Any]) -> Iterator[str]:
    from comem_hf.modeling.local_paths_comem import is_repository_id

    for license in _listed(metadata.get("license")):
        if not isinstance(license, str) or license not in LICENSES:
            yield (
                f"`license` {license!r} is not an identifier of the Hub, such as 'apache-2.0'; for any other licence "
                "give 'other' and a `license_name`"
            )
        if license == "other" and not metadata.get("license_name"):
            yield "`license` 'other' needs a `license_name`"
    is_repository = partial(is_repository_id, allow_without_owner=True)
    for field, is_valid, example in (
        ("language", _LANGUAGE.fullmatch, "an ISO 639 code such as 'en'"),
        ("base_model", is_repository, "a repository"),
        ("datasets", is_repository, "a repository"),
        ("pipeline_tag", _TASK.fullmatch, "a task such as 'image-text-to-text'"),
        ("tags", bool, "a text"),
    ):
        for value in _listed(metadata.get(field)):
            if not isinstance(value, str) or not is_valid(value):
                yield f"`{field}` must hold {example}, got {value!r}"
    relation = metadata.get("base_model_relation")
    if relation is not None and relation not in RELATIONS:
        yield f"`base_model_relation` must be one of {', '.join(RELATIONS)}, got {relation!r}"
    yield from _problems_of_index(metadata.get("model-index"))


def _problems_of_index(index: Any) -> Iterator[str]:
    for model in _listed(index):
        if not isinstance(model, dict) or not model.get("name"):
            yield f"an entry of `model-index` must have a `name`, got {model!r}"
            return
        for result in _listed(model.get("results")) or [None]:
            for part, fields in (("task", ("type",)), ("dataset", ("type", "name"))):
                described = result.get(part) if isinstance(result, dict) else None
                if not isinstance(described, dict) or not all(described.get(field) for field in fields):
                    yield f"a result in `model-index` must have a `{part}` with {' and '.join(fields)}"
                    return
            for metric in _listed(result.get("metrics")) or [None]:
                if not isinstance(metric, dict) or not metric.get("type") or metric.get("value") is None:
                    yield f"a metric in `model-index` must have a `type` and a `value`, got {metric!r}"
                    return


def _listed(value: Any) -> list:
    return [] if value is None else value if isinstance(value, list) else [value]
