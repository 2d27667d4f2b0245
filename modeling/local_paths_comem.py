"""What a configuration tells of the folders of this machine, which is nobody else's business."""

import copy
import os

from transformers import PreTrainedConfig


def without_local_paths(config: PreTrainedConfig, keep_backbone: bool = False) -> PreTrainedConfig:
    """Returns a copy of a [`CoMemConfig`] that does not tell where on this machine its parts were."""
    config = copy.deepcopy(config)
    backbone = config.backbone_config
    for part in (config, backbone, backbone.get_text_config(), backbone.vision_config):
        if is_local(part.name_or_path):
            part.name_or_path = ""
    backbone.__dict__.pop("quantization_config", None)  # the weights of a checkpoint never are
    if not keep_backbone and is_local(config.backbone_name_or_path):
        config.backbone_name_or_path = config.backbone_revision = None
    return config


def is_local(name: str | None) -> bool:
    """Whether a name is that of a folder rather than of a repository."""
    return bool(name) and (os.path.isabs(name) or str(name).startswith((".", "~")) or os.path.exists(name))


def refuse_local_backbone(config: PreTrainedConfig):
    """Raises a `ValueError` if a [`CoMemConfig`] does not tell others where to find the backbone."""
    name = config.backbone_name_or_path
    if name is None or is_local(name):
        raise ValueError(
            f"A memory encoder is published with the name of its backbone, but that is {name!r}: set "
            "`config.backbone_name_or_path` (and `config.backbone_revision`) to the backbone's repository before "
            "pushing."
        )


__all__ = ["is_local", "refuse_local_backbone", "without_local_paths"]
