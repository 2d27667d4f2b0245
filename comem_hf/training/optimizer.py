"""Muon for the matrices inside the layers, AdamW for everything else, behind one optimizer."""

import torch
from torch import nn


class MuonWithAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` on the full matrices inside layers, `torch.optim.AdamW` on adapters, embeddings and vectors.

    Args:
        model (`torch.nn.Module`):
            The model whose trainable parameters are optimised.
        lr (`float`):
            Learning rate of AdamW.
        muon_lr (`float`):
            Learning rate of Muon.
        weight_decay (`float`, *optional*, defaults to 0.1):
            Decoupled weight decay of the matrices; what AdamW moves has none.

    Raises:
        ValueError: If nothing is left for one of the two.
    """

    def __init__(self, model: nn.Module, *, lr: float, muon_lr: float, weight_decay: float = 0.1):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (matrices if _is_hidden_matrix(name, parameter) else others).append(parameter)
        if not matrices or not others:
            raise ValueError(
                "Muon with AdamW needs both matrices inside layers and other parameters to train, got "
                f"{len(matrices)} and {len(others)}; use AdamW alone."
            )
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


def _is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    # The two factors of a LoRA layer are no matrices of their own: Muon would make each of full rank at any size.
    return parameter.ndim == 2 and ("layers." in name or "blocks." in name) and ".lora_" not in name
