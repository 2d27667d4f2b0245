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


__all__ = ["is_local", "without_local_paths"]
