"""Facts about models and memory banks, from configurations and headers alone."""

import math
from typing import TYPE_CHECKING, Any

from comem_hf.cards.facts.places import describe_places, own_parameters, parameters_by_part
from comem_hf.cards.model_card import describe_reader
from comem_hf.repository.errors import plain_errors

from .checkpoint import Checkpoint, has_weights, read_config
from .place import Place


if TYPE_CHECKING:
    from comem_hf.bank.format.config import BankConfig


def describe_model(place: Place) -> dict[str, Any]:
    """Return facts about a model.

    Headers of a repository are read over the network. If it cannot be reached and they are not in the cache,
    `parameters`, `memory_parameters` and `bytes` are missing.

    Args:
        place ([`Place`]): Place of the model.

    Returns:
        `dict`: `checkpoint` (`"full"` or `"memory-only"`), `backbone` (its type), `backbone_name`,
        `backbone_revision`, `encoder` (`None` of a model without one), `encoder_rank` (`None` of a separate
        one), `places` (where memory enters, by name, each with a sentence), `reader` (a sentence about the model
        that reads memory and answers), `reader_rank` (`None` without a reader adapter), `memory_tokens` and
        `hidden_size` per item, `parameters`, `memory_parameters` (all but those of the backbone and a text-only
        reader), `bytes`, `memory_fingerprint` (`None` if it is not known, or there is no memory encoder), `commit`.

    Raises:
        ValueError: If it is no CoMEM model, or its files are damaged.
    """
    config = read_config(place.folder, place.name)
    fingerprint, parts, size = config.memory_fingerprint, {}, None
    if place.commit is None or has_weights(place.folder):
        checkpoint = Checkpoint.open(place.folder)
        fingerprint = checkpoint.memory_fingerprint()
        parts = checkpoint.parameters_by_part()
        size = sum((place.folder / name).stat().st_size for name in checkpoint.weight_files)
    elif not place.is_offline:
        parts, size = _read_headers(place)
    sizes = {"parameters": sum(parts.values()), "memory_parameters": own_parameters(parts), "bytes": size}
    has_encoder = config.num_memory_tokens > 0
    return {
        "checkpoint": "memory-only" if config.memory_only else "full",
        "backbone": config.backbone_config.model_type,
        "backbone_name": config.backbone_name_or_path,
        "backbone_revision": config.backbone_revision,
        "encoder": config.encoder if has_encoder else None,
        "encoder_rank": config.lora_config["r"] if has_encoder and config.encoder == "adapter" else None,
        "places": describe_places(config, parts),
        "reader": describe_reader(config, place.folder),
        "reader_rank": config.reader_lora_config and config.reader_lora_config["r"],
        "memory_tokens": config.num_memory_tokens,
        "hidden_size": config.hidden_size,
        **(sizes if parts else {}),
        "memory_fingerprint": fingerprint if has_encoder else None,
        "commit": place.commit,
    }


def read_processor(place: Place):
    """Read the processor of a model; of a repository, its files are downloaded.

    Args:
        place ([`Place`]): Place of the model.

    Returns:
        `CoMemProcessor` or `None`: The processor, `None` if there is none.
    """
    from comem_hf.modeling import CoMemProcessor

    try:
        return CoMemProcessor.from_pretrained(place.name, **place.of_hub)
    except (OSError, ValueError):  # as transformers says that files are missing
        return None


def describe_bank(config: "BankConfig", commit: str | None = None) -> dict[str, Any]:
    """Return facts about a memory bank.

    Args:
        config (`BankConfig`): Its configuration.
        commit (`str`, *optional*): Commit of its repository.

    Returns:
        `dict`: Counts, sizes in bytes, index, embedder, model and fingerprint; `precision` of the memory encoder when
        it made the vectors (`"float32"`: exact), the number of its `picture_rules`, and `processor_known`, whether it
        says with which settings its items were prepared; `words_indexed`, whether it has an index of the words of its
        texts; `calibration`: how many `items` the bank had and how many
        `pictures` were searched for when the probabilities of its hits were fitted, and their `brier` score, or
        `None`.
    """
    calibration = config.readable_calibration
    sizes = {"memory": 0, "items": 0, "index": 0}
    for name in config.data_files():
        kinds = {"memory": "memory", "items": "items", "metadata": "items"}  # the latter is that of changed items
        sizes[kinds.get(name.partition("-")[0], "index")] += config.files[name]["size"]
    return {
        "items": config.num_items,
        "removed_items": config.num_rows - config.num_items,
        "cut_texts": config.cut_texts,
        "generation": config.generation,
        "memory_tokens": config.num_memory_tokens,
        "hidden_size": config.hidden_size,
        "dtype": config.memory_dtype,
        "precision": config.precision,
        "picture_rules": config.picture_rules,
        "processor_known": config.processor is not None,
        "shards": len(config.shard_sizes),
        "index": config.index["factory"],
        "metric": config.metric,
        "recall": config.index.get("recall"),
        "words_indexed": config.words is not None,
        "calibration": calibration
        and {"items": calibration.num_items, "pictures": calibration.pictures, "brier": calibration.brier},
        "bytes": sum(sizes.values()),
        **{f"bytes_of_{part}": size for part, size in sizes.items()},
        "embedder": config.embedder.get("id") or config.embedder["type"],
        "model": config.model["id"],
        "model_revision": config.model.get("revision"),
        "license": config.license,
        "memory_fingerprint": config.memory_fingerprint,
        "commit": commit,
    }


def _read_headers(place: Place) -> tuple[dict[str, int], int]:
    """Return the number of parameters of each part, and of bytes, of a repository's weights."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    api = HfApi()
    try:
        with plain_errors(place.name, place.commit):
            metadata = api.get_safetensors_metadata(place.name, revision=place.commit)
            entries = api.get_paths_info(place.name, list(metadata.files_metadata), revision=place.commit)
    except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
        raise ValueError(f"The weights of {place.name!r} are missing or damaged: {error}") from error
    sizes = {
        key: math.prod(tensor.shape)
        for file in metadata.files_metadata.values()
        for key, tensor in file.tensors.items()
    }
    return parameters_by_part(sizes), sum(entry.size for entry in entries)
