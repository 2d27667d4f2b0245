"""The card of a memory bank: `README.md` of its folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from .config import CARD_NAME, BankConfig
from .durable import file_entry, write_durably


_TEMPLATE = """\
---
license: {license}
tags:
- comem
- memory-bank
configs:
- config_name: default
  data_files: items-*.parquet
---

# Memory bank of {num_items:,} items

Made with `comem_hf`: each item (image and text) is stored together with the {num_memory_tokens} vectors of length
{hidden_size} ({memory_dtype}) that a memory encoder made of it, and with an embedding by which it is found.

| | |
|---|---|
{contents}| licence of the items | {licence} |
| memory encoder | {model} |
| its fingerprint | `{memory_fingerprint}` |
| embedder | {embedder} |
| embeddings | {embedding_size} numbers, compared by {metric} |
| index | {index} |
| size | {size} |

The vectors only mean something to the model with that fingerprint; `comem_hf` refuses any other.

```python
from comem_hf import MemoryBank

bank = MemoryBank.from_pretrained({arguments}, model=model, processor=processor)
hits = bank.search(image=image, k=3)
inputs["memory_inputs"] = bank.memory_inputs([hits])
```

With `memories="lazy"`, `from_pretrained` downloads the index only ({index_size}), and memory and items of hits when
they are first used.
"""
_SIGNATURE = "<!-- Written by comem_hf, which renews this card unless somebody has edited it: {digest} -->\n"


def render_card(
    config: BankConfig,
    repo_id: str = "path/or/repo",
    repo_type: str = "dataset",
    contents: Mapping[str, str] | None = None,
) -> str:
    """The card of a bank that `config` describes, signed so that [`is_edited`] knows it.

    Args:
        config (`BankConfig`): The bank.
        repo_id (`str`, defaults to `"path/or/repo"`): What to load it by.
        repo_type (`str`, defaults to `"dataset"`): `"dataset"` or `"model"`.
        contents (`Mapping[str, str]`, *optional*): Further rows of the table, such as [`describe_items`] gives.
    """
    sizes = {
        part: sum(entry["size"] for name, entry in config.files.items() if name.startswith(part))
        for part in ("memory", "items", "index")
    }
    values = {
        **vars(config),
        "license": config.license or "unknown",
        "licence": f"`{config.license}`" if config.license else "unknown: nobody has stated one",
        "contents": "".join(f"| {name} | {value} |\n" for name, value in (contents or {}).items()),
        "model": _name(config.model) or "a model that is not on the Hub",
        "embedder": _name(config.embedder) or f"`{config.embedder['type']}`",
        "metric": {"cosine": "cosine similarity", "l2": "Euclidean distance"}[config.metric],
        "index": _index(config.index),
        "index_size": _bytes(sizes["index"]),
        "size": ", ".join(f"{part} {_bytes(size)}" for part, size in sizes.items()),
        "arguments": f'"{repo_id}"' + ("" if repo_type == "dataset" else f', repo_type="{repo_type}"'),
    }
    text = _TEMPLATE.format(**values) + "\n"
    return text + _signature(text.encode()).decode()


def write_card(folder: Path, config: BankConfig) -> dict:
    """Write the card of a bank into its folder; its entry for `config.files`."""
    card = render_card(config).encode()
    return write_durably(folder / CARD_NAME, lambda path: path.write_bytes(card))


def card_entry(config: BankConfig) -> dict:
    """What [`write_card`] will return."""
    card = render_card(config).encode()
    return {"sha256": hashlib.sha256(card).hexdigest(), "size": len(card)}


def is_edited(path: Path, config: BankConfig | None) -> bool:
    """Whether a card is somebody's own work: neither the one that `config` lists nor any that [`render_card`] made.

    A writer that died, or is at work, leaves a generated card of another state: it can be told from words that must
    not be lost.
    """
    if not path.is_file() or (config is not None and file_entry(path) == config.files.get(CARD_NAME)):
        return False
    text, mark, _ = (card := path.read_bytes()).rpartition(b"<!--")
    return not mark or card != text + _signature(text)


def card_for(folder: Path, config: BankConfig) -> bytes:
    """The card in `folder` if it is of the state that `config` describes, or somebody's own; else a new one."""
    path = folder / CARD_NAME
    if path.is_file() and (file_entry(path) == config.files.get(CARD_NAME) or is_edited(path, config)):
        return path.read_bytes()
    return render_card(config).encode()


def _signature(text: bytes) -> bytes:
    return _SIGNATURE.format(digest=hashlib.sha256(text).hexdigest()).encode()


def _name(reference: dict) -> str | None:
    if not reference.get("id"):
        return None
    revision = reference.get("revision")
    return f"`{reference['id']}`" + (f" at revision `{revision}`" if revision else "")


def _index(index: dict) -> str:
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
