"""The embedded default: a small trained model, a memory bank of the world's countries, and held-out questions."""

from importlib.resources import files
from pathlib import Path


DEFAULT_NAME = "atlas-small"
PARTS = ("model", "bank", "questions.jsonl", "examples")


def default_path(part: str, name: str = DEFAULT_NAME) -> Path:
    """Return the path of a part of the embedded default.

    Args:
        part (`str`): `"model"` or `"bank"` (folders), `"questions.jsonl"` (a file), or `"examples"` (a folder of
            pictures).
        name (`str`, *optional*, defaults to `"atlas-small"`): Name of the default.

    Raises:
        ValueError: If `part` is none of these, or the installation lacks it.
    """
    if part not in PARTS:
        raise ValueError(f"`part` must be one of {PARTS}, got {part!r}.")
    path = Path(str(files(__name__))) / name / part
    if not path.exists():
        raise ValueError(
            f"The embedded default {name!r} has no {part!r} in this installation: {str(path)!r} is missing."
        )
    return path
