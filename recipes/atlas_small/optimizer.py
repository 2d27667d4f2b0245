"""Muon for the matrices inside the blocks, AdamW for everything else, behind one optimizer."""

import torch
from torch import nn


class MuonWithAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` on hidden weight matrices and `torch.optim.AdamW` on embeddings, vectors and the rest.

    Args:
        model (`nn.Module`): The model whose trainable parameters are optimised.
        lr (`float`, defaults to 2e-3): Learning rate of AdamW.
        muon_lr (`float`, defaults to 1e-2): Learning rate of Muon.
        weight_decay (`float`, defaults to 0.3): Decoupled weight decay of the matrices, whose largest singular value
            it keeps below its inverse.
    """

    def __init__(self, model: nn.Module, lr: float = 2e-3, muon_lr: float = 1e-2, weight_decay: float = 0.3):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim == 2 and ("layers." in name or "blocks." in name)
                (matrices if is_matrix else others).append(parameter)
        self.inner = [
            torch.optim.Muon(matrices, lr=muon_lr, weight_decay=weight_decay, momentum=0.95),
            torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        super().__init__([{"params": matrices + others}], defaults={"lr": lr})
        # The groups are the inner optimizers' own objects, so that a scheduler moves those.
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]

    def step(self, closure=None):
        """One step of both."""
        loss = closure() if closure is not None else None
        for optimizer in self.inner:
            optimizer.step()
        return loss

    def state_dict(self) -> dict:
        """The states of both, in order."""
        return {"inner": [optimizer.state_dict() for optimizer in self.inner]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore both; the groups stay shared with this object."""
        for optimizer, state in zip(self.inner, state_dict["inner"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]
