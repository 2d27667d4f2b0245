"""Loading what a command was told to use, or the embedded default."""

from pathlib import Path


def load_model(name: str | Path | None):
    """A CoMEM model as `load_model_alone` gives it, and its processor.

    Args:
        name (`str`, `Path` or `None`): Folder or Hub id; `None` is the embedded model.
    """
    from transformers import AutoProcessor

    name = _default("model") if name is None else name
    return load_model_alone(name), AutoProcessor.from_pretrained(str(name))


def load_model_alone(name: str | Path):
    """A CoMEM model in eval mode, on the accelerator if there is one.

    Args:
        name (`str` or `Path`): Folder or Hub id.

    Raises:
        ValueError: If it is a folder without a CoMEM model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.utils import logging

    name = str(name)
    if Path(name).exists() and not (Path(name) / "config.json").is_file():
        raise ValueError(f"{name!r} is no model folder: it has no config.json.")
    model_type = AutoConfig.from_pretrained(name).model_type
    if model_type != "comem":
        raise ValueError(f"{name!r} is a {model_type!r} model, not a CoMEM model.")
    logging.disable_progress_bar()
    try:
        model = AutoModelForImageTextToText.from_pretrained(name).eval()
    finally:
        logging.enable_progress_bar()
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def open_bank(name: str | Path | None):
    """A memory bank, not attached to a model yet.

    Args:
        name (`str`, `Path` or `None`): Folder or Hub id; `None` is the embedded bank.
    """
    from comem_hf.bank import MemoryBank

    return MemoryBank.from_pretrained(_default("bank") if name is None else name)


def _default(part: str) -> Path:
    from comem_hf.default import default_path

    return default_path(part)
