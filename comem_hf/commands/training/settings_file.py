"""Files of settings for `comem train`: read, with the paths in them, and written beside a result."""

import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from transformers import TrainerCallback

from comem_hf.files.whole_file import write_durably
from comem_hf.files.yaml_problem import yaml_problem


SETTINGS_FILE = "training_config.yaml"
# Settings that may be paths, or else names on the Hub or settings themselves.
_PATHS = ("model", "reader", "data", "eval_data", "deepspeed", "fsdp_config", "accelerator_config")
_DATA_FILES = (".jsonl", ".json", ".parquet")


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file of settings.

    Args:
        path (`Path`): The file.

    Returns:
        `dict[str, Any]`: Its values by the names that it has.

    Raises:
        ValueError: If the file is missing or holds no settings.
    """
    if not path.is_file():
        raise ValueError(f"There is no settings file {str(path)!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(yaml_problem(path, error)) from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold settings, `name: value` on each line, got {type(values).__name__}.")
    return values


def from_folder(name: str, value: Any, folder: Path) -> Any:
    """Return a value of a settings file whose relative path, if it is one, starts from the file's folder.

    Args:
        name (`str`): The setting.
        value (`Any`): Its value.
        folder (`Path`): The file's folder.
    """
    if not isinstance(value, str) or name not in ("output_dir", *_PATHS):
        return value
    path = folder / Path(value).expanduser()
    is_file = name in ("data", "eval_data") and path.suffix in _DATA_FILES
    return str(path) if name == "output_dir" or is_file or path.exists() else value


class SettingsFile(TrainerCallback):
    """Writes the settings of a run into its output folder when it begins.

    `comem train` with that file goes on with the run if it was interrupted; with another `--output-dir` it repeats it.

    Args:
        settings (`Mapping[str, Any]`): The settings by name.
    """

    def __init__(self, settings: Mapping[str, Any]):
        self.settings = settings

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            folder = Path(args.output_dir)
            text = settings_text(self.settings, folder)
            write_durably(folder / SETTINGS_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def settings_text(settings: Mapping[str, Any], folder: Path, without: Iterable[str] = ("hub_token",)) -> str:
    """Write settings as YAML.

    Args:
        settings (`Mapping[str, Any]`): The settings by name.
        folder (`Path`): The folder that paths start from.
        without (`Iterable[str]`, *optional*, defaults to `("hub_token",)`): Settings that are left out.
    """
    values = {name: value for name, value in settings.items() if name not in without}
    for name in _PATHS:
        if isinstance(values.get(name), str) and os.path.exists(values[name]):
            values[name] = os.path.relpath(values[name], folder)
    values["output_dir"] = "."
    text = yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True)
    return f"# Settings of a run of `comem train`, by comem_hf {version('comem_hf')}.\n{text}"
