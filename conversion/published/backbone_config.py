"""Reading of a backbone's configuration."""

import json
import os
from pathlib import Path

from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import CONFIG_NAME

from comem_hf.modeling.configuration_comem import BACKBONES, CoMemConfig
from comem_hf.modeling.local_paths_comem import is_repository_id

from .peft_config import ADAPTER_CONFIG
from .tensor_files import find_file


def read_backbone_config(origin: str | os.PathLike, argument: str) -> PreTrainedConfig:
    """Return the configuration of a plain backbone or of a published checkpoint, which have the same form.

    Args:
        origin (`str` or `os.PathLike`): Folder or repository.
        argument (`str`): `"source"` or `"backbone"`, for messages.

    Raises:
        ValueError: If there is none, or if it is not that of a supported backbone.
    """
    path = find_file(origin, CONFIG_NAME)
    if path is None and find_file(origin, ADAPTER_CONFIG):
        raise ValueError(f"`{argument}` {origin} is an adapter; pass the plain model that it was trained from.")
    if path is None:
        raise ValueError(f"`{argument}` {origin} has no {CONFIG_NAME}, which describes its weights; add it.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        model_type = values.get("model_type")
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is no JSON object of settings; download it again.") from None
    if model_type == CoMemConfig.model_type:
        refuse_comem(argument, origin)
    if model_type not in BACKBONES:
        raise ValueError(f"{path}: model_type must be one of {list(BACKBONES)}, got {model_type!r}.")
    try:
        return AutoConfig.for_model(**values)
    except Exception as error:  # of any type, as each field has its own check
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"{path} describes no {model_type} model ({reason}); download it again.") from error


def read_adapter_backbone_config(source: str | os.PathLike, name: str | None) -> tuple[PreTrainedConfig, str]:
    """Return the configuration of the backbone of an adapter folder that holds its weights, and where it was found.

    It is looked for in the folder itself, then under the name that the adapter has for its backbone (beside the
    folder, as a path, as a repository), then in the folder above, where training writes it in the end.

    Args:
        source (`str` or `os.PathLike`): Folder or repository with an adapter.
        name (`str`, *optional*): The name of the backbone in its `adapter_config.json`.

    Raises:
        ValueError: If there is none.
    """
    places = [str(source)]
    if os.path.isdir(source):
        above = Path(source).resolve().parent
        places += [str(above / name)] if name else []
    places += [name] if name and (os.path.isdir(name) or is_repository_id(name)) else []
    places += [str(above)] if os.path.isdir(source) else []
    for place in places:
        try:
            if find_file(place, CONFIG_NAME):
                return read_backbone_config(place, "backbone"), place
        except OSError:  # no such repository, or no connection
            continue
        except ValueError:  # in other folders it may be a configuration of something else
            if place == str(source):
                raise
    raise ValueError(
        f"{source} holds the weights of its backbone, but no {CONFIG_NAME} describes them (it names {name!r}); copy "
        "the file from the backbone into the folder, or pass `backbone=` (--backbone)."
    )


def refuse_other_vocabulary(source: str | os.PathLike, config: PreTrainedConfig, backbone: str | os.PathLike):
    """Raise a `ValueError` if a checkpoint has its own configuration with another vocabulary size than a backbone."""
    path, size = find_file(source, CONFIG_NAME), config.get_text_config().vocab_size
    said = None if path is None else _vocabulary_size(path)
    if said not in (None, size):
        raise ValueError(
            f"`backbone` {backbone} has a vocabulary of {size}, but {path} says {said}; pass the model that the "
            "checkpoint was trained from."
        )


def refuse_comem(argument: str, origin: str | os.PathLike):
    """Raise the `ValueError` for a checkpoint of this package, or for a published one in place of a plain model."""
    if argument == "source":
        raise ValueError(f"`source` {origin} is a checkpoint of this package already; load it with `from_pretrained`.")
    raise ValueError(
        f"`backbone` {origin} is itself a CoMEM checkpoint; pass the plain model that it was trained from."
    )


def _vocabulary_size(path: Path) -> int | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return values.get("vocab_size", values.get("text_config", {}).get("vocab_size"))
    except (ValueError, AttributeError):  # only the backbone's configuration is used
        return None
