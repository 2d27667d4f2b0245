"""Write the memory encoder's training data, in the format that `comem train` reads."""

import json
from pathlib import Path

from tqdm import tqdm

from comem_hf.files.whole_file import write_durably

from .recall import Recall, RecallMaker
from .samples import Sample, SampleMaker


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


def write_rows(path: Path, maker: SampleMaker | RecallMaker, count: int, pictures: str = "pictures") -> None:
    """Write `count` samples as JSONL.

    Args:
        path (`Path`): The file.
        maker (`SampleMaker` or `RecallMaker`): Source of samples, each about one picture (`follow=1`).
        count (`int`): Number of rows.
        pictures (`str`, *optional*, defaults to `"pictures"`): The pool's folder, relative to the file's.
    """

    def write(unfinished: Path) -> None:
        with unfinished.open("w", encoding="utf-8") as file:
            for index in tqdm(range(count), desc=path.name):
                file.write(json.dumps(as_row(maker(index), pictures), ensure_ascii=False) + "\n")

    write_durably(path, write)
