"""The golden checkpoints in every published layout, and ways to spoil them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from comem_hf.conversion import convert_checkpoint

# Under its short name the class asks for torchvision in early versions of transformers 5.
from tests.conftest import make_image, make_model


GOLDEN = Path(__file__).parent.parent / "golden"
LAYOUTS = ("merged_full", "merged_without_inference_copy", "lora_adapter")
RESAMPLER = {"num_attention_heads": 4, "head_dim": 16}
COPY = "model_inf."
WEIGHTS = {layout: "model.safetensors" for layout in LAYOUTS} | {"lora_adapter": "adapter_model.safetensors"}


@pytest.fixture(scope="session")
def make_published(tmp_path_factory) -> Callable[..., tuple[Path, Path]]:
    """Makes a source folder in a layout, and the folder of its backbone, under the names of transformers 4.49."""

    def make(family: str, layout: str = "merged_full", dtype: torch.dtype | None = None) -> tuple[Path, Path]:
        root = tmp_path_factory.mktemp("published")
        source, backbone = root / "source", root / "backbone"
        shutil.copytree(GOLDEN / family / "backbone", backbone)
        merged = load_file(GOLDEN / family / "merged_full" / "model.safetensors")
        save(backbone / "model.safetensors", {k[len(COPY) :]: v for k, v in merged.items() if k.startswith(COPY)})
        shutil.copytree(GOLDEN / family / layout.replace("_without_inference_copy", "_full"), source)
        if layout == "merged_without_inference_copy":
            edit(source, lambda tensors: {k: v for k, v in tensors.items() if not k.startswith(COPY)})
        if dtype is not None:
            for folder in (source, backbone):
                edit(folder, lambda tensors: {k: v.to(dtype) for k, v in tensors.items()})
        return source, backbone

    return make


@pytest.fixture(scope="module")
def memory_inputs(golden) -> dict[str, torch.Tensor]:
    """The items of the golden outputs of a test module."""
    names = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw")
    return {name: golden[f"memory_{name}"] for name in names}


@pytest.fixture(scope="module")
def image(golden) -> dict[str, torch.Tensor]:
    """Their picture."""
    return {name: golden[name] for name in ("pixel_values", "image_grid_thw")}


@pytest.fixture
def refused(make_published, tmp_path):
    """Spoils a source or its backbone, checks that converting fails with a message and leaves nothing."""

    def refused(message: str, spoil=None, spoil_backbone=None, layout="merged_full", error=ValueError, **arguments):
        source, backbone = make_published("qwen2_vl", layout)
        if spoil:
            spoil(source)
        if spoil_backbone:
            spoil_backbone(backbone)
        arguments = {"backbone": backbone, "resampler": RESAMPLER, **arguments}
        with pytest.raises(error, match=message) as caught:
            convert_checkpoint(source, tmp_path / "deep" / "out", **arguments)
        assert "\n" not in str(caught.value)
        assert not any(tmp_path.iterdir())
        return str(caught.value)

    return refused


@pytest.fixture
def folders(make_published) -> tuple[Path, Path]:
    return make_published("qwen2_vl", "lora_adapter")


@pytest.fixture
def convert_peft(folders, tmp_path):
    def convert(name: str = "model", **arguments) -> Path:
        source, backbone = folders
        output = tmp_path / name
        convert_checkpoint(source, output, **{"backbone": backbone, "resampler": RESAMPLER, **arguments})
        return output

    return convert


def set_config(folder: Path, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def weights_file(folder: Path) -> Path:
    """The one safetensors file of a folder."""
    return next(folder.glob("*.safetensors"))


def save(path: Path, tensors: dict[str, torch.Tensor]):
    """Writes a safetensors file."""
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, path, metadata={"format": "pt"})


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """Replaces the tensors in a folder's one safetensors file by what `change` makes of them."""
    save(weights_file(folder), change(load_file(weights_file(folder))))
    return folder


def rename(change: Callable[[str], str]):
    """For `edit`: other keys."""
    return lambda tensors: {change(key): tensor for key, tensor in tensors.items()}


def without(prefix: str):
    """For `edit`: leaves out the keys that start so."""
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix)}


def replaced(key: str, make: Callable[[torch.Tensor], torch.Tensor]):
    """For `edit`: another tensor under one key."""
    return lambda tensors: {**tensors, key: make(tensors[key])}


def to_shards(folder: Path, suffix: str = "safetensors") -> Path:
    """Splits a folder's one safetensors file into two files with an index."""
    tensors = load_file(weights_file(folder))
    weights_file(folder).unlink()
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    weight_map = {}
    for number in (1, 2):
        part = dict(list(tensors.items())[number - 1 :: 2])
        name = f"{stem}-{number:05d}-of-00002.{suffix}"
        save(folder / name, part) if suffix == "safetensors" else torch.save(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def to_bin(folder: Path) -> Path:
    """Turns a folder's one safetensors file into a `.bin`."""
    path = weights_file(folder)
    torch.save(load_file(path), path.with_name({"model": "pytorch_model"}.get(path.stem, path.stem) + ".bin"))
    path.unlink()
    return folder


@pytest.fixture(scope="module")
def items(tiny_processor):
    """Two items as a model reads them, with a picture each."""
    memories = [[{"image": make_image(seed, (56, 84)), "text": f"Fact {seed}"} for seed in range(2)]]
    return tiny_processor.process_memories(memories)


@pytest.fixture(scope="module", params=["adapter", "separate"])
def model(request, family):
    lora = {"r": 4, "lora_alpha": 8, "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"visual.*qkv": 3}}
    model = make_model(family, encoder=request.param, lora_config=lora)
    if request.param == "separate":
        with torch.no_grad():
            for parameter in model.memory_encoder.model.parameters():
                parameter.mul_(1.1)
    return model


@torch.no_grad()
def hidden_states(model, items) -> torch.Tensor:
    return model(**{name: value for name, value in items.items() if name != "item_counts"}).last_hidden_state
