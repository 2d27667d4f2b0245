"""Cost of a memory encoder on its backbone: on disk, in memory, in loading time.

    python benchmarks/model/checkpoint_size.py

Writes and loads models of Qwen2-VL-2B-Instruct's real shape in bfloat16 with random weights (5 GB of disk and 6 GB of
memory for half a minute), and counts one of Qwen2-VL-7B-Instruct's shape without its weights. The published code holds
the backbone twice, as the memory encoder and as the answering model.
"""

import multiprocessing
import tempfile
import time
from pathlib import Path

import torch
from trainable_share import BACKBONE as BACKBONE_7B
from transformers import AutoModelForImageTextToText, Qwen2VLConfig
from transformers.utils import logging

from comem_hf import CoMemConfig, CoMemForConditionalGeneration


# config.json of Qwen/Qwen2-VL-2B-Instruct
BACKBONE_2B = {
    "text_config": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4},
    "tie_word_embeddings": True,
}


def random_backbone() -> torch.nn.Module:
    """Make a backbone of the 2B shape whose weights repeat one piece of noise, which is quick."""
    noise = torch.randn(2**20).mul_(0.02).bfloat16()
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(Qwen2VLConfig(**BACKBONE_2B), dtype=torch.bfloat16)
    model.to_empty(device="cpu")
    model.tie_weights()
    for parameter in model.parameters():
        for piece in parameter.data.view(-1).split(len(noise)):
            piece.copy_(noise[: len(piece)])
    return model.eval()


def load(folder: Path, backbone: Path | None) -> tuple[float, int]:
    """Load a model in this process; return the seconds, and the bytes of its tensors."""
    logging.disable_progress_bar()
    start = time.perf_counter()
    if backbone is None:
        model = AutoModelForImageTextToText.from_pretrained(folder)
    else:
        model = CoMemForConditionalGeneration.from_pretrained(folder, backbone=backbone)
    return time.perf_counter() - start, tensor_bytes(model)


def load_afresh(folder: Path, backbone: Path | None = None) -> tuple[float, int]:
    """Call `load` in a process of its own, where nothing is left over from earlier calls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(load, (folder, backbone))


def tensor_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of all parameters and buffers, shared ones once."""
    tensors = [*model.parameters(), *model.buffers()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def file_bytes(folder: Path) -> int:
    """Return the bytes of a checkpoint's weights."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def count_7b() -> tuple[int, int]:
    """Count the elements of a backbone of the 7B shape, and of the memory encoder on it."""
    with torch.device("meta"):
        model = CoMemForConditionalGeneration(CoMemConfig(backbone_config=Qwen2VLConfig(**BACKBONE_7B)))
    memory = sum(parameter.numel() for parameter in model.memory_encoder_parameters().values())
    return sum(parameter.numel() for parameter in model.backbone.parameters()), memory


def gigabytes(size: int) -> str:
    """Format a number of bytes in GB."""
    return f"{size / 1e9:.2f} GB"


def main():
    """Write, load, count, print."""
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        backbone, memory = Path(name, "backbone"), Path(name, "memory")
        plain = random_backbone()
        plain.save_pretrained(backbone)
        model = CoMemForConditionalGeneration.from_backbone(plain)
        model.config.backbone_name_or_path = "Qwen/Qwen2-VL-2B-Instruct"
        start = time.perf_counter()
        model.save_pretrained(memory, memory_only=True)
        saving = time.perf_counter() - start
        del plain, model
        on_disk = file_bytes(backbone), file_bytes(memory)
        alone, both = load_afresh(backbone), load_afresh(memory, backbone)
    elements, own = count_7b()

    rows = [
        ("2B shape, bfloat16", "backbone", "with memory encoder", ""),
        (
            "on disk",
            gigabytes(on_disk[0]),
            f"+ {gigabytes(on_disk[1])}",
            f"{on_disk[1] / on_disk[0]:.2%} (goal < 5 %)",
        ),
        ("tensors in memory", *map(gigabytes, (alone[1], both[1])), f"{both[1] / alone[1]:.3f} x (goal 1.05 x)"),
        ("loading", f"{alone[0]:.1f} s", f"{both[0]:.1f} s", "checking the backbone's checksum included"),
        ("saving", "", f"{saving:.1f} s", "memory-only, checksum included"),
        ("7B shape, by count", *map(gigabytes, (2 * elements, 2 * (elements + own))), f"{1 + own / elements:.3f} x"),
    ]
    for row in rows:
        print("{:<20}{:>10}{:>21}  {}".format(*row).rstrip())


if __name__ == "__main__":
    main()
