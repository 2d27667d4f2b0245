"""Backbones of the golden checkpoints as folders of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file


GOLDEN = Path(__file__).parent.parent / "golden"
PREFIX = "model_inf."


@pytest.fixture(scope="session")
def make_backbone_folder(tmp_path_factory) -> Callable[[str], Path]:
    """Writes a checkpoint's frozen copy as a backbone's folder, under the names of transformers 4.49."""

    def make(family: str) -> Path:
        folder = tmp_path_factory.mktemp("backbone")
        for file in (GOLDEN / family / "backbone").iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        tensors = load_file(GOLDEN / family / "merged_full" / "model.safetensors")
        backbone = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
        save_file(backbone, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make
