"""Saving and loading a model, and the fingerprint of what its memory vectors depend on."""

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from .backbone_comem import HUB_ARGUMENTS, commit_of
from .configuration_comem import CoMemConfig
from .fingerprint_comem import WITHOUT_CHECKSUM
from .key_names_comem import to_checkpoint_key, to_checkpoint_keys
from .loading_checks_comem import refuse_bad_numbers, refuse_loading_errors
from .loading_comem import load_onto_backbone
from .local_paths_comem import refuse_local_backbone, without_local_paths
from .memory_encoder_comem import CoMemMemoryEncoder
from .memory_fingerprint_comem import CoMemFingerprintMixin
from .reader_adapter_comem import MERGED, READERS, foreign_adapters, refuse_saved_modules
from .reader_comem import LANGUAGE_MODEL
from .reader_loading_comem import checksum_of_named_reader, refuse_unsavable_reader
from .remote_code_comem import enter_remote_code
from .sharded_weights_comem import is_sharded, plain_copy


logger = logging.get_logger(__name__)


class CoMemCheckpointMixin(CoMemFingerprintMixin):
    """The methods of the model for saving and loading, which check all keys.

    Keys in a checkpoint:

    | key | what it is |
    |---|---|
    | `backbone.*` | the backbone, by the names of its own class |
    | `memory_encoder.model.*.lora_A.weight`, `.lora_B.weight` | the adapter (`encoder="adapter"`) |
    | `memory_encoder.model.*` | the encoder's own weights (`encoder="separate"`) |
    | `memory_encoder.resampler.*` | see [`CoMemResampler`] |
    | `reader_adapter.*.lora_A.weight`, `.lora_B.weight` | the reader adapter, if the reader was trained, too |
    | `ffn_memory.*` | see [`CoMemFfnMemory`] |
    | `vision_memory.*` | see [`CoMemVisionMemory`] |
    | `reader.language_model.*` | a text-only reader, by the names of its own class |
    | `reader.projection.*` | the way to its width, if that is not the backbone's |

    A memory-only checkpoint lacks `backbone.*`, and `reader.language_model.*` if the configuration names that. Names
    of layers are those inside the backbone's `.model`.
    """

    card_writer: ClassVar[Callable[..., None] | None] = None
    """Function that writes the card of a folder about to be uploaded. Its arguments are the model, the folder, the
    repository and the card (`README.md`) that the folder had before. Without it, transformers' own card is uploaded.
    """

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder

    # Set on the copy of a model that is about to be pushed.
    _pushed_memory_only = False
    _own_card: str | None = None

    def save_pretrained(self, save_directory: str | os.PathLike, *args, memory_only: bool | None = None, **kwargs):
        """Write a checkpoint that plain `from_pretrained` reads.

        Args:
            save_directory (`str` or `os.PathLike`): Folder, made if needed.
            memory_only (`bool`, *optional*, defaults to `False`): Leave out the backbone. The configuration then names
                it by `backbone_name_or_path` and `backbone_revision`, and loading needs it. By `backbone_checksum`,
                loading refuses a backbone with other weights.
            *args, **kwargs: As for [`~transformers.PreTrainedModel.save_pretrained`]. `save_original_format` has no
                effect: keys are always those of [`CoMemCheckpointMixin`].

        Raises:
            ValueError: If the backbone is quantized and `memory_only` is not set, or if a model to be pushed with
                `memory_only` names no repository as its backbone.
        """
        memory_only = self._pushed_memory_only if memory_only is None else memory_only
        if getattr(self, "_hf_peft_config_loaded", False) and not memory_only:  # the user's adapter, as for any model
            return super().save_pretrained(save_directory, *args, **kwargs)
        if memory_only and kwargs.get("push_to_hub"):
            refuse_local_backbone(self.config)
        if not memory_only and getattr(self.backbone, "hf_quantizer", None) is not None:
            raise ValueError(
                "A model with a quantized backbone can be saved with `memory_only=True` only; that checkpoint "
                "then fits any copy of the backbone, quantized or not."
            )
        if kwargs.get("state_dict") is None and is_sharded(self):
            raise ValueError(
                "The weights of this model are spread over processes; collect them in all of these with "
                "`state_dict=accelerator.get_state_dict(model)`, and save with that in one."
            )
        self.config.check_per_call_fields()
        refuse_saved_modules(self)
        if not memory_only:
            self._refuse_adapters_beside()
        self.memory_encoder.check_weights()
        refuse_unsavable_reader(self, memory_only)
        state_dict = kwargs.pop("state_dict", None)
        is_whole = state_dict is None and self._is_whole()
        state_dict = to_checkpoint_keys(self.state_dict() if state_dict is None else state_dict)
        if memory_only:
            apart = self._held_elsewhere()
            state_dict = {key: tensor for key, tensor in state_dict.items() if not key.startswith(apart)}
        state_dict.pop(MERGED, None)  # as the configuration says it
        config = self.config
        checksum = self._checksum_of_backbone() if memory_only or config.reader_lora_config else None
        if memory_only and config.backbone_name_or_path is None:
            logger.warning(
                f"{save_directory} will name no backbone and can be loaded with `backbone=` only; set "
                "`config.backbone_name_or_path` and `config.backbone_revision` before saving to change that."
            )
        if memory_only and checksum is None:
            logger.warning(
                f"{save_directory} will be loaded onto any backbone of the same shape: there is no checksum of "
                f"{WITHOUT_CHECKSUM}; load the backbone in bfloat16 or float32 before saving to change that."
            )
        # The copy shares this model's modules. What differs during saving is set on the copy, so that no other thread
        # sees it.
        prepared = plain_copy(self)
        prepared.config = without_local_paths(config, keep_backbone=memory_only)
        enter_remote_code(prepared.config, type(prepared))
        prepared.config.memory_only = memory_only
        prepared.config.backbone_checksum = checksum
        prepared.config.reader_checksum = checksum_of_named_reader(self) if memory_only else None
        prepared.config.memory_fingerprint = self.memory_fingerprint() if is_whole else None
        own_card = Path(save_directory, "README.md")
        if kwargs.get("push_to_hub") and own_card.is_file():  # transformers would replace it by its own
            prepared._own_card = own_card.read_text(encoding="utf-8")
        # The "original format" would restore the backbone's key names from before transformers 5.
        kwargs["save_original_format"] = False
        return super(CoMemCheckpointMixin, prepared).save_pretrained(
            save_directory, *args, state_dict=state_dict, **kwargs
        )

    def push_to_hub(self, repo_id: str, *, memory_only: bool = False, **kwargs) -> str:
        """Publish a checkpoint, with the source files that load it.

        Args:
            repo_id (`str`): Repository, made if needed.
            memory_only (`bool`, *optional*, defaults to `False`): As for [`~CoMemCheckpointMixin.save_pretrained`].
            **kwargs: As for [`~transformers.PreTrainedModel.push_to_hub`].

        Raises:
            ValueError: If `memory_only` is set and the configuration names no repository as the backbone.
        """
        if memory_only:
            refuse_local_backbone(self.config)
        # transformers' own method does not pass arguments that it does not know to `save_pretrained`.
        prepared = copy.copy(self)
        prepared._pushed_memory_only = memory_only
        return super(CoMemCheckpointMixin, prepared).push_to_hub(repo_id, **kwargs)

    def _upload_modified_files(self, working_dir: str | os.PathLike, repo_id: str, *args, **kwargs):
        # All of transformers' methods that upload to the Hub call this one.
        if self.card_writer is not None:
            self.card_writer(Path(working_dir), repo_id, self._own_card)
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)

    def _refuse_adapters_beside(self):
        """Raise a `ValueError` if layers around the backbone's own keep its weights out of a checkpoint."""
        adapted = foreign_adapters(self.backbone)
        if adapted:
            raise ValueError(
                f"A checkpoint of this model cannot hold what PEFT has put on its backbone, such as {adapted[0]!r}; "
                "save that with PEFT's own methods, and this model with `memory_only=True`, or make a LoRA adapter "
                "its reader adapter with `adopt_reader_adapter`."
            )
        if self.reader_adapter is not None and self._is_beside_offloaded_weights():
            raise ValueError(
                "A model whose reader adapter is beside offloaded weights can be saved with `memory_only=True` only; "
                "load it without offloading to save all of it."
            )

    def _is_whole(self) -> bool:
        """Whether all weights are in memory, as exact as in a checkpoint."""
        quantized = getattr(self.backbone, "hf_quantizer", None) is not None
        return not quantized and not any(parameter.is_meta for parameter in self.parameters())

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *args,
        backbone: str | os.PathLike | PreTrainedModel | None = None,
        reader: str = "adapter",
        **kwargs,
    ):
        """Load a full or a memory-only checkpoint.

        Args:
            pretrained_model_name_or_path (`str` or `os.PathLike`): Folder or repository.
            backbone (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`], *optional*): The backbone of a
                memory-only checkpoint, if not the one that its configuration names. Give a loaded model to this
                class itself: `AutoModel` and the other auto classes copy their arguments, including all weights.
            reader (`str`, *optional*, defaults to `"adapter"`): For a checkpoint with a reader adapter. `"adapter"`:
                the trained reader, the adapter merged into the backbone's weights, or beside those of a loaded
                `backbone`, or of one that is quantized or offloaded and apart from the checkpoint. `"plain"`: the
                backbone as it was before training, up to rounding, for comparisons. `"trainable"`: the adapter beside
                the weights, to go on training it. The memory vectors are the same.
            *args, **kwargs: As for [`~transformers.PreTrainedModel.from_pretrained`]. Arguments for fetching and
                placing weights also apply to the backbone of a memory-only checkpoint, except `variant`.
                `device_map` and `quantization_config` are about the backbone; the memory encoder's own weights are
                placed with it and not quantized.

        Raises:
            ValueError: If keys are missing or left over, or if a tensor has another shape. Nothing is ever silently
                initialised anew. Also if the backbone of a memory-only checkpoint is another one.
            OSError: If the backbone of a memory-only checkpoint cannot be found.
        """
        if kwargs.get("weights_only") is False:
            raise ValueError("`weights_only` must not be False: nothing is ever unpickled.")
        if reader not in READERS:
            raise ValueError(f"`reader` must be one of {list(READERS)}, got {reader!r}.")
        path = pretrained_model_name_or_path
        hub_kwargs = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        memory_only = path is not None and _is_memory_only(path, kwargs.get("config"), hub_kwargs)
        if backbone is not None and not memory_only:
            raise ValueError(f"`backbone` is for memory-only checkpoints, but {path} holds its own backbone.")
        want_info = kwargs.pop("output_loading_info", False)
        model = load_onto_backbone(cls, path, backbone, reader, hub_kwargs, **kwargs)
        if path is not None:  # transformers does not note it any more; a bank names the commit of its model
            model.config._commit_hash = commit_of(path, {**hub_kwargs, "local_files_only": True})
        info = {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}
        return (model, info) if want_info else model

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor], strict: bool = True, assign: bool = False):
        """Load as [`~torch.nn.Module`] does; accept the keys of a checkpoint, too."""
        names = {to_checkpoint_key(name): name for name in self.state_dict()}
        state_dict = {names.get(key, key): tensor for key, tensor in state_dict.items()}
        if self.reader_adapter is not None:
            self._check_reader_of(state_dict)
        result = super().load_state_dict(state_dict, strict=strict, assign=assign)
        self.memory_encoder.note_weights()
        return result

    def _check_reader_of(self, state_dict: dict[str, torch.Tensor]):
        """Refuse weights in which the reader adapter is merged if it is beside those of this model, or the reverse."""
        merged = self.config.reader_lora_config["merged"]
        has_weights = any(key.startswith("backbone.") for key in state_dict)
        # Files of checkpoints say it in their configuration only.
        if has_weights and (MERGED not in state_dict or bool(state_dict[MERGED]) != merged):
            raise ValueError(
                "The state dict does not say, or says otherwise than this model, whether the reader adapter is merged "
                "into its weights; load a checkpoint with `from_pretrained`, and a state dict into a model in which "
                f"`config.reader_lora_config['merged']` is the same (here it is {merged})."
            )
        state_dict.setdefault(MERGED, torch.tensor(merged))

    def memory_encoder_state_dict(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the memory encoder alone, by their keys in checkpoints."""
        return to_checkpoint_keys({name: tensor.detach() for name, tensor in self.memory_encoder_parameters().items()})

    def own_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the tensors of a memory-only checkpoint by name.

        These are the memory encoder's own, those of memory in feed-forward layers and vision tower, the reader
        adapter, and of a text-only reader the projection, or all of it if the configuration does not name it.
        """
        reader = self._all_of_reader() if self.config.reader_name_or_path is None else self.reader_parameters()
        adapter = {} if self.reader_adapter is None else dict(self.reader_adapter.named_parameters())
        adapter = {f"reader_adapter.{name}": value for name, value in adapter.items()}
        return self.memory_encoder_parameters() | adapter | self.site_parameters() | reader

    def _held_elsewhere(self) -> tuple[str, ...]:
        """Return what the keys start with that a memory-only checkpoint leaves out."""
        return ("backbone.",) if self.config.reader_name_or_path is None else ("backbone.", LANGUAGE_MODEL)

    def load_memory_encoder(self, state_dict: dict[str, torch.Tensor], source: str = "the given state dict"):
        """Load a result of [`~CoMemCheckpointMixin.memory_encoder_state_dict`] in place.

        Raises:
            ValueError: If keys are missing or left over, or if a tensor has another shape or is not finite.
        """
        _load_parameters(to_checkpoint_keys(self.memory_encoder_parameters()), state_dict, source)

    def load_own_tensors(self, state_dict: dict[str, torch.Tensor], source: str):
        """Load the tensors of a memory-only checkpoint in place; errors as in `load_memory_encoder`.

        A text-only reader itself is not among them: it is loaded as a model of its own.
        """
        parameters = {name: p for name, p in self.own_parameters().items() if not name.startswith(LANGUAGE_MODEL)}
        _load_parameters(to_checkpoint_keys(parameters), state_dict, source)


def _load_parameters(parameters: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor], source: str):
    mismatched = {
        (key, tensors[key].shape, parameter.shape)
        for key, parameter in parameters.items()
        if key in tensors and tensors[key].shape != parameter.shape
    }
    refuse_loading_errors(
        source,
        {
            "missing_keys": parameters.keys() - tensors.keys(),
            "unexpected_keys": tensors.keys() - parameters.keys(),
            "mismatched_keys": mismatched,
        },
    )
    refuse_bad_numbers(source, tensors)
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(tensors[key])


def _is_memory_only(path: str | os.PathLike, config: Any, hub_kwargs: dict[str, Any]) -> bool:
    if isinstance(config, PreTrainedConfig):
        return getattr(config, "memory_only", False)
    values, _ = PreTrainedConfig.get_config_dict(path if config is None else config, **hub_kwargs)
    if values.get("model_type") != "comem":
        raise ValueError(
            f"{path} holds a model of type {values.get('model_type')!r}, not 'comem'; "
            "`CoMemForConditionalGeneration.from_backbone` puts a new memory encoder on a plain backbone."
        )
    if not values.get("backbone_config"):
        raise ValueError(f"config.json of {path} lacks `backbone_config`; restore the file, or save the model again.")
    return values.get("memory_only", False)


__all__ = ["CoMemCheckpointMixin"]
