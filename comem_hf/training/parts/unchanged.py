"""Whether tensors are the same after training, at the speed of reading them once."""

import torch
from torch import nn

from comem_hf.modeling.sharded_weights_comem import whole_tensor


@torch.no_grad()
def bits_of(module: nn.Module) -> dict[str, int]:
    """Return the sum of each parameter's bits, read as integers, by name.

    It changes with every single bit. It is no hash: it tells whether training has changed a tensor, not which of two
    models a file belongs to, and takes a tenth of the time of one, without a copy to the CPU.

    Args:
        module (`torch.nn.Module`): The module; its parameters are in memory. If they are spread over processes, all of
            these must call this at the same time.
    """
    return {name: _sum_of_bits(parameter) for name, parameter in module.named_parameters()}


def changed_since(before: dict[str, int], module: nn.Module) -> list[str]:
    """Return the names of the parameters that have changed since [`bits_of`] was called."""
    return [name for name, bits in bits_of(module).items() if before.get(name) != bits]


def _sum_of_bits(tensor: torch.Tensor) -> int:
    numbers = whole_tensor(tensor).contiguous().flatten().view(torch.uint8)
    whole = numbers.numel() // 8 * 8
    return int(numbers[:whole].view(torch.int64).sum()) + int(numbers[whole:].sum())
