"""Write the memory encoder's training data, in the format that `comem train` reads."""

import json
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from comem_hf.files.whole_file import write_durably

from .recall import Recall
from .samples import Sample


def as_row(sample: Sample | Recall, pictures: str) -> dict:
    """Turn a sample into a row: a conversation about one picture, and the memory items that hold the answers."""
    turns = [(t.question, t.answer) for t in sample.turns] if isinstance(sample, Recall) else sample.turns
    conversation = []
    for number, (question, answer) in enumerate(turns):
        conversation.append({"from": "human", "value": question if number else f"<image>\n{question}"})
        conversation.append({"from": "gpt", "value": answer})
    return {
        "image": f"{pictures}/{sample.picture}",
        "conversations": conversation,
        "memories": [{"image": f"{pictures}/{item.picture}", "text": item.text} for item in sample.items],
    }


def write_rows(path: Path, maker: Callable[[int], Sample | Recall], count: int, pictures: str = "pictures") -> None:
    """Write `count` samples as JSONL.

    Args:
        path (`Path`): The file.
        maker (`Callable`): Source of samples by their number, such as a `SampleMaker` or a `RecallMaker`; each is
            about one picture (`follow=1`).
        count (`int`): Number of rows.
        pictures (`str`, *optional*, defaults to `"pictures"`): The pool's folder, relative to the file's.
    """

    def write(unfinished: Path) -> None:
        with unfinished.open("w", encoding="utf-8") as file:
            for index in tqdm(range(count), desc=path.name):
                file.write(json.dumps(as_row(maker(index), pictures), ensure_ascii=False) + "\n")

    write_durably(path, write)
