"""The model that `comem train` trains: checked by its configuration, then loaded, with what is new on it."""

from collections.abc import Mapping
from json import loads
from typing import Any

from transformers import AutoConfig

from comem_hf.commands.common.loading import load_processor
from comem_hf.modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import train_only
from comem_hf.training.parts.freezing import check_has_parts, check_parts

from .options import as_option
from .settings import ModelSettings


class ModelToTrain:
    """A backbone that gets a memory encoder, or a model whose memory is trained further.

    Args:
        settings ([`ModelSettings`]): What is wanted.

    Raises:
        ValueError: If settings contradict each other or the model; of it, only the configuration has been read.
    """

    def __init__(self, settings: ModelSettings):
        self.settings = settings
        self.lora_config = _given(
            **_object("lora_config", settings.lora_config),
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
        )
        self.new_encoder = _given(
            num_memory_tokens=settings.num_memory_tokens,
            encoder=settings.encoder,
            lora_config=self.lora_config or None,
            resampler_config=_object("resampler", settings.resampler) or None,
            memory_order=settings.memory_order,
            query_vision=settings.query_vision,
        )
        self.new_sites = {
            site: _object(site, getattr(settings, site))
            for site in ("ffn_memory", "vision_memory")
            if getattr(settings, site) is not None
        }
        self.parts = [part.replace("-", "_") for part in settings.only or ()]
        self.of_hub = {} if settings.model_revision is None else {"revision": settings.model_revision}
        self._check_settings()
        self.is_new = self._check_configuration()

    def load(self) -> tuple[CoMemForConditionalGeneration, CoMemProcessor]:
        """Load the model, with what is new on it and trainable what is to be trained, and its processor."""
        settings, name = self.settings, self.settings.model
        processor = load_processor(name, **self.of_hub)
        if self.is_new:
            config = {**self.new_encoder, **self._site_configs()}
            model = CoMemForConditionalGeneration.from_backbone(
                name, reader=settings.reader, backbone_kwargs=self.of_hub, **config
            )
        else:
            reader = "trainable" if settings.train_reader else "adapter"
            model = CoMemForConditionalGeneration.from_pretrained(name, reader=reader, **self.of_hub)
            for site, values in self.new_sites.items():
                getattr(model, f"add_{site}")(**values)
        if settings.train_reader and model.reader_adapter is None:
            model.add_reader_adapter(**self.lora_config)
        if self.parts:
            check_has_parts(model, self.parts, as_typed)
            train_only(model, *self.parts)
        if settings.attn_implementation:
            model.set_attn_implementation(settings.attn_implementation)
        return model, processor

    def _check_settings(self) -> None:
        settings = self.settings
        if settings.save_backbone and settings.memory_only:
            raise ValueError("`--save-backbone` and `--memory-only` are opposites: leave one out.")
        if self.parts:
            check_parts(self.parts, as_typed)
        if settings.train_reader and self.parts and "reader_adapter" not in self.parts:
            raise ValueError(
                "`--train-reader` trains the reader adapter, which `--only` leaves out: leave out the former, or add "
                "`--only reader-adapter`."
            )
        if settings.num_memory_tokens == 0 and self.lora_config and not settings.train_reader:
            raise ValueError(
                "`--lora-rank`, `--lora-alpha` and `--lora-dropout` are for the adapter of a memory encoder or, with "
                "`--train-reader`, of the reader, but `--num-memory-tokens` is 0, so there is no encoder: leave them "
                "out."
            )

    def _check_configuration(self) -> bool:
        """Check what will be new on the model; return whether all of its memory is."""
        settings, name = self.settings, self.settings.model
        config = AutoConfig.from_pretrained(name, **self.of_hub)
        if not isinstance(config, CoMemConfig):
            CoMemConfig(backbone_config=config, **self.new_encoder, **self._site_configs())
            return True
        if settings.train_reader and config.reader_config is not None:
            raise ValueError(
                "`--train-reader` is for models whose backbone answers; this one has a text-only reader, whose "
                "projection is trained without it."
            )
        if self._new_settings():
            raise ValueError(
                f"{name!r} has a memory encoder already; {', '.join(map(as_option, self._new_settings()))} can be "
                "given for a new one on a backbone only."
            )
        for field in self._site_configs():
            if getattr(config, field) is not None:
                option = as_option(field.removesuffix("_config"))
                raise ValueError(f"{name!r} has `{field}` already; leave out `{option}` to go on training it.")
        if self.new_sites:
            CoMemConfig.from_dict({**config.to_dict(), **self._site_configs()})
        return False

    def _new_settings(self) -> list[str]:
        """Return those of the settings of a new encoder and a reader that were given."""
        names = (
            "lora_rank lora_alpha lora_dropout lora_config num_memory_tokens encoder resampler memory_order "
            "query_vision reader"
        ).split()
        return [name for name in names if getattr(self.settings, name) is not None]

    def _site_configs(self) -> dict[str, Mapping[str, Any]]:
        return {f"{site}_config": values for site, values in self.new_sites.items()}


def as_typed(part: str) -> str:
    """Return the name of a part of a model as the command line writes it."""
    return part.replace("_", "-")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _object(name: str, value: dict[str, Any] | str | None) -> dict[str, Any]:
    """Return the object of settings that a file holds as it is and the command line as JSON."""
    problem, read = "", value
    if isinstance(value, str):
        try:
            read = loads(value)
        except ValueError as error:
            problem, read = f": {error}", None
    if value is not None and not isinstance(read, dict):
        raise ValueError(f"`{as_option(name)}` must be a JSON object, such as '{{}}', got {value!r}{problem}.")
    return read or {}
