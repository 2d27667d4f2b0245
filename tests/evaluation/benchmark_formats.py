"""Small made-up files in the published forms of the benchmarks, and how to spoil copies of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path


FORMATS = Path(__file__).parents[1] / "golden/benchmarks/formats"


def copied(name: str, folder: Path) -> Path:
    """A copy of the files of a benchmark that may be changed."""
    shutil.copytree(FORMATS / name, folder / name)
    return folder / name


def change_line(path: Path, number: int, change: Callable[[dict], object]) -> None:
    """Change the object in a line of a JSONL file, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[number - 1])
    change(row)
    lines[number - 1] = json.dumps(row, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def change_json(path: Path, change: Callable[[object], object]) -> None:
    """Change what is in a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
