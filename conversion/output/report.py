"""The report of a conversion."""

import json
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


REPORT_NAME = "conversion.json"


@dataclass
class ConversionReport:
    """The report of a conversion, which is also saved as `conversion.json` in the output.

    Args:
        output (`pathlib.Path`): The folder written.
        layout (`str`): Layout of the source: `"full merged"`, `"merged without inference copy"` or `"adapter"`, and
            `", text-only reader"` after that if there is one.
        encoder (`str`): `"adapter"` or `"separate"`.
        num_tensors (`int`): Tensors written.
        rank (`int`, *optional*): Rank of the adapter; `None` with `encoder="separate"`.
        errors (`dict[str, float]`): By layer, the Frobenius norm of the part that the recovered adapter leaves out,
            relative to the layer's change. Names of the reader's layers start with `reader.`. Empty if nothing had to
            be recovered.
        noise (`dict[str, float]`): By layer, the part of the error that rounding the weights can explain.
        has_processor (`bool`): Whether there were tokenizer files, so that the output has a processor.
        reader_trained (`bool`, *optional*): Whether the training changed the reader, too; `None` if nobody can tell.
        reader_rank (`int`, *optional*): Rank of the reader adapter; `None` if there is none. Of a text-only reader,
            whose change is merged, that of the change, if it is known.
        notes (`list[str]`): Sentences about settings that were assumed because the files do not contain them, and
            about the reader.
    """

    output: Path
    layout: str
    encoder: str
    num_tensors: int = 0
    rank: int | None = None
    errors: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    has_processor: bool = False
    reader_trained: bool | None = None
    reader_rank: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def max_error(self) -> float:
        """Largest relative error of a recovered layer."""
        return max(self.errors.values(), default=0.0)

    @property
    def worst_layer(self) -> str | None:
        """The layer with the largest error; `None` if nothing had to be recovered."""
        return max(self.errors, key=self.errors.get, default=None)

    def save(self, folder: Path, **more: Any):
        """Write `conversion.json`."""
        content = {
            "layout": self.layout,
            "encoder": self.encoder,
            "rank": self.rank,
            "reader_trained": self.reader_trained,
            "reader_rank": self.reader_rank,
            "max_error": self.max_error,
            "notes": self.notes,
            "layers": {layer: {"error": error, "noise": self.noise[layer]} for layer, error in self.errors.items()},
        }
        write_report(folder / REPORT_NAME, {**more, **content})


def write_report(path: Path, content: dict[str, Any]):
    """Write a JSON file with the version of this package that made the files beside it."""
    content = {"comem_hf_version": _own_version(), **content}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _own_version() -> str | None:
    try:
        return version("comem_hf")
    except PackageNotFoundError:
        return None
