"""`comem info`: what a model folder or a memory bank is."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    folder: Annotated[Path, typer.Argument(help="Folder of a model or a memory bank.")],
) -> None:
    """Show what a model or a memory bank is: sizes, fingerprints and what fits together.

    Example:

        comem info my-bank
    """
    from comem_hf.bank.config import CONFIG_NAME

    from .output import print_table

    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}.")
    if (folder / CONFIG_NAME).is_file():
        print_table("bank", ("", str(folder)), describe_bank(folder))
    elif (folder / "config.json").is_file():
        print_table("model", ("", str(folder)), describe_model(folder))
    else:
        raise ValueError(f"{str(folder)!r} is neither a model nor a memory bank: no config.json, no {CONFIG_NAME}.")


def describe_bank(folder: Path) -> list[tuple[str, object]]:
    """Name and value of what is worth knowing about a bank."""
    from comem_hf.bank import MemoryBank

    config = MemoryBank.from_pretrained(folder).config
    size = sum(entry["size"] for entry in config.files.values())
    return [
        ("items", config.num_items),
        ("memory per item", f"{config.num_memory_tokens} x {config.hidden_size} {config.memory_dtype}"),
        ("size on disk", f"{size / 2**20:.1f} MiB"),
        ("embedder", config.embedder.get("id") or config.embedder["type"]),
        ("index", f"{config.index['factory']}, {config.metric}"),
        ("model", config.model["id"] or "not on the Hub"),
        ("memory fingerprint", config.memory_fingerprint),
    ]


def describe_model(folder: Path) -> list[tuple[str, object]]:
    """Name and value of what is worth knowing about a model."""
    from .loading import load_model_alone

    model = load_model_alone(folder)
    config = model.config
    total = model.num_parameters()
    memory = model.num_parameters(only_trainable=True)
    return [
        ("backbone", config.backbone_config.model_type),
        ("parameters", f"{total:,}"),
        ("memory encoder", config.encoder),
        ("memory per item", f"{config.num_memory_tokens} x {config.get_text_config().hidden_size}"),
        ("trainable parameters", f"{memory:,} ({memory / total:.2%})"),
        ("memory fingerprint", model.memory_fingerprint()),
    ]
