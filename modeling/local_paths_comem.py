"""Keeping the local paths of this machine, which are private, out of configurations."""

import copy
import os
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedConfig


def without_local_paths(config: PreTrainedConfig, keep_backbone: bool = False) -> PreTrainedConfig:
    """Return a copy of a [`CoMemConfig`] without the local paths of its parts."""
    config = copy.deepcopy(config)
    backbone = config.backbone_config
    reader = () if config.reader_config is None else (config.reader_config,)
    for part in (config, backbone, backbone.get_text_config(), backbone.vision_config, *reader):
        if is_local(part.name_or_path):
            part.name_or_path = ""
    for part in (backbone, *reader):
        part.__dict__.pop("quantization_config", None)  # the weights of a checkpoint are never quantized
    if not keep_backbone and is_local(config.backbone_name_or_path):
        config.backbone_name_or_path = config.backbone_revision = None
    if not keep_backbone and is_local(config.reader_name_or_path):
        config.reader_name_or_path = config.reader_revision = None
    return config


def is_repository_id(name: str | os.PathLike, allow_without_owner: bool = False) -> bool:
    """Whether a name can be the id of a repository on the Hub, `"user/name"`.

    Args:
        name (`str` or `os.PathLike`): The name.
        allow_without_owner (`bool`, *optional*, defaults to `False`): Accept `"name"`, too, as early models have it.
    """
    try:
        validate_repo_id(str(name))
    except HFValidationError:
        return False
    return allow_without_owner or "/" in str(name)


def is_local(name: str | os.PathLike | None) -> bool:
    """Whether a name means a folder and not a repository: it exists as a path, or it cannot be a repository's id."""
    return bool(name) and (os.path.exists(name) or not is_repository_id(name))


def public_name(name: str | os.PathLike) -> str:
    """Return a repository's id, or a folder's name without its path, which is private."""
    return Path(name).resolve().name if is_local(name) else str(name)


def refuse_local_backbone(config: PreTrainedConfig):
    """Raise a `ValueError` if a [`CoMemConfig`] names no repository as its backbone."""
    name = config.backbone_name_or_path
    if name is None or is_local(name):
        raise ValueError(
            f"A memory encoder is published with the Hub id of its backbone, but the backbone is {name!r}: set "
            "`config.backbone_name_or_path` (and `config.backbone_revision`) to the backbone's repository before "
            "pushing."
        )
    if is_local(config.reader_name_or_path):
        raise ValueError(
            "A memory-only checkpoint is published with the Hub id of its text-only reader, but that is "
            f"{config.reader_name_or_path!r}: set `config.reader_name_or_path` (and `config.reader_revision`) to the "
            "reader's repository before pushing, or to None to publish the reader, too."
        )


__all__ = ["is_local", "is_repository_id", "public_name", "refuse_local_backbone", "without_local_paths"]
