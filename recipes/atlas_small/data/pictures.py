"""The pool of training pictures: each motif (a flag, real or invented) in several disturbed variants."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from .countries import Country, flatten
from .flags import colours_of, disturb, invent, recolour


VARIANTS_OF_REAL = 16
NUM_INVENTED = 2400
VARIANTS_OF_INVENTED = 2


@dataclass(frozen=True)
class Motif:
    """A flag in several pictures.

    Args:
        files (`tuple[str, ...]`): Picture files, relative to the pool's folder.
        colours (`tuple[str, ...]`): Its main colours, largest first.
    """

    files: tuple[str, ...]
    colours: tuple[str, ...]


def make_pictures(
    folder: Path,
    train: list[Country],
    flag_dir: Path,
    seed: int = 0,
    *,
    invented: int = NUM_INVENTED,
    variants: int = VARIANTS_OF_INVENTED,
) -> None:
    """Draw the pool once, from flags of training countries, recoloured flags and invented flags.

    Args:
        folder (`Path`): The pool's folder.
        train (`list[Country]`): Countries whose flags may be used, in `VARIANTS_OF_REAL` variants each.
        flag_dir (`Path`): Folder of flags.
        seed (`int`, *optional*, defaults to `0`): Seed of the drawings.
        invented (`int`, *optional*, defaults to `2400`): Number of flags that do not exist, half of them recoloured.
        variants (`int`, *optional*, defaults to `2`): Variants of each of those.
    """
    if (folder / "motifs.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    real = []
    for country in train:
        with Image.open(flag_dir / f"{country.id.lower()}.png") as image:
            real.append(flatten(image))
    drawings = [(image, VARIANTS_OF_REAL) for image in real]
    for i in range(invented):
        drawings.append((recolour(rng.choice(real), rng) if i % 2 else invent(rng), variants))
    motifs = []
    for number, (image, count) in enumerate(tqdm(drawings, desc="Pictures")):
        files = [f"{number:05d}-{variant:02d}.jpg" for variant in range(count)]
        for name in files:
            disturb(image, rng).save(folder / name, quality=95)
        motifs.append({"files": files, "colours": colours_of(image)})
    (folder / "motifs.json").write_text(json.dumps(motifs))


def load_motifs(folder: Path) -> list[Motif]:
    """Load the motifs of a pool written by [`make_pictures`]."""
    rows = json.loads((folder / "motifs.json").read_text())
    return [Motif(tuple(row["files"]), tuple(row["colours"])) for row in rows]
