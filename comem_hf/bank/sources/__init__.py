"""Where items come from: each source gives them lazily, one after the other."""

from .choose import open_source
from .columns import read_dataset
from .image_folder import read_image_folder
from .json_lines import read_jsonl
from .lazy import LazyItems
from .unreadable import UnreadableItem
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
