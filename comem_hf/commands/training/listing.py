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


def list_settings() -> str:
    """Return all settings, each with its default and what it is for."""
    width = min(shutil.get_terminal_size().columns, 120)
    lines = []
    for group in GROUPS:
        lines += ["", inspect.cleandoc(group.__doc__).partition("\n")[0], ""]
        meanings = {name: " ".join(text.split()) for name, text in _ENTRY.findall(group.__doc__)}
        for field in fields(group):
            if ALIASES.get(field.name, field.name) == field.name:  # else it stands with its new name
                lines.append(f"  {_head(field)}")
                text = (meanings.get(field.name) or _help_of_transformers(field.name)).replace("`", "")
                lines += textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines[1:])


def _head(field: Field) -> str:
    names = [field.name, *(alias for alias, name in ALIASES.items() if name == field.name)]
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    default = default.value if isinstance(default, Enum) else default
    shown = "" if default is None or default is MISSING or default == "" else f"  [{default}]"
    return ", ".join(map(as_option, names)) + shown


def _help_of_transformers(name: str) -> str:
    helps = {field.name: field.metadata.get("help", "") for field in fields(TrainingArguments)}
    return helps[name].replace("%%", "%")
