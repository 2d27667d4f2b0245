"""The list of all settings of `comem train`, made of the docstrings and defaults of their classes."""

import inspect
import re
import shutil
import textwrap
from dataclasses import MISSING, Field, fields
from enum import Enum

from transformers import TrainingArguments

from .options import ALIASES, GROUPS, as_option


_ENTRY = re.compile(r"^ {8}(\w+) \([^\n]*?\): (.*(?:\n {12,}.*)*)", re.MULTILINE)


OF_A_SAMPLE = ("max_memories", "min_memories", "shuffle_memories", "nested_memory_lengths", "max_length")
OF_OBJECTIVES = ("distillation_weight", "reconstruction_weight", "contrastive_weight", "contrastive_temperature")
OF_OBJECTIVES += ("contrastive_layer", "muon_learning_rate")
OF_EVALUATION = ("max_eval_samples", "eval_max_new_tokens", "early_stopping_patience", "early_stopping_threshold")
OWN = {
    "Items of a sample, and their vectors": OF_A_SAMPLE,
    "Objectives, and the optimizer of the resampler": OF_OBJECTIVES,
    "Evaluation": OF_EVALUATION,
}
"""Fields that [`MemoryTrainingArguments`] has and `TrainingArguments` has not, by headings."""


def list_settings() -> str:
    """Return all settings, ours first, each with its default and what it is for."""
    width = min(shutil.get_terminal_size().columns, 120)
    meanings = {name: " ".join(text.split()) for group in GROUPS for name, text in _ENTRY.findall(group.__doc__)}
    lines = []
    for heading, listed in _sections():
        lines += ["", *_wrapped(heading, width, 0), ""]
        for field in listed:
            text = (meanings.get(field.name) or _help_of_transformers(field.name)).replace("`", "")
            lines += [*_wrapped(_head(field), width, 2), *_wrapped(text, width, 6)]
    return "\n".join(lines[1:])


def _sections() -> list[tuple[str, list[Field]]]:
    """Return headings and the fields below them."""
    found = [field for group in GROUPS for field in fields(group)]
    by_name = {field.name: field for field in found if ALIASES.get(field.name, field.name) == field.name}
    sections = [(_summary(group), list(fields(group))) for group in GROUPS[:-1]]
    sections += [(heading, [by_name[name] for name in names]) for heading, names in OWN.items()]
    listed = {field.name for _, section in sections for field in section}
    return [*sections, (_summary(GROUPS[-1]), [field for name, field in by_name.items() if name not in listed])]


def _summary(group: type) -> str:
    return inspect.cleandoc(group.__doc__).partition("\n")[0].replace("`", "")


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    """Return lines in which no name of an option is cut at a hyphen."""
    space = " " * indent
    whole = {"break_on_hyphens": False, "break_long_words": False}
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space, **whole)


def _head(field: Field) -> str:
    names = [field.name, *(alias for alias, name in ALIASES.items() if name == field.name)]
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    default = default.value if isinstance(default, Enum) else default
    shown = "" if default is None or default is MISSING or default == "" else f" [{default}]"
    return ", ".join(map(as_option, names)) + shown


def _help_of_transformers(name: str) -> str:
    helps = {field.name: field.metadata.get("help", "") for field in fields(TrainingArguments)}
    return helps[name].replace("%%", "%")
