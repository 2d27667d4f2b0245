"""How a model is written and read, and what its memory vectors depend on."""

import copy
import functools
import json
import os

import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file, logging
from transformers.utils.hub import extract_commit_hash

from .adapter_comem import ADAPTER_NAME
from .fingerprint_comem import backbone_checksum, fingerprint, settings_of_memory
from .remote_code_comem import model_auto_map


# Keys in checkpoints leave out the adapter's name: `...q_proj.lora_A.weight`.
KEY_MAPPING = {rf"\.lora_{half}\.weight": f".lora_{half}.{ADAPTER_NAME}.weight" for half in "AB"}
HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
OWN_FILES_ARGUMENTS = ("revision", "subfolder", "key_mapping", "state_dict")  # of no use to the backbone
PER_CALL_FIELDS = ("memory_order", "query_vision", "decode_position_offset")
BACKBONE_ARGUMENTS = ("dtype", "device_map", "attn_implementation", "quantization_config")

logger = logging.get_logger(__name__)


class CoMemCheckpointMixin:
    """
    Saving and loading, strict about keys.

    Keys in a checkpoint:

    | key | what it is |
    |---|---|
    | `backbone.*` | the backbone, by the names of its own class |
    | `memory_encoder.model.*.lora_A.weight`, `.lora_B.weight` | the adapter (`encoder="adapter"`) |
    | `memory_encoder.model.*` | the encoder's own weights (`encoder="separate"`) |
    | `memory_encoder.resampler.*` | see [`CoMemResampler`] |

    A memory-only checkpoint lacks `backbone.*`.
    """

    def save_pretrained(self, save_directory: str | os.PathLike, *args, memory_only: bool = False, **kwargs):
        """
        Writes a checkpoint that plain `from_pretrained` reads.

        Args:
            save_directory (`str` or `os.PathLike`): Folder, made if needed.
            memory_only (`bool`, *optional*, defaults to `False`): Leave out the backbone. The configuration then names
                it by `backbone_name_or_path` and `backbone_revision`, and loading needs it: a backbone whose weights
                differ is refused by `backbone_checksum`.
            *args, **kwargs: As for [`~transformers.PreTrainedModel.save_pretrained`].
        """
        state_dict = kwargs.pop("state_dict", None)
        state_dict = to_checkpoint_keys(self.state_dict() if state_dict is None else state_dict)
        shared = to_checkpoint_keys(self.get_expanded_tied_weights_keys())
        state_dict = {key: tensor for key, tensor in state_dict.items() if key not in shared}
        if memory_only:
            state_dict = {key: tensor for key, tensor in state_dict.items() if key.startswith("memory_encoder.")}
        config = self.config
        if memory_only and config.backbone_name_or_path is None:
            logger.warning(
                f"{save_directory} will name no backbone and can be loaded with `backbone=` only; set "
                "`config.backbone_name_or_path` and `config.backbone_revision` before saving to change that."
            )
        self.config = without_local_paths(config, keep_backbone=memory_only)
        self.config.auto_map = model_auto_map(type(self))
        self.config.memory_only = memory_only
        self.config.backbone_checksum = backbone_checksum(self.backbone) if memory_only else None
        try:
            # The "original format" would bring back key names of the backbone from before transformers 5.
            return super().save_pretrained(
                save_directory, *args, state_dict=state_dict, save_original_format=False, **kwargs
            )
        finally:
            self.config = config

    def push_to_hub(self, repo_id: str, *, memory_only: bool = False, **kwargs) -> str:
        """
        Publishes a checkpoint, with the source files that load it.

        Args:
            repo_id (`str`): Repository, made if needed.
            memory_only (`bool`, *optional*, defaults to `False`): As for [`~CoMemCheckpointMixin.save_pretrained`].
            **kwargs: As for [`~transformers.PreTrainedModel.push_to_hub`].
        """
        # transformers' own method takes no argument that it does not know on to `save_pretrained`.
        self.save_pretrained = functools.partial(self.save_pretrained, memory_only=memory_only)
        try:
            return super().push_to_hub(repo_id, **kwargs)
        finally:
            del self.save_pretrained

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *args,
        backbone: str | os.PathLike | PreTrainedModel | None = None,
        **kwargs,
    ):
        """
        Loads a full or a memory-only checkpoint.

        Args:
            pretrained_model_name_or_path (`str` or `os.PathLike`): Folder or repository.
            backbone (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`], *optional*): The backbone of a
                memory-only checkpoint, if not the one that its configuration names.
            *args, **kwargs: As for [`~transformers.PreTrainedModel.from_pretrained`]. Those that say how weights are
                fetched and placed go to the backbone of a memory-only checkpoint, too.

        Raises:
            `ValueError`: If keys are missing or left over. Nothing is ever silently initialised anew.
        """
        path = pretrained_model_name_or_path
        hub_kwargs = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        if path is not None and _is_memory_only(path, kwargs.get("config"), hub_kwargs):
            want_info = kwargs.pop("output_loading_info", False)
            config = kwargs.pop("config", None) or cls.config_class.from_pretrained(path, **hub_kwargs)
            model = cls._load_memory_only(path, copy.deepcopy(config), backbone, hub_kwargs, kwargs)
            info = {name: set() for name in ("missing_keys", "unexpected_keys", "mismatched_keys")}
            return (model, {**info, "error_msgs": []}) if want_info else model
        if backbone is not None:
            raise ValueError(f"`backbone` is for memory-only checkpoints, but {path} holds one of its own.")

        want_info = kwargs.pop("output_loading_info", False)
        kwargs.setdefault("key_mapping", KEY_MAPPING)
        model, info = super().from_pretrained(path, *args, output_loading_info=True, **kwargs)
        missing = set(info["missing_keys"]) - model.get_expanded_tied_weights_keys().keys()
        _refuse_keys(path, to_checkpoint_keys(dict.fromkeys(missing)), info["unexpected_keys"])
        model.freeze_backbone()
        return (model, info) if want_info else model

    @classmethod
    def _load_memory_only(
        cls,
        path: str | os.PathLike,
        config: PreTrainedConfig,
        backbone: str | os.PathLike | PreTrainedModel | None,
        hub_kwargs: dict,
        kwargs: dict,
    ):
        for name in PER_CALL_FIELDS:
            if name in kwargs:
                setattr(config, name, kwargs.pop(name))
        config.check_per_call_fields()
        if isinstance(backbone, PreTrainedModel):
            useless = sorted(set(BACKBONE_ARGUMENTS) & kwargs.keys())
            if useless:
                raise ValueError(f"{useless} are for loading a backbone, but `backbone` is a loaded model.")
        else:
            name = backbone or config.backbone_name_or_path
            if name is None:
                raise ValueError(
                    f"{path} holds a memory encoder only and its configuration names no backbone; pass `backbone=`."
                )
            model_kwargs = {key: value for key, value in kwargs.items() if key not in OWN_FILES_ARGUMENTS}
            revision = config.backbone_revision if backbone is None else None
            backbone = AutoModelForImageTextToText.from_pretrained(name, revision=revision or "main", **model_kwargs)
        _refuse_other_shape(config.backbone_config, backbone.config, path)
        _refuse_other_weights(config.backbone_checksum, backbone, path)
        config.backbone_config = backbone.config
        config.memory_only, config.backbone_checksum = False, None
        model = cls(config, backbone=backbone)
        model.memory_encoder.to(device=backbone.device, dtype=backbone.dtype)
        model.load_memory_encoder(_read_tensors(path, hub_kwargs), source=str(path))
        if backbone.generation_config is not None:
            model.generation_config = copy.deepcopy(backbone.generation_config)
        return model.eval()

    def memory_encoder_state_dict(self) -> dict[str, torch.Tensor]:
        """Returns the tensors of the memory encoder alone, by their keys in checkpoints."""
        return to_checkpoint_keys({name: tensor.detach() for name, tensor in self.memory_encoder_parameters().items()})

    def load_memory_encoder(self, state_dict: dict[str, torch.Tensor], source: str = "the given state dict"):
        """
        Loads what [`~CoMemCheckpointMixin.memory_encoder_state_dict`] returned, in place.

        Raises:
            `ValueError`: If keys are missing or left over, or if a tensor has another shape.
        """
        parameters = to_checkpoint_keys(self.memory_encoder_parameters())
        _refuse_keys(source, parameters.keys() - state_dict.keys(), state_dict.keys() - parameters.keys())
        with torch.no_grad():
            for key, parameter in parameters.items():
                if parameter.shape != state_dict[key].shape:
                    raise ValueError(
                        f"`{key}` in {source} has shape {tuple(state_dict[key].shape)}, but this model needs "
                        f"{tuple(parameter.shape)}."
                    )
                parameter.copy_(state_dict[key])

    def memory_fingerprint(self) -> str:
        """
        Returns a SHA-256 of everything that decides which vectors an item gets: weights and settings of backbone,
        adapter and resampler. Weights count as rounded to bfloat16, so that a model has one fingerprint in float32 and
        in bfloat16.
        """
        settings = settings_of_memory(self.config)
        return fingerprint(to_checkpoint_keys(dict(self.memory_encoder.state_dict())), settings)


