"""The card of a memory bank: `README.md` of its folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from comem_hf.files.whole_file import file_entry, write_durably

from .check import check_card, read_card
from .generated import is_generated, mark
from .template import CARD_NAME, fill_template


_METRICS = {"cosine": "cosine similarity", "l2": "Euclidean distance"}
_SIZE_CATEGORIES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))


def render_card(
    config,
    repo_id: str = "path/or/repo",
    repo_type: str = "dataset",
    contents: Mapping[str, str] | None = None,
) -> str:
    """The card of a bank that `config` describes, marked so that [`is_edited`] recognises it.

    Args:
        config (`BankConfig`): The bank.
        repo_id (`str`, defaults to `"path/or/repo"`): Name to load the bank by.
        repo_type (`str`, defaults to `"dataset"`): `"dataset"` or `"model"`.
        contents (`Mapping[str, str]`, *optional*): Further rows of the table, such as [`describe_items`] gives.
    """
    from huggingface_hub import DatasetCardData

    parts = {"memory": ("memory",), "items": ("items",), "index": ("index", "embeddings"), "words": ("words",)}
    sizes = {
        part: sum(entry["size"] for name, entry in config.files.items() if name.startswith(beginnings))
        for part, beginnings in parts.items()
        if part != "words" or config.words
    }
    metadata = DatasetCardData(
        license=config.license or "unknown",
        tags=["comem", "memory-bank"],
        size_categories=[size_category(config.num_items)],
        configs=[{"config_name": "default", "data_files": "items-*.parquet"}],
    )
    facts = {
        **(contents or {}),
        "licence of the items": f"`{config.license}`" if config.license else "unknown: nobody has stated one",
        "memory encoder": _name(config.model) or "a model that is not on the Hub",
        "its fingerprint": f"`{config.memory_fingerprint}`",
        "embedder": _name(config.embedder) or f"`{config.embedder['type']}`",
        "embeddings": f"{config.embedding_size} numbers, compared by {_METRICS[config.metric]}",
        "index": _index(config.index),
        "size": ", ".join(f"{part} {_bytes(size)}" for part, size in sizes.items()),
    }
    fit = config.readable_calibration
    if fit is not None:
        facts["scores"] = (
            f"hits have a probability, with a Brier score of {fit.brier:.3f} on disturbed pictures of {fit.pictures} "
            "items"
        )
    if config.cut_texts:
        facts["long texts"] = f"{config.cut_texts:,} items have a longer text than the memory encoder reads"
    if config.precision != "float32":
        facts["precision"] = f"made with the memory encoder in {config.precision}: the vectors are not exact"
    text = fill_template(
        "bank.md",
        metadata,
        num_items=config.num_items,
        num_memory_tokens=config.num_memory_tokens,
        hidden_size=config.hidden_size,
        memory_dtype=config.memory_dtype,
        facts=facts,
        model_id=config.model.get("id") or "path/or/model",
        arguments=f'"{repo_id}"' + ("" if repo_type == "dataset" else f', repo_type="{repo_type}"'),
        index_size=_bytes(sizes["index"]),
    )
    return mark(text)


def size_category(count: int) -> str:
    """The Hub's word for the size of a data set of so many rows, such as `"1K<n<10K"`."""
    return next((name for most, name in _SIZE_CATEGORIES if count < most), "n>10M")


def write_card(folder: Path, config) -> dict:
    """Write the card of a bank into its folder, and return its entry for `config.files`."""
    card = render_card(config).encode()
    return write_durably(folder / CARD_NAME, lambda path: path.write_bytes(card))


def card_entry(config) -> dict:
    """The entry that [`write_card`] will return."""
    card = render_card(config).encode()
    return {"sha256": hashlib.sha256(card).hexdigest(), "size": len(card)}


def is_edited(path: Path, config) -> bool:
    """Whether somebody has written or edited a card: `config` does not list it, and [`render_card`] did not make it.

    A writer that died, or is still at work, leaves a generated card of another state. That card is not edited: no
    words of anybody are lost with it.
    """
    if not path.is_file() or (config is not None and file_entry(path) == config.files.get(CARD_NAME)):
        return False
    return not is_generated(path.read_text(encoding="utf-8", errors="replace"))


def own_card(folder: Path, config) -> bytes | None:
    """The card in the folder of a bank if somebody has written or edited it.

    Raises:
        ValueError: If the Hub would refuse the card.
    """
    path = folder / CARD_NAME
    if not is_edited(path, config):
        return None
    check_card(read_card(path), f"the card {CARD_NAME} of {str(folder)!r}")
    return path.read_bytes()


def card_for(folder: Path, config) -> bytes:
    """The card in `folder` if it is of the state that `config` describes, or has been edited; else a new one."""
    path = folder / CARD_NAME
    if path.is_file() and (file_entry(path) == config.files.get(CARD_NAME) or is_edited(path, config)):
        return path.read_bytes()
    return render_card(config).encode()


def _name(reference: dict) -> str | None:
    if not reference.get("id"):
        return None
    revision = reference.get("revision")
    return f"`{reference['id']}`" + (f" at revision `{revision}`" if revision else "")


def _index(index: dict) -> str:
    if index.get("kind") == "lancedb":
        return "a table of a LanceDB database, which is not among the files"
    if index["factory"] == "Flat":
        return "exact"
    recall = (
        "" if index.get("recall") is None else f", finds {index['recall']:.1%} of the exact ten nearest neighbours"
    )
    return f"FAISS `{index['factory']}`{recall}"


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"
