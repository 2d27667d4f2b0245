"""Names of the files in a bank's folder."""

import re

from comem_hf.cards.template import CARD_NAME


INDEX_NAME = "index.faiss"
WORDS_NAME = "words.safetensors"

INDEX_FILE = re.compile(r"index(-\d{5,})?\.faiss")
WORDS_FILE = re.compile(r"words(-\d{5,})?\.safetensors")
PART_FILE = re.compile(r"index-\d{5,}-part-\d{5,}\.faiss")
REMOVED_FILE = re.compile(r"removed-\d{5,}\.safetensors")
CHANGED_FILE = re.compile(r"metadata-\d{5,}\.parquet")
FILE_NAME = re.compile(
    rf"{INDEX_FILE.pattern}|{PART_FILE.pattern}|{WORDS_FILE.pattern}|{REMOVED_FILE.pattern}"
    rf"|{CHANGED_FILE.pattern}|{re.escape(CARD_NAME)}"
    r"|(memory|embeddings)-\d{5,}\.safetensors|items-\d{5,}\.parquet"
)


def memory_name(shard: int) -> str:
    """File name of a shard's memory vectors."""
    return f"memory-{shard:05d}.safetensors"


def items_name(shard: int) -> str:
    """File name of a shard's items."""
    return f"items-{shard:05d}.parquet"


def embeddings_name(shard: int) -> str:
    """File name of a shard's embeddings, which a build needs, and a bank whose index is a table of a database."""
    return f"embeddings-{shard:05d}.safetensors"


def part_name(generation: int, part: int) -> str:
    """File name of a part of an index in several files."""
    return f"index-{generation:05d}-part-{part:05d}.faiss"


def index_name(generation: int) -> str:
    """File name of the index of a bank that has been added to."""
    return f"index-{generation:05d}.faiss"


def words_name(generation: int) -> str:
    """File name of the words index of a bank that has been changed."""
    return f"words-{generation:05d}.safetensors"


def removed_name(generation: int) -> str:
    """File name of the list of removed rows."""
    return f"removed-{generation:05d}.safetensors"


def changed_name(generation: int) -> str:
    """File name of the metadata that was changed."""
    return f"metadata-{generation:05d}.parquet"


def number_in(name: str) -> int:
    """The first number in a file's name, 0 without one."""
    found = re.search(r"\d+", name)
    return int(found[0]) if found else 0
