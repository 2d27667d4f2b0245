"""One shard of a bank that is being built: encoded, stored, and compared when the build is resumed."""

import hashlib
from collections.abc import Callable, Sequence

from safetensors.numpy import save_file

from comem_hf.bank.encoding.encode_rows import check_problems, encode_rows
from comem_hf.bank.encoding.input_rows import InputRow
from comem_hf.bank.encoding.item_encoder import ItemEncoder
from comem_hf.bank.format.file_names import embeddings_name, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.format.precision import precision_of
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.format.vectors import write_memory
from comem_hf.bank.index.build_index import EMBEDDINGS_KEY
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES

from .staging import Staging
from .texts import text_facts


class ShardBuilder:
    """Turns consecutive items into a shard.

    Args:
        encoder (`ItemEncoder`): Encodes them.
        on_error (`str`): What to do with an item that cannot be used: `"skip"` or `"raise"`.
    """

    def __init__(self, encoder: ItemEncoder, on_error: str):
        self.encoder = encoder
        self.on_error = on_error

    def write(self, staging: Staging, number: int, rows: Sequence[InputRow], progress: Callable[[int], object]) -> int:
        """Encode and store a shard.

        Args:
            staging (`Staging`): The work folder.
            number (`int`): Number of the shard.
            rows (`Sequence[InputRow]`): Its items.
            progress (`Callable[[int], object]`): Called with the number of items of each finished batch.

        Returns:
            `int`: Number of items that went through the encoder.

        Raises:
            ValueError: If an item cannot be used and `on_error` is `"raise"`.
        """
        encoded = encode_rows(self.encoder, rows, self.on_error, progress)
        files = {}
        if encoded.records:
            contents = {
                memory_name(number): lambda path: write_memory(path, encoded.memory, self.encoder.dtype),
                items_name(number): lambda path: write_items(path, encoded.records),
                embeddings_name(number): lambda path: save_file({EMBEDDINGS_KEY: encoded.embeddings}, path),
            }
            files = {name: staging.write(name, write) for name, write in contents.items()}
        staging.finish_shard(
            number,
            {
                "num_items": len(encoded.records),
                "input_items": len(rows),
                "input_digest": input_digest(rows),
                "digest": _digest(encoded.records),
                "skipped": encoded.skipped,
                "repeated": encoded.repeated,
                "picture_rules": PICTURE_RULES,
                "precision": precision_of(self.encoder.model),
                "texts": text_facts(encoded.records),
                "files": files,
            },
        )
        return encoded.tried

    def check(self, staging: Staging, number: int, rows: Sequence[InputRow]) -> None:
        """Compare the items of a finished shard with those that it was made from, except skipped ones.

        Raises:
            ValueError: If they differ, or one was skipped and `on_error` is `"raise"`.
        """
        if number not in staging.shards:
            raise ValueError(f"{str(staging.output)!r} already holds a memory bank with fewer items.")
        shard = staging.shards[number]
        check_problems(rows, {entry["item"]: entry["reason"] for entry in shard["skipped"]}, self.on_error)
        left_out = {entry["item"] for part in ("skipped", "repeated") for entry in shard[part]}
        records = [row.record for row in rows if row.number not in left_out]
        if len(rows) != shard["input_items"] or None in records or _digest(records) != shard["digest"]:
            raise changed_items(staging, number)


def changed_items(staging: Staging, number: int) -> ValueError:
    """The error for a finished shard whose items have changed."""
    first = number * staging.settings["shard_size"]
    last = first + staging.shards[number]["input_items"] - 1
    return ValueError(
        f"{str(staging.folder)!r} holds an unfinished build of other items: items {first} to {last} have changed. "
        "Give the same items to resume it, or remove that folder to start again."
    )


def input_digest(rows: Sequence[InputRow]) -> str:
    """Digest of items as they came in, usable or not."""
    return hashlib.sha256("\n".join(row.record.digest if row.record else "" for row in rows).encode()).hexdigest()


def _digest(records: Sequence[ItemRecord]) -> str:
    return hashlib.sha256("\n".join(record.digest for record in records).encode()).hexdigest()
