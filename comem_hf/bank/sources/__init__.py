"""Where items come from: each source gives them lazily, one after the other."""

from comem_hf.bank.sources.data_sets.data_set import read_dataset
from comem_hf.bank.sources.files.json_lines import read_jsonl
from comem_hf.bank.sources.files.table_files import read_table
from comem_hf.bank.sources.files.web_dataset import read_tar
from comem_hf.bank.sources.files.wit import read_wit
from comem_hf.bank.sources.folder.image_folder import read_image_folder
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.lazy import LazyItems
from comem_hf.bank.sources.rows.unreadable import UnreadableItem

from .choose import open_source


__all__ = [
    "Columns",
    "LazyItems",
    "UnreadableItem",
    "open_source",
    "read_dataset",
    "read_image_folder",
    "read_jsonl",
    "read_table",
    "read_tar",
    "read_wit",
]
