"""Pictures and questions to start with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from comem_hf.bank import MemoryBank
from comem_hf.modeling.picture_comem import load_image


QUESTIONS = (
    "Which country has this flag?",
    "What is the capital of this country?",
    "What is the currency of this country?",
)


@dataclass(frozen=True)
class Example:
    """A picture to start with.

    Args:
        name (`str`): Text of its button.
        picture (`PIL.Image.Image`): The picture.
    """

    name: str
    picture: Image.Image


def embedded_examples() -> list[Example]:
    """Return the flags in the package, of countries that the embedded model was not trained on."""
    from comem_hf.default import default_path

    names = {"am": "Armenia", "gr": "Greece", "pg": "Papua New Guinea"}
    return [_open(path, names.get(path.stem, path.stem)) for path in sorted(default_path("examples").glob("*.png"))]


def bank_examples(bank: MemoryBank, count: int = 6) -> list[Example]:
    """Return the pictures of the first items that have one, named by the beginning of the items' ids."""
    examples = []
    for item_id in bank.ids[: 10 * count]:
        picture = bank[item_id].load_image()
        if picture is not None:
            examples.append(Example(item_id if len(item_id) <= 24 else f"{item_id[:23]}…", picture))
        if len(examples) == count:
            break
    return examples


def questions_for(embedded: bool) -> Sequence[str]:
    """Return questions to start with, which are about flags only for the embedded bank."""
    return QUESTIONS if embedded else ("What is this?",)


def _open(path: Path, name: str) -> Example:
    return Example(name, load_image(path))
