"""The card of a model: `README.md` of its folder."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .benchmarks import BENCHMARKS_NAME, BenchmarkResults
from .check import check_card, read_card
from .facts.places import describe_places, own_parameters, parameters_by_part
from .facts.training import describe_training
from .generated import is_generated, mark, one_line
from .results import RESULTS_NAME, Results
from .template import CARD_NAME, fill_template


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemConfig


_BANK_ROW = "a memory bank for it"
_BANK = re.compile(rf"^\| {_BANK_ROW} \| \[([^\]]+)\]", re.MULTILINE)


def render_model_card(
    folder: Path,
    repo_id: str,
    *,
    results: Results | None = None,
    benchmarks: BenchmarkResults | None = None,
    license: str | None = None,
    languages: Sequence[str] = (),
    datasets: Sequence[str] = (),
    tags: Sequence[str] = (),
    has_processor: bool = True,
    memory_fingerprint: str | None = None,
    bank_id: str | None = None,
) -> str:
    """The card of the model in a folder, made from the files there; no weights are read.

    Args:
        folder (`Path`): A full or memory-only checkpoint. The card also reports records of a training, of an
            evaluation (`evaluation.json`) and of benchmarks (`benchmarks.json`), in this folder.
        repo_id (`str`): Name to load the model by.
        results (`Results`, *optional*): Measured results, instead of `evaluation.json` of the folder.
        benchmarks (`BenchmarkResults`, *optional*): Results of benchmarks, instead of `benchmarks.json` of the folder.
        license (`str`, *optional*): Licence of the weights, by the Hub's identifier.
        languages (`list[str]`, *optional*): ISO 639 codes.
        datasets (`list[str]`, *optional*): Ids of the data sets that it was trained on.
        tags (`list[str]`, *optional*): Further tags.
        has_processor (`bool`, defaults to `True`): Whether the repository has a processor, too.
        memory_fingerprint (`str`, *optional*): Fingerprint by which banks know the model; defaults to the one in its
            `config.json`.
        bank_id (`str`, *optional*): The repository of a memory bank that fits.

    Raises:
        ValueError: If results are of another model, or if something in the folder cannot be read.
    """
    from huggingface_hub import ModelCardData

    from comem_hf.modeling.configuration_comem import CoMemConfig
    from comem_hf.modeling.local_paths_comem import is_local

    config = CoMemConfig.from_pretrained(folder)
    if results is None and (folder / RESULTS_NAME).is_file():
        results = Results.load(folder / RESULTS_NAME)
    if benchmarks is None and (folder / BENCHMARKS_NAME).is_file():
        benchmarks = BenchmarkResults.load(folder / BENCHMARKS_NAME)
    if benchmarks is not None and not benchmarks.rows:  # answered, not scored
        benchmarks = None
    fingerprint = memory_fingerprint or config.memory_fingerprint
    measured = [each for each in (results, benchmarks) if each is not None]
    for each in measured:
        if fingerprint not in (None, each.memory_fingerprint):
            raise ValueError(
                f"The results are of another model: they were measured with the memory fingerprint "
                f"{each.memory_fingerprint}, and this model has {fingerprint}."
            )
    base = config.backbone_name_or_path
    base = None if not base or is_local(base) else base
    name = repo_id.rpartition("/")[2]
    metadata = ModelCardData(
        library_name="comem_hf",
        pipeline_tag="image-text-to-text",
        base_model=base,
        base_model_relation="adapter" if base and config.memory_only else None,
        license=license,
        language=list(languages) or None,
        datasets=list(datasets) or None,
        tags=["comem", "memory", config.backbone_config.model_type, *tags],  # duplicates are dropped
        model_name=name if measured else None,
        eval_results=[entry for each in measured for entry in each.entries()] or None,
    )
    text = fill_template(
        "model.md",
        metadata,
        name=name,
        source=repo_id,
        processor_source=repo_id if has_processor or base is None else base,
        backbone=f"[{base}](https://huggingface.co/{base})" if base else f"a `{config.backbone_config.model_type}`",
        memory_only=config.memory_only,
        num_memory_tokens=config.num_memory_tokens,
        ffn_source=config.ffn_source,
        has_vision_memory=config.vision_memory_config is not None,
        reader=None if config.reader_config is None else _text_reader(config),
        fetches_reader=config.memory_only and config.reader_name_or_path is not None,
        hidden_size=config.hidden_size,
        facts=_facts(config, folder, base, fingerprint, bank_id),
        training={name: one_line(value) for name, value in describe_training(folder).items()},
        results=results,
        benchmarks=benchmarks,
    )
    return mark(text)


def card_to_publish(own: str | None, published: str | None, **generated: Any) -> str:
    """The card that a model is published with: its own, the repository's, or one that is generated.

    Args:
        own (`str`, *optional*): The card in the model's folder; used if somebody has written or edited it.
        published (`str`, *optional*): The card that the repository already has; used likewise if `own` is not.
        generated: Arguments of [`render_model_card`].

    Raises:
        ValueError: If the Hub would refuse the card, or it cannot be generated.
    """
    cards = {f"the card {CARD_NAME}": own, f"the card {CARD_NAME} of the repository": published}
    cards = {source: text for source, text in cards.items() if text is not None}
    for source, text in cards.items():
        if not is_generated(text):
            check_card(text, source)
            return text
    generated = {name: value for name, value in generated.items() if value not in (None, (), [])}
    before = next(iter(cards.values()), None)
    if before is not None:
        generated = {**_stated(before, generated.get("memory_fingerprint")), **generated}
    text = render_model_card(**generated)
    check_card(text, "the generated card")
    return text


def write_model_card(folder: Path, repo_id: str, own: str | None) -> None:
    """Write a card into the folder of a model that is about to be uploaded.

    Args:
        folder (`Path`): Folder of the saved model, with the card that transformers would upload.
        repo_id (`str`): Repository that it is uploaded to.
        own (`str`, *optional*): The card that the folder had before.

    Raises:
        ValueError: If the Hub would refuse the card.
    """
    from comem_hf.modeling.configuration_comem import CoMemConfig

    path = folder / CARD_NAME
    fingerprint = CoMemConfig.from_pretrained(folder).memory_fingerprint
    text = card_to_publish(own, read_card(path), folder=folder, repo_id=repo_id, memory_fingerprint=fingerprint)
    path.write_text(text, encoding="utf-8")


def _stated(card: str, fingerprint: str | None) -> dict[str, Any]:
    """Arguments of [`render_model_card`] that somebody gave for a generated card, and that no file holds.

    The bank is among them only if it still fits the model.
    """
    from huggingface_hub import ModelCard

    metadata = ModelCard(card).data
    bank = _BANK.search(card) if fingerprint and f"`{fingerprint}`" in card else None
    languages = metadata.language or ()
    return {
        "license": metadata.license,
        "languages": [languages] if isinstance(languages, str) else languages,
        "datasets": metadata.datasets or (),
        "tags": metadata.tags or (),
        "bank_id": bank and bank[1],
    }


def describe_reader(config: "CoMemConfig", folder: Path) -> str:
    """Say what the model that reads memory and answers is: the backbone, perhaps changed, or another one.

    Args:
        config ([`CoMemConfig`]): The model's configuration.
        folder (`Path`): Its folder, where a conversion may have left its report.
    """
    if config.reader_config is not None:
        reader, name = config.reader_config, config.reader_name_or_path
        vocabulary = "its own" if config.reader_vocabulary == "reader" else "the backbone's"
        prompt = "the whole prompt" if config.reader_prompt == "whole" else "the prompt after the first picture"
        return (
            f"a text-only `{reader.model_type}` model{f', `{name}`,' if name else ''} in the backbone's place: "
            f"{reader.num_hidden_layers} layers of width {reader.hidden_size}; vocabulary: {vocabulary}; it reads "
            f"{prompt}"
        )
    if config.reader_lora_config:
        return f"trained, too: the backbone with LoRA of rank {config.reader_lora_config['r']}"
    report = Path(folder, "conversion.json")
    if report.is_file() and json.loads(report.read_text(encoding="utf-8")).get("reader_trained", False) is None:
        return "the backbone in this checkpoint; whether the published training changed it is not known"
    return "the backbone, unchanged"


def _text_reader(config: "CoMemConfig") -> str:
    from comem_hf.modeling.local_paths_comem import is_local

    name = config.reader_name_or_path
    if name and not is_local(name):
        return f"[{name}](https://huggingface.co/{name})"
    return f"a `{config.reader_config.model_type}`"


def _describe_encoder(config: "CoMemConfig") -> str:
    if config.num_memory_tokens == 0:
        return "none: the model takes no items"
    lora = config.lora_config
    kind = f"LoRA of rank {lora['r']}, alpha {lora['lora_alpha']:g}" if config.encoder == "adapter" else "separate"
    sizes = config.resampler_config
    pooled = f"a resampler of {sizes['num_hidden_layers']} passes" if sizes["kind"] == "perceiver" else "mean pooling"
    mixed = f", over a mix of {len(config.mixed_layers)} layers" if config.mixed_layers else ""
    return f"{kind} and {pooled}{mixed}"


def _facts(
    config: "CoMemConfig", folder: Path, base: str | None, fingerprint: str | None, bank_id: str | None
) -> dict[str, str]:
    from comem_hf.modeling.local_paths_comem import is_repository_id
    from comem_hf.modeling.tensor_files_comem import open_tensors

    parts = parameters_by_part({key: math.prod(value.get_shape()) for key, value in open_tensors(folder).items()})
    facts = {"backbone": f"`{base}`" if base else f"`{config.backbone_config.model_type}`, not named"}
    if config.backbone_revision:
        facts["its revision"] = f"`{config.backbone_revision}`"
    facts["memory encoder"] = _describe_encoder(config)
    if config.num_memory_tokens:
        facts["its parameters"] = f"{parts['memory_encoder']:,}"
        facts["memory per item"] = f"{config.num_memory_tokens} x {config.hidden_size}"
    places = describe_places(config, parts)
    facts |= {f"memory enters the {place}": description for place, description in places.items()}
    facts |= {
        "reader": describe_reader(config, folder),
        "parameters of the memory": f"{own_parameters(parts):,}",
        "parameters in this repository": f"{sum(parts.values()):,}",
    }
    if fingerprint and config.num_memory_tokens:
        facts["memory fingerprint"] = f"`{fingerprint}`"
    if bank_id and is_repository_id(bank_id):
        facts[_BANK_ROW] = f"[{bank_id}](https://huggingface.co/datasets/{bank_id})"
    return facts
