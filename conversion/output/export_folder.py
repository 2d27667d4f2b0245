"""A model to be written out in another form, and the folder for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME

from comem_hf.files.whole_folder import whole_folder
from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.repository.readable import refuse_unreadable

from .replaceable import refuse_unless_replaceable


@contextmanager
def open_export(
    model: str | os.PathLike | CoMemForConditionalGeneration,
    output: str | os.PathLike,
    backbone: str | os.PathLike | None,
    overwrite: bool,
    kind: str,
) -> Iterator[tuple[CoMemForConditionalGeneration, Path, str | os.PathLike | None]]:
    """
    Checks what can be checked beforehand, then loads a model.

    Args:
        model (`str`, `os.PathLike` or [`CoMemForConditionalGeneration`]): Folder, repository or loaded model.
        output (`str` or `os.PathLike`): Folder to write, apart from all that is read.
        backbone (`str` or `os.PathLike`, *optional*): The backbone of a memory-only checkpoint.
        overwrite (`bool`): Whether what is in `output` may be replaced, if it is of the same kind.
        kind (`str`): What is written, one of [`refuse_unless_replaceable`]'s.

    Yields:
        The model, the folder that becomes `output`, and where the model was loaded from, if it was not loaded before.
    """
    source = None if isinstance(model, PreTrainedModel) else model
    for argument, name in (("model", source), ("backbone", backbone)):
        refuse_unreadable(argument, name, (CONFIG_NAME,))
    inputs = (source, backbone, _backbone_name(model))
    check_replaceable = partial(refuse_unless_replaceable, kind=kind)
    with whole_folder(
        output, "output", inputs=inputs, overwrite=overwrite, check_replaceable=check_replaceable
    ) as folder:
        if source is not None:
            model = CoMemForConditionalGeneration.from_pretrained(source, backbone=backbone)
        yield model, folder, source


def _backbone_name(model: str | os.PathLike | PreTrainedModel) -> str | None:
    """Returns the backbone that a model of this package names in its configuration, before it is loaded."""
    if isinstance(model, PreTrainedModel):
        return getattr(model.config, "backbone_name_or_path", None)
    return PreTrainedConfig.get_config_dict(model)[0].get("backbone_name_or_path")


__all__ = ["open_export"]