def to_checkpoint_keys(tensors: dict[str, object]) -> dict[str, object]:
    """Renames keys of a state dict as checkpoints have them."""
    return {key.replace(f".{ADAPTER_NAME}.weight", ".weight"): value for key, value in tensors.items()}


def without_local_paths(config: PreTrainedConfig, keep_backbone: bool = False) -> PreTrainedConfig:
    """Returns a copy of a [`CoMemConfig`] that does not tell where on this machine its parts were."""
    config = copy.deepcopy(config)
    backbone = config.backbone_config
    for part in (config, backbone, backbone.get_text_config(), backbone.vision_config):
        if _is_local(part.name_or_path):
            part.name_or_path = ""
    if not keep_backbone and _is_local(config.backbone_name_or_path):
        config.backbone_name_or_path = config.backbone_revision = None
    return config


def _is_local(name: str | None) -> bool:
    return bool(name) and (os.path.isabs(name) or str(name).startswith((".", "~")) or os.path.exists(name))


def commit_of(backbone: str | os.PathLike, backbone_kwargs: dict) -> str | None:
    """Returns the commit that a repository was just loaded at; `None` for a folder."""
    if os.path.isdir(backbone):
        return None
    hub_kwargs = {name: backbone_kwargs[name] for name in HUB_ARGUMENTS if name in backbone_kwargs}
    return extract_commit_hash(cached_file(backbone, CONFIG_NAME, **{**hub_kwargs, "force_download": False}), None)


