"""The card of a memory bank: `README.md` of its folder."""

from collections.abc import Mapping
from pathlib import Path

from .config import BankConfig


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


def render_card(
    config: BankConfig,
    repo_id: str = "path/or/repo",
    repo_type: str = "dataset",
    contents: Mapping[str, str] | None = None,
) -> str:
    """The card of a bank that `config` describes.

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
    return _TEMPLATE.format(**values)


def write_card(path: Path, config: BankConfig) -> None:
    """Write the card of a bank that `config` describes."""
    path.write_text(render_card(config), encoding="utf-8")


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
