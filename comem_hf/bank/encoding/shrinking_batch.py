"""Batches that shrink when memory runs out."""

from collections.abc import Callable, Sequence

import torch
from transformers.utils import logging

from comem_hf.bank.sources.rows.reasons import is_of_the_machine


logger = logging.get_logger(__name__)

_OUT_OF_MEMORY_TEXTS = ("out of memory", "not enough memory", "can't allocate memory")
_ACCELERATOR_TEXTS = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "HIP error")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an accelerator or the machine has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY_TEXTS)


def ends_build(error: BaseException) -> bool:
    """Whether an error is not the fault of an item: memory, disk or open files ran out, or an accelerator failed."""
    accelerator = getattr(torch, "AcceleratorError", ())  # torch 2.8 and later
    return (
        is_out_of_memory(error)
        or is_of_the_machine(error)
        or isinstance(error, accelerator)
        or isinstance(error, RuntimeError)
        and any(text in str(error) for text in _ACCELERATOR_TEXTS)
    )


class ShrinkingBatch:
    """Applies a function to batches of rows; if a batch runs out of memory, it and all later ones are halved.

    Args:
        size (`int`): Rows per batch to begin with.
    """

    def __init__(self, size: int):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"`batch_size` must be a positive integer, got {size!r}.")
        self.size = size

    def apply(self, function: Callable[[Sequence], object], rows: Sequence) -> list:
        """Results of `function` over consecutive batches of `rows`.

        Raises:
            MemoryError: If even one row does not fit.
        """
        results, start = [], 0
        while start < len(rows):
            batch = rows[start : start + self.size]
            try:
                results.append(function(batch))
                start += len(batch)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise MemoryError(f"Out of memory with a batch of one item: {error}") from error
            # Outside the handler, where the traceback no longer holds the failed batch's tensors.
            self.size = len(batch) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            logger.warning(f"Out of memory with a batch of {len(batch)} items; going on with {self.size}.")
        return results
