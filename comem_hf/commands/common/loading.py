"""Loading of the model and the bank that a command is given, or of the embedded default."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
ReaderOption = Annotated[
    str, typer.Option(help="'plain' answers without what training changed in the model that answers.")
]


def load_model(
    name: str | Path | None, reader: str = "adapter", *, takes_items: bool = False, top_k: int | None = None
):
    """Load a CoMEM model in eval mode, on a CUDA device if there is one, and its processor.

    Args:
        name (`str`, `Path` or `None`): Folder or Hub id; `None` is the embedded model.
        reader (`str`, *optional*, defaults to `"adapter"`): As for `from_pretrained`.
        takes_items (`bool`, *optional*, defaults to `False`): Whether it must have a memory encoder.
        top_k (`int`, *optional*): Items that will be retrieved for each question, if that is known.

    Raises:
        ValueError: If it is no CoMEM model, it has no processor, no bank fits it and one must, or it
            has no slots for so many items.
        OSError: If it does not exist, or it is not in the cache and the Hub cannot be reached.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    from comem_hf.bank.encoding.fit import refuse_without_encoder
    from comem_hf.hub.checkpoint import has_weights, read_config
    from comem_hf.hub.place import MODEL, find_place
    from comem_hf.modeling.top_k_comem import check_top_k
    from comem_hf.repository.errors import unreachable

    place = find_place(str(_default("model") if name is None else name), kind=MODEL)
    config = read_config(place.folder, place.name)  # fails before gigabytes of another model are downloaded
    if takes_items:
        refuse_without_encoder(config, repr(place.name))
    if top_k is not None:
        check_top_k(top_k, config, "--top-k")
    if place.is_offline and not has_weights(place.folder):
        raise OSError(unreachable(place.name))
    processor = load_processor(place.name, **place.of_hub)
    with without_loading_bar():
        model = AutoModelForImageTextToText.from_pretrained(place.name, reader=reader, **place.of_hub).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), processor


def load_processor(name: str, **of_hub):
    """Load the processor of a model or a backbone.

    Args:
        name (`str`): Folder or Hub id.
        **of_hub: Arguments of `from_pretrained`.

    Raises:
        ValueError: If it has none.
    """
    from comem_hf.conversion.published.tensor_files import find_file
    from comem_hf.modeling import CoMemProcessor

    try:
        return CoMemProcessor.from_pretrained(name, **of_hub)
    except OSError as error:
        if any(find_file(name, file) for file in PROCESSOR_FILES):
            raise
        raise ValueError(
            f"{name!r} has no processor; save the backbone's beside it: "
            "`CoMemProcessor.from_pretrained(backbone).save_pretrained(model)`."
        ) from error


def open_bank(name: str | Path | None):
    """Open a memory bank, without attaching it to a model.

    Args:
        name (`str`, `Path` or `None`): Folder or Hub id; `None` is the embedded bank.

    Raises:
        ValueError: If it is no memory bank, or damaged.
        OSError: If it does not exist, or it is not in the cache and the Hub cannot be reached.
    """
    from comem_hf.bank import MemoryBank
    from comem_hf.hub.place import BANK, find_place

    place = find_place(str(_default("bank") if name is None else name), kind=BANK)
    return MemoryBank.from_pretrained(place.name, repo_type=place.repo_type or "dataset", **place.of_hub)


@contextmanager
def without_loading_bar() -> Iterator[None]:
    """Hide transformers' progress bar of reading weights, but not those of downloads."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging

    if are_progress_bars_disabled() or not logging.is_progress_bar_enabled():
        yield  # they are off: switching them on again would warn if the environment variable is set
        return
    logging.disable_progress_bar()
    enable_progress_bars()  # those of downloads
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _default(part: str) -> Path:
    from comem_hf.default import default_path

    return default_path(part)
