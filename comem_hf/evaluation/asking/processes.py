"""Several processes that share a run, as `accelerate launch` or `torchrun` start them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Args:
        index (`int`): Number of this process.
        count (`int`): Number of all.
        wait (`Callable[[], object]`): Returns when all processes have called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], object] = lambda: None


def this_process() -> Processes:
    """Return which process this is; where several run, each also chooses its device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    import torch
    from accelerate import PartialState

    # In a run that goes on, one process may have all that is left to do: the others wait for it.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=7))
    return Processes(state.process_index, state.num_processes, state.wait_for_everyone)
