"""`comem info`: what a model folder or a memory bank is."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    folder: Annotated[Path, typer.Argument(help="Folder of a model or a memory bank.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read the whole bank and check it.")] = False,
) -> None:
    """Show what a model or a memory bank is: sizes, fingerprints and what fits together.

    Example:

        comem info my-bank --verify
    """
    from comem_hf.bank.config import CONFIG_NAME

    from .output import print_table

    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}.")
    if (folder / CONFIG_NAME).is_file():
        print_table("bank", ("", str(folder)), describe_bank(folder, verify))
    elif verify:
        raise ValueError(f"{str(folder)!r} is no memory bank: only banks can be verified.")
    elif (folder / "config.json").is_file():
        print_table("model", ("", str(folder)), describe_model(folder))
    else:
        raise ValueError(f"{str(folder)!r} is neither a model nor a memory bank: no config.json, no {CONFIG_NAME}.")


def describe_bank(folder: Path, verify: bool = False) -> list[tuple[str, object]]:
    """Name and value of what is worth knowing about a bank.

    Args:
        folder (`Path`): The bank.
        verify (`bool`, defaults to `False`): Check it, and say that it is whole.

    Raises:
        ValueError: If it is no bank, or damaged.
    """
    from comem_hf.bank import MemoryBank

    bank = MemoryBank.from_pretrained(folder)
    config = bank.config
    sizes = {"memory": 0, "items": 0, "index": 0}
    for name in config.data_files():
        part = next((part for part in ("memory", "items") if name.startswith(f"{part}-")), "index")
        sizes[part] += config.files[name]["size"]
    recall = config.index.get("recall")
    facts = [
        ("items", config.num_items),
        ("removed items", config.num_rows - config.num_items),
        ("generation", config.generation),
        ("memory per item", f"{config.num_memory_tokens} x {config.hidden_size} {config.memory_dtype}"),
        ("shards", len(config.shard_sizes)),
        ("index", f"{config.index['factory']}, {config.metric}" + (f", recall {recall:.3f}" if recall else "")),
        ("size on disk", _mebibytes(sum(sizes.values()))),
        *((f"size of {part}", _mebibytes(size)) for part, size in sizes.items()),
        ("embedder", config.embedder.get("id") or config.embedder["type"]),
        ("model", config.model["id"] or "not on the Hub"),
        ("memory fingerprint", config.memory_fingerprint),
    ]
    if verify:
        report = bank.verify()
        facts.append(("verified", f"{report['files']} files, all {report['items'] + report['removed']} rows"))
    return facts


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


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
