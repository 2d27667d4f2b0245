"""Loading of a model for an export, and the folder for the export."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.repository.readable import refuse_unreadable

from .output_folder import output_folder


@contextmanager
def open_export(
    model: str | os.PathLike | CoMemForConditionalGeneration,
    output: str | os.PathLike,
    backbone: str | os.PathLike | None,
    overwrite: bool,
    kind: str,
) -> Iterator[tuple[CoMemForConditionalGeneration, Path, str | os.PathLike | None]]:
    """Make the checks that need no model, then load the model and open the output folder.

    Args:
        model (`str`, `os.PathLike` or [`CoMemForConditionalGeneration`]): Folder, repository or loaded model.
        output (`str` or `os.PathLike`): Folder to write, which must not overlap with the inputs.
        backbone (`str` or `os.PathLike`, *optional*): The backbone of a memory-only checkpoint.
        overwrite (`bool`): Whether an export of the same kind in `output` may be replaced.
        kind (`str`): Kind of the export, one of those of [`refuse_unless_replaceable`].

    Yields:
        The model, the folder that becomes `output`, and the model's source, `None` if it was loaded before.
    """
    source = None if isinstance(model, PreTrainedModel) else model
    for argument, name in (("model", source), ("backbone", backbone)):
        refuse_unreadable(argument, name, (CONFIG_NAME,))
    inputs = (source, backbone, _backbone_name(model))
    with output_folder(output, kind, inputs=inputs, overwrite=overwrite) as folder:
        if source is not None:
            model = CoMemForConditionalGeneration.from_pretrained(source, backbone=backbone)
        if model.config.num_memory_tokens == 0:
            raise ValueError("The model has no memory encoder to export, as its `num_memory_tokens` is 0.")
        yield model, folder, source


def _backbone_name(model: str | os.PathLike | PreTrainedModel) -> str | None:
    """Return the backbone that the configuration of a model names, without loading the model."""
    if isinstance(model, PreTrainedModel):
        return getattr(model.config, "backbone_name_or_path", None)
    return PreTrainedConfig.get_config_dict(model)[0].get("backbone_name_or_path")
