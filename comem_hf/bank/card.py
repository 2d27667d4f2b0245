"""The card of a memory bank: `README.md` of its folder."""

from pathlib import Path

from .config import BankConfig
from .precision import bytes_per_item


_TEMPLATE = """\
---
tags:
- comem
- memory-bank
configs:
- config_name: default
  data_files: items-*.parquet
---

# Memory bank of {num_items} items

Made with `comem_hf`: each item (image and text) is stored together with the {num_memory_tokens} vectors of length
{hidden_size} ({memory_dtype}) that a memory encoder made of it, and with an embedding by which it is found.

| | |
|---|---|
| memory encoder | {model} |
| its fingerprint | `{memory_fingerprint}` |
| embedder | {embedder} |
| embeddings | {embedding_size} numbers, compared by {metric} |
| index | {index} |
| size of the memory vectors | {memory_bytes:,} bytes |

The vectors only mean something to the model with that fingerprint; `comem_hf` refuses any other.

```python
from comem_hf import MemoryBank

bank = MemoryBank.from_pretrained("path/or/repo", model=model, processor=processor)
hits = bank.search(image=image, k=3)
inputs["memory_inputs"] = bank.memory_inputs([hits])
```
"""


def write_card(path: Path, config: BankConfig) -> None:
    """Write the card of a bank that `config` describes."""
    values = {
        **vars(config),
        "model": _name(config.model) or "a model that is not on the Hub",
        "embedder": _name(config.embedder) or f"`{config.embedder['type']}`",
        "metric": {"cosine": "cosine similarity", "l2": "Euclidean distance"}[config.metric],
        "index": _index(config.index),
        "memory_bytes": config.num_items
        * bytes_per_item(config.memory_dtype, config.num_memory_tokens, config.hidden_size),
    }
    path.write_text(_TEMPLATE.format(**values), encoding="utf-8")


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
