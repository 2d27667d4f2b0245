"""Flags and pictures for the recipes: no npm is called, and not thousands of pictures are drawn."""

import json
from pathlib import Path

import pytest

from comem_hf import MemoryBank
from comem_hf.default import default_path


def lay_out(work: Path) -> Path:
    """Put the flags that the package ships, and a handful of pictures, where a recipe looks for them."""
    pictures = work / "pictures"
    for folder in (work / "flags", pictures):
        folder.mkdir()
    bank = MemoryBank.from_pretrained(default_path("bank"))
    for item_id in bank.ids[::3]:  # a recipe compares each flag with each other one
        bank[item_id].load_image().save(work / "flags" / f"{item_id.lower()}.png")
    for item_id in ("GR", "AM", "IT"):
        for number in range(2):
            bank[item_id].load_image().save(pictures / f"{item_id}-{number}.jpg")
    motifs = [{"files": [f"{name}-0.jpg", f"{name}-1.jpg"], "colours": ["blue"]} for name in ("GR", "AM", "IT")]
    (pictures / "motifs.json").write_text(json.dumps(motifs))
    return work


@pytest.fixture
def flags_and_pictures(tmp_path) -> Path:
    return lay_out(tmp_path)
