"""Settings of `comem train` from a file and the command line, read by transformers' `HfArgumentParser`."""

import argparse
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from transformers import HfArgumentParser

from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING, MemoryTrainingArguments

from .settings import DataSettings, ModelSettings
from .settings_file import from_folder, read_settings_file


GROUPS = (ModelSettings, DataSettings, MemoryTrainingArguments)
ALIASES = {
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "gradient_accumulation": "gradient_accumulation_steps",
    "gradient_checkpointing": ACTIVATION_CHECKPOINTING,
    "gradient_checkpointing_kwargs": f"{ACTIVATION_CHECKPOINTING}_kwargs",
    "schedule": "lr_scheduler_type",
    "warmup": "warmup_steps",
    "workers": "dataloader_num_workers",
}
"""Other names of settings, in files and on the command line, and the names of the fields."""


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """Read the settings of a run.

    Args:
        words (`Sequence[str]`): The command line: a YAML or JSON file or nothing, then options, which win.

    Returns:
        `dict[str, Any]`: What was given, by the fields of [`GROUPS`].

    Raises:
        ValueError: If the file cannot be read, a name is unknown (the nearest is said), a value has the wrong type, or
            the file gives a setting twice.
    """
    reader, words, given = _Reader(), list(words), {}
    if words and not words[0].startswith("-"):
        path = Path(words.pop(0))
        given = reader.read_file(read_settings_file(path), path)
    return given | reader.read_words(words)


def as_option(name: str) -> str:
    """Return the option of a setting, such as `--eval-data`."""
    return f"--{name.replace('_', '-')}"


class _Reader:
    def __init__(self):
        self.parser = HfArgumentParser(GROUPS, add_help=False, allow_abbrev=False, exit_on_error=False)
        self.fields = {field.name: field for group in GROUPS for field in fields(group) if field.init}

    def read_words(self, words: Sequence[str]) -> dict[str, Any]:
        known, name = [], ""
        for word in words:
            value, values = word, []
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                name = name.replace("-", "_")
                name = ALIASES.get(name, name)
                values = [f"--{name}{equals}{value}"]
            if value.startswith("[") and name in self.fields and _is_list(self.fields[name].type):
                values = [*([f"--{name}"] if word.startswith("--") else []), *_elements(name, value)]
            known += values or [word]
        given, left = self._parse(known, as_option)
        for word in left:
            if word.startswith("--"):
                name = word[2:].partition("=")[0]
                raise ValueError(f"There is no option {as_option(name)}{self._nearest(name, as_option)}")
        if left:
            raise ValueError(
                f"{left[0]!r} belongs to no option; a settings file comes first: `comem train run.yaml --epochs 3`."
            )
        return given

    def read_file(self, values: Mapping[str, Any], path: Path) -> dict[str, Any]:
        given, keys = {}, {}
        for key, value in values.items():
            name = str(key).replace("-", "_")
            name = ALIASES.get(name, name)
            if name not in self.fields:
                raise ValueError(f"{path}: there is no setting {key!r}{self._nearest(name, str)}")
            if name in given:
                raise ValueError(f"{path}: `{name}` is given twice, as {keys[name]!r} and as {key!r}: leave out one.")
            keys[name] = key
            given[name] = from_folder(name, self._check(name, value, path), path.parent)
        return given

    def _check(self, name: str, value: Any, path: Path) -> Any:
        """Return a file's value in the type of its field."""
        if value is None or isinstance(value, Mapping | list):
            return value
        if isinstance(value, bool) and self.fields[name].type not in (bool, bool | None):
            value = "yes" if value else "no"  # `eval_strategy: no` is false in YAML
        given, _ = self._parse([f"--{name}={value}"], lambda name: f"{path}: {name}")
        return given[name]

    def _parse(self, words: list[str], write: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
        nothing = argparse.Namespace(**dict.fromkeys(self.fields))  # instead of the defaults, to know what was given
        try:
            namespace, left = self.parser.parse_known_args(words, nothing)
        except argparse.ArgumentError as error:
            name = (error.argument_name or "").split("/")[0].lstrip("-")
            raise ValueError(f"`{write(name)}`: {error.message}.") from error
        return {name: value for name, value in vars(namespace).items() if value is not None}, left

    def _nearest(self, name: str, write: Callable[[str], str]) -> str:
        found = difflib.get_close_matches(name, [*self.fields, *ALIASES], n=1, cutoff=0.75)
        return f"; did you mean {write(found[0])}?" if found else "; `comem train --help-all` lists all."


def _is_list(kind: Any) -> bool:
    """Whether a field is a list, or one or nothing."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return all(get_origin(each) is list or each is type(None) for each in kinds)


def _elements(name: str, text: str) -> list[str]:
    """Return the elements of a list in JSON, as the words that the parser takes."""
    try:
        elements = json.loads(text)
    except ValueError as error:
        raise ValueError(f"`{as_option(name)}` must be words, or a list in JSON, got {text!r}: {error}.") from error
    return [each if isinstance(each, str) else json.dumps(each) for each in elements]
