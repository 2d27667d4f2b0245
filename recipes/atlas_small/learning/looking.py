"""Queries that look at what they shall find: a direction to start along, and a fit."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm


RIDGE = 0.1
STEPS, RATE = 200, 3e-3
SMALLEST = 1e-6  # share, so that its logarithm is finite


@dataclass(frozen=True)
class Kinds:
    """States of items, padded, and of what kinds their tokens are.

    Args:
        states (`torch.Tensor` of shape `(items, length, hidden)`): What a resampler reads.
        is_there (`torch.Tensor` of shape `(items, length)`): False at padding.
        is_of (`torch.Tensor` of shape `(items, length, kinds)`): 1 where a token is of a kind, else 0.
    """

    states: torch.Tensor
    is_there: torch.Tensor
    is_of: torch.Tensor


def directions_of_kinds(kinds: Kinds) -> torch.Tensor:
    """Compute the directions in which states of each kind stand out from all others.

    They are those of a ridge regression from normalised states to kinds. Mean states would have much in common.

    Returns:
        `torch.Tensor` of shape `(kinds, hidden)`.
    """
    states, is_of = kinds.states[kinds.is_there], kinds.is_of[kinds.is_there]
    states = functional.layer_norm(states, states.shape[-1:])
    states, is_of = states - states.mean(0), is_of - is_of.mean(0)
    squares = states.T @ states / len(states) + RIDGE * torch.eye(states.shape[1])
    return torch.linalg.solve(squares, states.T @ is_of / len(states)).T


def look_at_kinds(resampler: nn.Module, kinds: Kinds, steps: int = STEPS) -> list[float]:
    """Fit queries and keys of a resampler's first layer until each query looks at what is of its kind.

    Args:
        resampler (`nn.Module`): A resampler that starts along [`directions_of_kinds`]. If it has fewer queries than
            there are kinds, each looks for several; if it has more, the others are not fitted.
        kinds ([`Kinds`]): Items.
        steps (`int`, *optional*, defaults to 200): Updates.

    Returns:
        `list[float]`: For each query, the share of its attention that goes to what it looks for, mean of heads and
            items.
    """
    attention, queries = resampler.layers[0].attention, resampler.queries.weight
    num_kinds, length = kinds.is_of.shape[-1], kinds.is_of.shape[1]
    groups = torch.arange(num_kinds).tensor_split(min(len(queries), num_kinds))
    looked_for = torch.stack([kinds.is_of[..., group].amax(-1) for group in groups], dim=1)  # (items, queries, length)
    is_told = looked_for.any(-1)
    padding = torch.where(kinds.is_there, 0.0, -torch.inf)[:, None, None]
    fitted = [queries, attention.to_query.weight, attention.to_key.weight]
    optimizer = torch.optim.Adam(fitted, lr=RATE)

    def in_heads(states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    for _ in tqdm(range(steps), desc="Queries"):
        asked = attention.query_norm(queries)[None]
        looking = in_heads(attention.to_query(asked)) / attention.head_dim**0.5
        at_items = looking @ in_heads(attention.to_key(attention.context_norm(kinds.states))).mT + padding
        at_queries = (looking @ in_heads(attention.to_key(asked)).mT).expand(len(at_items), -1, -1, -1)
        shares = torch.cat([at_items, at_queries], dim=-1).softmax(-1)[:, :, : len(groups), :length]
        shares = (shares * looked_for[:, None]).sum(-1).transpose(1, 2)[is_told]  # (what is told, heads)
        loss = -shares.clamp(min=SMALLEST).log().mean()
        optimizer.zero_grad()
        loss.backward(inputs=fitted)
        optimizer.step()
    optimizer.zero_grad()
    told = torch.zeros(is_told.shape).masked_scatter(is_told, shares.detach().mean(-1))
    return (told.sum(0) / is_told.sum(0).clamp(min=1)).tolist()
