"""The folder of a trained model: what is written, and whether the backbone goes with it."""

from pathlib import Path

from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.modeling.local_paths_comem import is_local
from comem_hf.training.parts.freezing import is_quantized
from comem_hf.training.processes.saving import save_whole


def is_memory_only(model: CoMemForConditionalGeneration, choice: bool | None = None) -> bool:
    """Whether the backbone is left out of a trained model's folder.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        choice (`bool`, *optional*): What the user wants. By default, the backbone is left out if anybody can load it:
            if the model names a commit of a repository as its backbone, and as its text-only reader if it has one. A
            quantized backbone is always left out.

    Raises:
        ValueError: If the user wants to save a quantized backbone.
    """
    if choice is False and is_quantized(model):
        raise ValueError("A quantized backbone cannot be saved; leave out `memory_only=False`.")
    return is_quantized(model) or backbone_is_published(model) if choice is None else choice


def backbone_is_published(model: CoMemForConditionalGeneration) -> bool:
    """Whether a model names a commit of a repository as its backbone, and as its text-only reader if it has one."""
    config = model.config
    named = [(config.backbone_name_or_path, config.backbone_revision)]
    if config.reader_config is not None:
        named.append((config.reader_name_or_path, config.reader_revision))
    return all(name and not is_local(name) and revision for name, revision in named)


def write_model_folder(
    model: CoMemForConditionalGeneration, processor: CoMemProcessor, folder: str | Path, memory_only: bool
) -> None:
    """Write model and processor, so that `from_pretrained` loads both from the folder.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        processor ([`CoMemProcessor`]): Its processor.
        folder (`str` or `Path`): The folder, made if needed.
        memory_only (`bool`): Whether the backbone is left out.
    """
    save_whole(model, folder, writes=True, memory_only=memory_only)
    processor.save_pretrained(folder)