def _is_memory_only(path, config: PreTrainedConfig | None, hub_kwargs: dict) -> bool:
    if config is not None:
        return getattr(config, "memory_only", False)
    values, _ = PreTrainedConfig.get_config_dict(path, **hub_kwargs)
    if values.get("model_type") != "comem":
        raise ValueError(
            f"{path} holds a model of type {values.get('model_type')!r}, not 'comem'; "
            "`CoMemForConditionalGeneration.from_backbone` puts a new memory encoder on a plain backbone."
        )
    return values.get("memory_only", False)


def _read_tensors(path, hub_kwargs: dict) -> dict[str, torch.Tensor]:
    index = cached_file(path, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False, **hub_kwargs)
    names = [SAFE_WEIGHTS_NAME]
    if index is not None:
        with open(index, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    return {key: tensor for name in names for key, tensor in load_file(cached_file(path, name, **hub_kwargs)).items()}


def _refuse_keys(source, missing, unexpected):
    for what, keys in (("lacks", missing), ("has unknown", unexpected)):
        if keys:
            some = ", ".join(sorted(keys)[:4])
            raise ValueError(f"{source} {what} tensors, {len(keys)} in all, such as {some}; the model was not loaded.")


def _refuse_other_shape(expected: PreTrainedConfig, given: PreTrainedConfig, path):
    def shape(config: PreTrainedConfig) -> dict:
        text, vision = config.get_text_config(), config.vision_config
        return {
            "type": config.model_type,
            "hidden size": text.hidden_size,
            "layers": text.num_hidden_layers,
            "intermediate size": text.intermediate_size,
            "vision layers": vision.depth,
        }

    if shape(expected) != shape(given):
        raise ValueError(f"{path} was made for a backbone of {shape(expected)}, but `backbone` has {shape(given)}.")


def _refuse_other_weights(expected: str | None, backbone: PreTrainedModel, path):
    given = None if expected is None else backbone_checksum(backbone)
    if given not in (None, expected):
        raise ValueError(
            f"{path} was made for a backbone with the checksum {expected}, but the weights of `backbone` have {given}."
        )


__all__ = ["CoMemCheckpointMixin", "commit_of", "to_checkpoint_keys", "without_local_paths"]
