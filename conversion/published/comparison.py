"""Comparison of weights and of whole backbones."""

import torch

from .tensor_files import LazyTensor


EMBEDDINGS = "model.language_model.embed_tokens.weight"


def same_weights(ours: LazyTensor, theirs: LazyTensor) -> bool:
    """Whether two tensors are equal, or one of them is the other rounded to its own dtype."""
    if ours.shape != theirs.shape:
        return False
    ours, theirs = ours.load(), theirs.load()
    return torch.equal(ours, theirs.to(ours.dtype)) or torch.equal(theirs, ours.to(theirs.dtype))


def add_tensor(tensors: dict[str, LazyTensor], name: str, tensor: LazyTensor):
    """Add a tensor under a name that several keys of a checkpoint may have.

    Raises:
        ValueError: If a different tensor has the name already.
    """
    if name in tensors and not same_weights(tensors[name], tensor):
        raise ValueError(
            f"{tensors[name].origin} and {tensor.origin} are the same weight under two names, but differ; remove the "
            "one that is out of date."
        )
    tensors.setdefault(name, tensor)


def refuse_other_copy(copy: dict[str, LazyTensor], backbone: dict[str, LazyTensor], source: str, backbone_source: str):
    """Raise a `ValueError` if a backbone differs from the copy that a checkpoint holds."""
    for name, tensor in copy.items():
        if name not in backbone:
            if name == "lm_head.weight":  # tied to the embeddings
                continue
            raise ValueError(f"`backbone` {backbone_source} lacks {name}, which {source} holds.")
        if not same_weights(tensor, backbone[name]):
            raise ValueError(f"`backbone` {backbone_source} is not the one in {source}: {name} differs.")


def changed_weights(ours: dict[str, LazyTensor], theirs: dict[str, LazyTensor]) -> list[str]:
    """Return the names of the tensors that differ from the other tensors of the same names."""
    return [name for name, tensor in ours.items() if name in theirs and not same_weights(tensor, theirs[name])]


def refuse_other_origin(changed: list[str], frozen: int, source: str, backbone_source: str):
    """Raise a `ValueError` if a backbone cannot be the one from which a checkpoint was trained.

    That is the case if the embeddings differ, or more than half of the weights that adapters do not change.

    Args:
        changed (`list[str]`): Names of the weights that differ though no adapter changes them.
        frozen (`int`): How many such weights there are.
        source (`str`), backbone_source (`str`): Where checkpoint and backbone are from.
    """
    if EMBEDDINGS not in changed and 2 * len(changed) <= frozen:
        return
    first = EMBEDDINGS if EMBEDDINGS in changed else changed[0]
    what = f"{first} differs" if len(changed) == 1 else f"{first} and {len(changed) - 1} more weights differ"
    raise ValueError(
        f"`backbone` {backbone_source} is not the model that {source} was trained from: {what}, which adapters do "
        "not change; pass the right model."
    )
