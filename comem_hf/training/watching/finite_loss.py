"""A run ends before the update that a loss or gradients which are no numbers would spoil, or without a result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from comem_hf.training.parts.freezing import trainable_parameters


if TYPE_CHECKING:
    from accelerate import Accelerator


class FiniteLoss(TrainerCallback):
    """Stops a run whose loss or gradient norm is NaN or infinite, and names the rows of the batch.

    The losses of the batches of an update are read once, after their backward passes and before the optimizer's step.
    transformers' own filter of such losses (`logging_nan_inf_filter`), which waits for the device after each batch,
    is not needed with it.

    Args:
        accelerator (`Accelerator`): That of the `Trainer`; with several processes all of them stop.
    """

    def __init__(self, accelerator: "Accelerator"):
        self.accelerator = accelerator
        self.batches: list[tuple[torch.Tensor, Sequence[str]]] = []
        self.norm: torch.Tensor | float | None = None
        """Norm of the gradients of the update, if the `Trainer` has computed it."""

    def saw(self, loss: torch.Tensor, names: Sequence[str]) -> None:
        """Remember a batch until its update.

        Args:
            loss (`torch.Tensor`): Its loss, a scalar that may not be computed yet.
            names (`Sequence[str]`): Names of its rows; may be empty.
        """
        self.batches.append((loss, names))

    def on_train_begin(self, args, state, control, **kwargs):
        self.batches, self.norm = [], None  # those of a run that has ended in the middle of an update

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        batches, self.batches = self.batches, []
        norm, self.norm = self.norm, None
        bad = ~torch.stack([loss for loss, _ in batches]).isfinite()
        bad_norm = torch.zeros_like(bad[0]) if norm is None else ~torch.as_tensor(norm, device=bad.device).isfinite()
        found_bad = self.accelerator.gather(torch.stack([bad.any(), bad_norm]).reshape(1, 2)).any(dim=0).tolist()
        if not any(found_bad):
            return
        what = "loss"
        if not found_bad[0]:  # then all rows may be the cause
            what, bad = "gradient norm", torch.ones_like(bad)
            batches = [(torch.as_tensor(norm), names) for _, names in batches]
        found = [(loss.item(), list(names)) for (loss, names), is_bad in zip(batches, bad, strict=True) if is_bad]
        if self.accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            found = gather_object(found)
        names = [name for _, rows in found for name in rows]
        raise ValueError(
            f"The {what} of update {state.global_step + 1} is {found[0][0]}, so the run has stopped before it. "
            + _way_out(names, get_last_checkpoint(args.output_dir))
        )


def refuse_ruined(model: nn.Module, loss: torch.Tensor | None, accelerator: "Accelerator", output_dir: str) -> None:
    """Refuse the result of a run whose last update has ruined it; all processes must call this.

    Args:
        model (`nn.Module`): The trained model.
        loss (`torch.Tensor`, *optional*): Its loss on the last batch, after the last update.
        accelerator (`Accelerator`): That of the `Trainer`.
        output_dir (`str`): The output folder.

    Raises:
        ValueError: If the loss or a trained parameter is not finite.
    """
    bad = [name for name, parameter in trainable_parameters(model).items() if not _is_finite(parameter)]
    bad_loss = loss is not None and not loss.isfinite().all().item()
    flags = torch.tensor([[bool(bad), bad_loss]], device=accelerator.device)
    is_bad, is_bad_loss = accelerator.gather(flags).any(dim=0).tolist()
    if is_bad:
        what = f"`{bad[0]}` holds values that are not finite" if bad else "values of trained parameters are not finite"
    elif is_bad_loss:
        what = "the loss of the last batch is not finite"
    else:
        return
    raise ValueError(
        f"After the last update {what}, so the result was not saved. {_way_out([], get_last_checkpoint(output_dir))}"
    )


def _is_finite(parameter: torch.Tensor) -> bool:
    """Whether this process's part of a parameter, or all of it, is finite."""
    local = getattr(parameter, "ds_tensor", parameter).detach()  # ZeRO-3's
    local = local.to_local() if hasattr(local, "to_local") else local  # FSDP2's
    return bool(local.isfinite().all())


def _way_out(names: list[str], checkpoint: str | None) -> str:
    rows = f" ({', '.join(names)})" if names else ""
    kept = (
        f"the checkpoint before it, {checkpoint!r}, may hold the cause" if checkpoint else "no checkpoint is before it"
    )
    return (
        f"Look at the rows of the batch{rows}, or start again in a new `--output-dir`/`output_dir` with a lower "
        f"`learning_rate`; {kept}."
    )
