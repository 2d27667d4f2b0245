"""The pool of training pictures: each motif (a thing, real or invented) in several disturbed variants."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from recipes.atlas_small.data.shared.drawings import Drawings
from recipes.atlas_small.data.shared.photographs import disturb


@dataclass(frozen=True)
class Motif:
    """A thing in several pictures.

    Args:
        files (`tuple[str, ...]`): Picture files, relative to the pool's folder.
        colours (`tuple[str, ...]`): Its main colours, largest first.
        topic (`str`, *optional*, defaults to `"flags"`): Name of its topic.
    """

    files: tuple[str, ...]
    colours: tuple[str, ...]
    topic: str = "flags"


def make_pictures(folder: Path, drawings: Sequence[Drawings], seed: int = 0) -> None:
    """Draw the pool once, topic by topic: what comes later in `drawings` does not change what comes before.

    Args:
        folder (`Path`): The pool's folder.
        drawings (`Sequence[Drawings]`): The pictures of each topic.
        seed (`int`, *optional*, defaults to `0`): Seed of the drawings.
    """
    if (folder / "motifs.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng, motifs = random.Random(seed), []
    for topic in drawings:
        images = [(image, topic.variants_of_real) for image in topic.real]
        images += [(topic.invent(number, rng), topic.variants) for number in range(topic.invented)]
        for image, count in tqdm(images, desc=f"Pictures of {topic.topic}"):
            files = [f"{len(motifs):05d}-{variant:02d}.jpg" for variant in range(count)]
            for name in files:
                disturb(image, rng).save(folder / name, quality=95)
            motifs.append({"files": files, "colours": topic.colours_of(image), "topic": topic.topic})
    (folder / "motifs.json").write_text(json.dumps(motifs))


def load_motifs(folder: Path) -> list[Motif]:
    """Load the motifs of a pool written by [`make_pictures`]; in older pools all are flags."""
    rows = json.loads((folder / "motifs.json").read_text())
    return [Motif(tuple(row["files"]), tuple(row["colours"]), row.get("topic", Motif.topic)) for row in rows]
