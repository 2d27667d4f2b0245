"""A run ends before the update that a loss which is no number would spoil."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint


if TYPE_CHECKING:
    from accelerate import Accelerator


class FiniteLoss(TrainerCallback):
    """Stops a run whose loss is NaN or infinite, and names the rows of the batch.

    The losses of the batches of an update are read once, after their backward passes and before the optimizer's step.
    transformers' own filter of such losses (`logging_nan_inf_filter`), which waits for the device after each batch,
    is not needed with it.

    Args:
        accelerator (`Accelerator`): That of the `Trainer`; with several processes all of them stop.
    """

    def __init__(self, accelerator: "Accelerator"):
        self.accelerator = accelerator
        self.batches: list[tuple[torch.Tensor, Sequence[str]]] = []

    def saw(self, loss: torch.Tensor, names: Sequence[str]) -> None:
        """Remember a batch until its update.

        Args:
            loss (`torch.Tensor`): Its loss, a scalar that may not be computed yet.
            names (`Sequence[str]`): Names of its rows; may be empty.
        """
        self.batches.append((loss, names))

    def on_train_begin(self, args, state, control, **kwargs):
        self.batches = []  # those of a run that has ended in the middle of an update

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        batches, self.batches = self.batches, []
        bad = ~torch.stack([loss for loss, _ in batches]).isfinite()
        if not self.accelerator.gather(bad.any().reshape(1)).any():
            return
        found = [(loss.item(), list(names)) for (loss, names), is_bad in zip(batches, bad, strict=True) if is_bad]
        if self.accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            found = gather_object(found)
        raise ValueError(_message(found, state.global_step + 1, get_last_checkpoint(args.output_dir)))


def _message(found: list[tuple[float, list[str]]], update: int, checkpoint: str | None) -> str:
    names = [name for _, rows in found for name in rows]
    rows = f" ({', '.join(names)})" if names else ""
    kept = f"The last checkpoint before it is {checkpoint!r}." if checkpoint else "There is no checkpoint before it."
    return (
        f"The loss of update {update} is {found[0][0]}, so the run has stopped before it. Look at the rows of the "
        f"batch{rows}, or lower `learning_rate`. {kept}"
    )
