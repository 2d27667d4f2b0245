"""How a bank is built and stored."""

from dataclasses import dataclass

from comem_hf.bank.encoding.encode_rows import check_on_error
from comem_hf.bank.format.config import check_metric
from comem_hf.bank.index.kinds import IndexKind
from comem_hf.cards.licenses import check_license


SHARD_SIZE = 1024


@dataclass(frozen=True)
class BuildSettings:
    """Arguments of [`MemoryBank.build`] that say how a bank is built and stored.

    Args:
        batch_size (`int`, defaults to 32): Items per encoder pass; halved when memory runs out.
        dtype (`str`, defaults to `"float32"`): Type of the stored memory vectors.
        shard_size (`int`, defaults to 1024): Items per file; at most this many are lost when a build is interrupted.
        metric (`str`, defaults to `"cosine"`): How embeddings are compared: `"cosine"` or `"l2"`.
        index_factory (`str`, *optional*): Kind of the index (see [`comem_hf.bank.index.kinds`]); if not given, it
            depends on the number of items.
        license (`str`, *optional*): Licence of the items, by the Hub's identifier.
        on_error (`str`, defaults to `"skip"`): What to do with an item that cannot be used: `"skip"` or `"raise"`.
        num_memory_tokens (`int`, *optional*): Stored vectors per item; all of the memory encoder's by default.

    Raises:
        ValueError: If a value is not valid.
    """

    batch_size: int = 32
    dtype: str = "float32"
    shard_size: int = SHARD_SIZE
    metric: str = "cosine"
    index_factory: str | None = None
    license: str | None = None
    on_error: str = "skip"
    num_memory_tokens: int | None = None

    def __post_init__(self):
        check_metric(self.metric)
        check_license(self.license)
        check_on_error(self.on_error)
        IndexKind.of(self.index_factory)
        if not isinstance(self.shard_size, int) or self.shard_size < 1:
            raise ValueError(f"`shard_size` must be a positive integer, got {self.shard_size!r}.")
