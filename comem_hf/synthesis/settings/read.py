"""Settings from a YAML file; a key that does not exist is refused, and the nearest one named."""

from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from comem_hf.files.yaml_problem import yaml_problem

from .known_keys import refuse_unknown_keys
from .settings import SynthesisSettings
from .source import SourceSettings


_PATHS = {"output", "data", "questions"}
_FOLDERS_OR_IDS = {"model", "bank"}
_LISTS = {"languages", "translate_from", "kinds"}


def shipped_mixtures() -> dict[str, Path]:
    """Return the mixtures that the package carries, by name."""
    folder = Path(str(files("comem_hf.synthesis"))) / "mixtures"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_settings(path: str | Path | None, **given: Any) -> SynthesisSettings:
    """Read the settings of a synthesis.

    Args:
        path (`str` or `Path`, *optional*): A YAML file, or the name of a shipped mixture. Paths in it start from its
            folder; those of a shipped mixture, from its `data`.
        **given: Settings that replace those of the file; `None` replaces nothing. Paths start from here.

    Raises:
        ValueError: If the file cannot be read, or a key or value is not known.
    """
    content: dict[str, Any] = {}
    folder = Path()
    given = {name: value for name, value in given.items() if value is not None}
    if path is not None:
        shipped = shipped_mixtures().get(str(path))
        content = _load(shipped or Path(path))
        _check_known(content, SynthesisSettings, f"the settings of a synthesis in {str(path)!r}")
        sources = content.get("sources")
        for number, source in enumerate(sources if isinstance(sources, list) else (), start=1):
            if isinstance(source, Mapping):  # else `settings_of` refuses it
                _check_known(source, SourceSettings, f"source {number} in {str(path)!r}")
        folder = Path(given.get("data", ".")) if shipped else Path(path).parent
    return settings_of({**_placed(content, folder), **given})


def settings_of(content: Mapping[str, Any]) -> SynthesisSettings:
    """Make settings of plain values, as a YAML file has them.

    Raises:
        ValueError: If a key or value is not known; the nearest known key is named.
    """
    check_keys(content, SynthesisSettings, "the settings of a synthesis")
    sources = content.get("sources")
    if not isinstance(sources, (list, tuple)):
        raise ValueError(f"`sources` must be a list of sources, got {sources!r}.")
    made = []
    for number, source in enumerate(sources, start=1):
        if isinstance(source, SourceSettings):
            made.append(source)
            continue
        if not isinstance(source, Mapping):
            raise ValueError(f"Source {number} must be a mapping of settings, got {source!r}.")
        check_keys(source, SourceSettings, f"source {number}")
        made.append(SourceSettings(**_typed(source)))
    return SynthesisSettings(**{**_typed(content), "sources": tuple(made)})


def check_keys(content: Mapping[str, Any], kind: type, what: str) -> None:
    """Refuse keys that are no field of a dataclass, and missing ones.

    Raises:
        ValueError: Naming the key, and the nearest field.
    """
    _check_known(content, kind, what)
    needed = {SynthesisSettings: ("output", "sources"), SourceSettings: ("name",)}.get(kind, ())
    missing = [name for name in needed if content.get(name) is None]
    if missing:
        raise ValueError(f"`{missing[0]}` is missing in {what}.")


def _check_known(content: Mapping[str, Any], kind: type, what: str) -> None:
    refuse_unknown_keys(content, [field.name for field in fields(kind)], what)


def _load(path: Path) -> dict[str, Any]:
    from yaml import YAMLError, safe_load

    try:
        content = safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        names = ", ".join(shipped_mixtures())
        raise ValueError(f"There is no file {str(path)!r}; mixtures that are shipped: {names}.") from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ValueError(yaml_problem(path, error)) from error
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} must be a mapping of settings, got {type(content).__name__}.")
    return content


def _placed(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same settings with their paths from the folder of the file."""

    def is_path(name: str, value: Any) -> bool:
        return isinstance(value, str) and (name in _PATHS or name in _FOLDERS_OR_IDS and (folder / value).is_dir())

    placed = {name: str(folder / value) if is_path(name, value) else value for name, value in content.items()}
    if isinstance(placed.get("sources"), list):
        placed["sources"] = [
            _placed(source, folder) if isinstance(source, Mapping) else source for source in placed["sources"]
        ]
    return placed


def _typed(content: Mapping[str, Any]) -> dict[str, Any]:
    typed = dict(content)
    for name, value in content.items():
        if value is None:
            del typed[name]  # YAML's way to leave it out
        elif name in _PATHS:
            if not isinstance(value, (str, Path)):
                raise ValueError(f"`{name}` must be a path, got {value!r}.")
            typed[name] = Path(value)
        elif name in _LISTS:
            if isinstance(value, str) or not isinstance(value, (list, tuple)):
                raise ValueError(f"`{name}` must be a list, got {value!r}.")
            typed[name] = tuple(value)
    return typed
