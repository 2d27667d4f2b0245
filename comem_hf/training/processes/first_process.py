"""What one process computes for all."""

from collections.abc import Callable
from typing import TypeVar

from accelerate.utils import broadcast_object_list
from transformers import TrainingArguments


Result = TypeVar("Result")


def of_first_process(args: TrainingArguments, compute: Callable[[], Result]) -> Result:
    """Return what a function returns in the first process, in all of them; the others wait for it.

    Args:
        args (`TrainingArguments`): The settings of the run, which know the processes.
        compute (`Callable`): The function, without arguments; what it returns is small.
    """
    if args.world_size == 1:
        return compute()
    return broadcast_object_list([compute() if args.process_index == 0 else None])[0]
