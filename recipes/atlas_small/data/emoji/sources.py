"""Fetch the emoji: names and groups of `emojibase-data` (MIT), pictures of `@iconify-json/noto` (Apache-2.0)."""

import json
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from comem_hf.files.whole_folder import whole_folder
from recipes.atlas_small.data.shared.npm import fetch_package

from .emoji import LANGUAGES, choose_emoji
from .rendering import render


NAMES = ("emojibase-data@17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a")
PICTURES = ("@iconify-json/noto@1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad")


def fetch_emoji(folder: Path) -> Path:
    """Download both packages, choose the emoji and draw their pictures, once; needs `npm`.

    Args:
        folder (`Path`): Folder in which `emoji` is made.

    Returns:
        `Path`: The folder of `facts.json` and of PNG files named by lower-case id.

    Raises:
        RuntimeError: If `npm` fails or sends other files than the pinned ones.
    """
    result = folder / "emoji"
    if result.is_dir():
        return result
    names, pictures = fetch_package(*NAMES, folder), fetch_package(*PICTURES, folder)
    languages = {code: json.loads(names[f"{code}/data.json"]) for code in LANGUAGES.values()}
    write_emoji(
        result,
        languages,
        json.loads(names["meta/groups.json"]),
        json.loads(pictures["icons.json"]),
        json.loads(pictures["chars.json"]),
    )
    return result


def write_emoji(folder: Path, languages: dict, names: dict, icons: dict, characters: dict[str, str]) -> None:
    """Write the facts and pictures of the chosen emoji that have an icon.

    Args:
        folder (`Path`): The folder that is made.
        languages (`dict`): Entries of `emojibase-data` by language.
        names (`dict`): Its `meta/groups.json`.
        icons (`dict`): The icon set.
        characters (`dict[str, str]`): Its `chars.json`: names of icons by code points.
    """
    with whole_folder(folder, "folder") as unfinished:
        facts = []
        for emoji in tqdm(choose_emoji(languages, names), desc="Emoji"):
            icon = characters.get("-".join(code for code in emoji.id.lower().split("-") if code != "fe0f"))
            if icon in icons["icons"]:
                render(icons, icon).save(unfinished / f"{emoji.id.lower()}.png", optimize=True)
                facts.append(asdict(emoji))
        text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
        (unfinished / "facts.json").write_text(text, encoding="utf-8")
