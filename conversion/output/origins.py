"""Where a checkpoint is read from: a folder or a repository that is there, which is found out before all else."""

import os

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME

from comem_hf.conversion.published.peft_config import ADAPTER_CONFIG


def check_origin(argument: str, origin: str | os.PathLike | None):
    """
    Raises an error unless a folder or a repository can be read.

    Args:
        argument (`str`): What the argument is called, for messages.
        origin (`str` or `os.PathLike`, *optional*): The folder or repository.

    Raises:
        `ValueError`: If it can be neither.
        `OSError`: If it cannot be read, or the Hub not be asked.
    """
    if origin is None or os.path.isdir(origin):
        return
    name = f"`{argument}` {str(origin)!r}"
    if os.path.exists(origin):
        raise ValueError(f"{name} is a file; pass the folder that it lies in.")
    try:
        validate_repo_id(str(origin))
    except HFValidationError:
        raise ValueError(f"{name} is neither a folder nor a Hub repository.") from None
    if any(isinstance(try_to_load_from_cache(str(origin), file), str) for file in (CONFIG_NAME, ADAPTER_CONFIG)):
        return
    if constants.HF_HUB_OFFLINE:
        raise OSError(f"{name} is no folder here, and HF_HUB_OFFLINE=1 forbids looking on the Hub.")
    try:
        hf_hub_download(str(origin), CONFIG_NAME)
    except GatedRepoError:
        raise OSError(f"{name} is gated; ask for access at {constants.ENDPOINT}/{origin}.") from None
    except RepositoryNotFoundError:
        raise OSError(
            f"{name} is no folder here and no repository on the Hub, or a private one that needs `hf auth login`."
        ) from None
    except LocalEntryNotFoundError as error:  # which is how a connection fails
        raise OSError(
            f"{name} is no folder here, and the Hub cannot be asked ({_first_line(error.__cause__ or error)}); check "
            "the connection."
        ) from error
    except EntryNotFoundError:
        return  # an adapter, which has another file


def backbone_names(model: str | os.PathLike | PreTrainedModel) -> tuple[str, ...]:
    """Returns the backbone that a model of this package names in its configuration, if any, before it is loaded."""
    if isinstance(model, PreTrainedModel):
        name = getattr(model.config, "backbone_name_or_path", None)
    else:
        name = PreTrainedConfig.get_config_dict(model)[0].get("backbone_name_or_path")
    return (name,) if isinstance(name, str) else ()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


__all__ = ["check_origin", "backbone_names"]
