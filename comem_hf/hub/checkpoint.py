"""The checkpoint in a model's folder, known by the headers of its files."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.constants import SAFETENSORS_INDEX_FILE, SAFETENSORS_SINGLE_FILE

from comem_hf.cards.places import parameters_by_part


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemConfig


def read_config(folder: Path, name: str | None = None) -> "CoMemConfig":
    """Read the configuration of a CoMEM model.

    Args:
        folder (`Path`): Folder of its `config.json`.
        name (`str`, *optional*): Name of the model in messages; defaults to `folder`.

    Raises:
        ValueError: If it is no CoMEM model.
    """
    from comem_hf.modeling.configuration_comem import CoMemConfig

    name = str(folder) if name is None else name
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{name!r} is no model: it has no config.json.") from None
    except ValueError as error:
        raise ValueError(f"config.json of {name!r} is not valid JSON: {error}.") from error
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if model_type != CoMemConfig.model_type:
        raise ValueError(f"{name!r} is a {model_type!r} model, not a CoMEM model.")
    return CoMemConfig.from_pretrained(folder)


def has_weights(folder: Path) -> bool:
    """Whether a folder has all files of its weights."""
    from comem_hf.modeling.tensor_files_comem import open_tensors

    try:
        return bool(open_tensors(folder))
    except ValueError:
        return False


@dataclass(frozen=True)
class Checkpoint:
    """A full or memory-only checkpoint, whose weights stay on disk.

    Args:
        folder (`Path`): Its folder.
        config ([`CoMemConfig`]): Its configuration.
        tensors (`dict`): Its tensors by name, not read yet.
    """

    folder: Path
    config: "CoMemConfig"
    tensors: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read the headers of a checkpoint.

        Raises:
            ValueError: If the folder holds no CoMEM model, or a file of it is missing, truncated or corrupt.
        """
        from comem_hf.modeling.tensor_files_comem import open_tensors

        config = read_config(folder)
        return cls(folder, config, open_tensors(folder))

    @property
    def weight_files(self) -> list[str]:
        """Names of the files that loading reads: the whole file if there is one, else the index and its shards."""
        if (self.folder / SAFETENSORS_SINGLE_FILE).is_file():
            return [SAFETENSORS_SINGLE_FILE]
        index = json.loads((self.folder / SAFETENSORS_INDEX_FILE).read_text(encoding="utf-8"))
        return [SAFETENSORS_INDEX_FILE, *sorted(set(index["weight_map"].values()))]

    def check(self) -> None:
        """Compare the headers with the tensors that the configuration requires.

        Raises:
            ValueError: If tensors are missing or left over, or one has another shape.
        """
        from comem_hf.modeling.key_names_comem import to_checkpoint_keys
        from comem_hf.modeling.loading_checks_comem import refuse_loading_errors
        from comem_hf.modeling.reader_adapter_comem import MERGED

        model = self._without_weights()
        own = model.own_parameters if self.config.memory_only else model.state_dict
        needed = {key: tensor for key, tensor in to_checkpoint_keys(own()).items() if key != MERGED}
        shared = model.get_expanded_tied_weights_keys(all_submodels=True)
        shapes = {key: tuple(value.get_shape()) for key, value in self.tensors.items()}
        mismatched = {
            (key, shape, tuple(needed[key].shape))
            for key, shape in shapes.items()
            if key in needed and shape != tuple(needed[key].shape)
        }
        missing, unexpected = needed.keys() - shapes.keys() - shared.keys(), shapes.keys() - needed.keys()
        refuse_loading_errors(
            self.folder, {"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": mismatched}
        )

    def memory_fingerprint(self) -> str | None:
        """Return the fingerprint by which memory banks know the model.

        It is read from `config.json`, or else computed from the weights, one tensor at a time. It is `None` for a
        memory-only checkpoint without one in `config.json`, as the backbone would be needed.
        """
        from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration

        if self.config.memory_fingerprint or self.config.memory_only:
            return self.config.memory_fingerprint
        readers = {key: partial(value.__getitem__, ...) for key, value in self.tensors.items()}
        return CoMemForConditionalGeneration.fingerprint_of_files(self.config, readers)

    def parameters_by_part(self) -> dict[str, int]:
        """Return the number of stored parameters of each part, such as `"backbone"` or `"memory_encoder"`."""
        return parameters_by_part({key: math.prod(value.get_shape()) for key, value in self.tensors.items()})

    def _without_weights(self):
        import torch

        from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration

        with torch.device("meta"):
            return CoMemForConditionalGeneration(self.config)
