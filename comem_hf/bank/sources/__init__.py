"""Where items come from: each source gives them lazily, one after the other."""

from comem_hf.bank.sources.folder.image_folder import read_image_folder
from comem_hf.bank.sources.rows.lazy import LazyItems
from comem_hf.bank.sources.rows.unreadable import UnreadableItem

from .choose import open_source
from .columns import read_dataset
from .json_lines import read_jsonl
from .wit import read_wit


__all__ = [
    "LazyItems",
    "UnreadableItem",
    "open_source",
    "read_dataset",
    "read_image_folder",
    "read_jsonl",
    "read_wit",
]
