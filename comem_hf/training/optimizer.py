"""Muon for matrices inside layers, AdamW for everything else, behind one optimizer."""

from collections.abc import Sequence

import torch
from torch import nn

from .muon import Muon


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for the matrices inside some layers, `torch.optim.AdamW` for all other trainable parameters.

    Args:
        model (`torch.nn.Module`): The model whose trainable parameters are optimised.
        inside (`Sequence[str]`): Parts of parameter names: Muon gets the matrices whose names contain one of them.
        lr (`float`): Learning rate of AdamW.
        muon_lr (`float`): Learning rate of Muon.
        weight_decay (`float`, *optional*, defaults to `0.1`): Decoupled weight decay of Muon's matrices; AdamW's
            parameters have none.
        betas (`tuple[float, float]`, *optional*, defaults to `(0.9, 0.98)`): Betas of AdamW.
        eps (`float`, *optional*, defaults to `1e-8`): Epsilon of AdamW.

    Raises:
        ValueError: If one of the two gets no parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        inside: Sequence[str],
        lr: float,
        muon_lr: float,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
    ):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_inside = parameter.ndim == 2 and any(part in name for part in inside)
                (matrices if is_inside else others).append(parameter)
        if not matrices or not others:
            raise ValueError(
                f"Muon with AdamW needs matrices inside {', '.join(inside)} and other parameters to train, got "
                f"{len(matrices)} and {len(others)}; use AdamW alone."
            )
        on_cpu = matrices[0].device.type == "cpu" and type(matrices[0].data) is torch.Tensor  # not sharded
        muon = Muon if on_cpu else torch.optim.Muon
        self.inner = [
            muon(matrices, lr=muon_lr, weight_decay=weight_decay, momentum=0.95),
            torch.optim.AdamW(others, lr=lr, betas=betas, eps=eps, weight_decay=0.0),
        ]
        super().__init__([{"params": matrices + others}], defaults={"lr": lr})
        # The groups are the inner optimizers' own objects, so that a scheduler changes those.
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]

    def step(self, closure=None):
        """Take a step with both; a `closure` is called first, with gradients enabled."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.inner:
            optimizer.step()
        return loss

    def state_dict(self) -> dict:
        """Return the states of both, Muon's first."""
        return {"inner": [optimizer.state_dict() for optimizer in self.inner]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore both; the groups stay shared with this object."""
        for optimizer, state in zip(self.inner, state_dict["inner"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]
