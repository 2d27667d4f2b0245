"""What `--overwrite` may replace: a folder that this package wrote and that holds no other files."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

from safetensors import SafetensorError, safe_open

from comem_hf import modeling


CHECKPOINT, MERGED, ADAPTER = "a CoMEM checkpoint", "a merged memory encoder", "an exported adapter"
MERGE_REPORT = "merge.json"
ADAPTER_METADATA = {"format": "pt", "exported_by": "comem_hf"}
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "conversion.json",
    MERGE_REPORT,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "*processor_config.json",
)
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def refuse_unless_replaceable(output: Path, kind: str):
    """Raise a `ValueError` if a folder that is not empty must not be replaced.

    Args:
        output (`pathlib.Path`): The folder.
        kind (`str`): What will be written, and therefore may be replaced: `CHECKPOINT`, `MERGED` or `ADAPTER`.
    """
    if not _IS[kind](output):
        raise ValueError(f"`output` {str(output)!r} does not hold {kind} to replace; choose another folder.")
    known = [*ADAPTER_FILES] if kind == ADAPTER else [*MODEL_FILES]
    if kind == CHECKPOINT:
        # Source files that load it, those of other versions included.
        known += ["*_comem.py", *(path.name for path in Path(modeling.__file__).parent.glob("*.py"))]
    foreign = sorted(
        entry.name
        for entry in output.iterdir()
        if not entry.is_file() or not any(fnmatchcase(entry.name, pattern) for pattern in known)
    )
    if foreign:
        names = ", ".join(foreign[:4]) + (f" and {len(foreign) - 4} more" if len(foreign) > 4 else "")
        raise ValueError(
            f"`output` {str(output)!r} holds {names}, which would not be written here; choose another folder."
        )


def _is_checkpoint(folder: Path) -> bool:
    return _json(folder / "config.json").get("model_type") == modeling.CoMemConfig.model_type


def _is_merged(folder: Path) -> bool:
    return "comem_hf_version" in _json(folder / MERGE_REPORT)


def _is_adapter(folder: Path) -> bool:
    try:
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
            return file.metadata() == ADAPTER_METADATA
    except (OSError, SafetensorError):
        return False


_IS = {CHECKPOINT: _is_checkpoint, MERGED: _is_merged, ADAPTER: _is_adapter}


def _json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
