"""Sentences for the conversion report about settings that no file contains and that are assumed."""

from pathlib import Path
from typing import Any

from comem_hf.conversion.published.layouts import PublishedCheckpoint
from comem_hf.modeling import CoMemConfig
from comem_hf.modeling.local_paths_comem import is_repository_id, public_name


def assumptions(published: PublishedCheckpoint, config: CoMemConfig, given: dict[str, Any] | None) -> list[str]:
    """Return a sentence for each setting that was not given and cannot be read from the files.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        config ([`CoMemConfig`]): The configuration to be written.
        given (`dict`, *optional*): The sizes of the resampler that the caller gave.
    """
    return [
        *_about_resampler(config.resampler_config, given or {}),
        *_about_backbone(published),
        *_about_configuration(published),
    ]


def adapter_backbone_name(published: PublishedCheckpoint) -> str | None:
    """Return the backbone's name in an adapter folder, without the path on its author's machine."""
    name = published.adapter_backbone
    return Path(name).name if name and not is_repository_id(name) else name


def _about_resampler(sizes: dict[str, Any], given: dict[str, Any]) -> list[str]:
    options = [] if given.keys() & {"num_attention_heads", "head_dim"} else ["--resampler-heads"]
    options += [] if "num_hidden_layers" in given else ["--resampler-layers"]
    if not options:
        return []
    return [
        f"Resampler: {sizes['num_attention_heads']} heads of {sizes['head_dim']}, {sizes['num_hidden_layers']} passes "
        f"(assumed; {', '.join(options)})."
    ]


def _about_configuration(published: PublishedCheckpoint) -> list[str]:
    if published.backbone_named or published.config_source == published.source:
        return []
    return [f"The backbone's configuration is that of {public_name(published.config_source)!r} (assumed; --backbone)."]


def _about_backbone(published: PublishedCheckpoint) -> list[str]:
    name, given = adapter_backbone_name(published), public_name(published.backbone_source)
    if published.lora is None or published.has_copy or name and Path(name).name.lower() == Path(given).name.lower():
        return []
    names = f"names {name!r} as its backbone" if name else "names no backbone"
    return [f"The adapter {names}; an adapter's weights cannot tell whether {given!r} is the right one."]
