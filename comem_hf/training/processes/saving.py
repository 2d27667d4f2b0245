"""Saving a model whose weights may be spread over processes, and checking that what was saved is whole."""

from functools import partial
from pathlib import Path

import torch

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.modeling.fingerprint_comem import checksum
from comem_hf.modeling.key_names_comem import to_checkpoint_key
from comem_hf.modeling.loading_checks_comem import refuse_bad_numbers
from comem_hf.modeling.reader_adapter_comem import MERGED
from comem_hf.modeling.sharded_weights_comem import is_sharded, whole_shape, whole_tensor
from comem_hf.modeling.tensor_files_comem import open_tensors


def save_whole(model: CoMemForConditionalGeneration, folder: str | Path, *, writes: bool, memory_only: bool) -> None:
    """Save a model with `save_pretrained`, and check what was saved; all processes must call this.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model; its weights may be spread over the processes, by FSDP2 or
            ZeRO-3.
        folder (`str` or `Path`): The folder.
        writes (`bool`): Whether this process writes.
        memory_only (`bool`): As for [`~CoMemForConditionalGeneration.save_pretrained`].

    Raises:
        RuntimeError: If a tensor is missing from the files, has another shape, or is not finite.
    """
    state_dict = None
    if is_sharded(model):
        state_dict = _whole_state_dict(model, keep=writes, memory_only=memory_only)
        if memory_only:
            model.config.backbone_checksum = _whole_checksum(model)
    if writes:
        model.save_pretrained(folder, memory_only=memory_only, state_dict=state_dict)
        check_is_whole(model, folder, memory_only=memory_only)


def check_is_whole(model: CoMemForConditionalGeneration, folder: str | Path, *, memory_only: bool) -> None:
    """Raise a `RuntimeError` unless a folder holds all tensors of a model, in their shapes, its own ones finite."""
    try:
        saved = open_tensors(folder)
        missing = []
        by_key = {to_checkpoint_key(name): tensor for name, tensor in model.state_dict(keep_vars=True).items()}
        present = {id(tensor) for key, tensor in by_key.items() if key in saved}  # tied weights are saved once
        for key, tensor in by_key.items():
            if key == MERGED or memory_only and key not in saved and key.startswith(model._held_elsewhere()):
                continue
            if id(tensor) not in present:
                missing.append(key)
            elif key in saved and tuple(saved[key].get_shape()) != tuple(whole_shape(tensor)):
                raise ValueError(f"`{key}` has the shape {saved[key].get_shape()}, not {list(whole_shape(tensor))}.")
        if missing:
            raise ValueError(f"{len(missing)} tensors are missing, such as `{missing[0]}`.")
        own = {key: saved[key][...] for key in map(to_checkpoint_key, model.own_parameters()) if key in saved}
        refuse_bad_numbers(folder, own)
    except ValueError as error:
        raise RuntimeError(f"The model in {str(folder)!r} was not saved as it should be: {error}") from error


def _whole_state_dict(
    model: CoMemForConditionalGeneration, *, keep: bool, memory_only: bool
) -> dict[str, torch.Tensor] | None:
    """Return all weights as wholes on the CPU, in the backbone's type, in the processes that keep them."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    wholes, dtype = {}, model.backbone.dtype
    tensors = model.state_dict(keep_vars=True)
    for name, tensor in tensors.items():
        if memory_only and name.startswith(model._held_elsewhere()) or id(tensor) in wholes:
            continue
        whole = whole_tensor(tensor)
        if keep:
            wholes[id(tensor)] = whole.to("cpu", dtype if name in trained else None, copy=True)
    return {name: wholes[id(tensor)] for name, tensor in tensors.items() if id(tensor) in wholes} if keep else None


def _whole_checksum(model: CoMemForConditionalGeneration) -> str | None:
    fetchers = {name: partial(whole_tensor, tensor) for name, tensor in model.backbone.named_parameters()}
    return checksum(fetchers, model.backbone.dtype)
