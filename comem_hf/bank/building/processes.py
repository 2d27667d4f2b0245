"""The processes that build a bank together."""

from datetime import timedelta

import torch


class Processes:
    """One process, or all those that `accelerate launch` or `torchrun` started.

    Args:
        distributed (`bool`): Whether all processes of the launch take part, on any number of machines that share a
            file system.

    Raises:
        ValueError: If accelerate is not installed, which `distributed` needs.
    """

    def __init__(self, distributed: bool):
        self.rank, self.count, self._state = 0, 1, None
        if not distributed:
            return
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ValueError(
                "Building a bank with several processes needs accelerate: pip install accelerate."
            ) from error
        # The processes meet at the beginning and at the end only, which may be days apart.
        self._state = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=365))
        self.rank, self.count = self._state.process_index, self._state.num_processes

    @property
    def leader(self) -> bool:
        """Whether this is the process that finishes the bank."""
        return self.rank == 0

    def owns(self, shard: int) -> bool:
        """Whether this process encodes the shard: processes take turns."""
        return shard % self.count == self.rank

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self._state is not None:
            self._state.wait_for_everyone()
