"""Answers of a model to the chosen benchmarks."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .choice import Choice


if TYPE_CHECKING:
    from comem_hf.evaluation.asking.items import ItemSource
    from comem_hf.evaluation.asking.terms.protocol import Protocol
    from comem_hf.evaluation.benchmarks import Benchmark
    from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings

TOP_K = 10  # as published


def answer_all(
    benchmarks: "Sequence[Benchmark]", scorers: Sequence[dict[str, Any]], choice: Choice
) -> "tuple[list[BenchmarkResult], ReportSettings | None]":
    """Ask what has no answer yet.

    Returns:
        `tuple`: A result per benchmark, and the settings for the report; nothing in processes but the first.

    Raises:
        ValueError: If model, items and ways do not fit, or the folder holds another run.
    """
    from comem_hf.answering import WITHOUT_ENCODER
    from comem_hf.commands.common.loading import load_model
    from comem_hf.evaluation.asking.processes import this_process
    from comem_hf.evaluation.asking.run import Run
    from comem_hf.evaluation.asking.terms.protocol import PROTOCOLS
    from comem_hf.evaluation.report.result import BenchmarkResult

    processes = this_process()  # before the model is put on a device
    say = partial(typer.echo, err=True) if processes.index == 0 else lambda text: None
    protocol = PROTOCOLS[choice.protocol]
    model, processor = load_model(choice.model, choice.reader, takes_items=choice.bank is not None)
    if not model.config.num_memory_tokens:
        say(WITHOUT_ENCODER)
    make_source, items, most = _source(choice, benchmarks, model, processor, protocol)
    top_k = choice.top_k or (min(TOP_K, most, model.config.max_items or TOP_K),)
    if make_source is None:
        say("Without `--bank` or `--records`, the model is asked without items alone.")
    for own in scorers:
        if "unscored" in own:
            say(own["unscored"])
    settings = _settings(choice, model, protocol, items)
    run = Run(
        model,
        processor,
        choice.output,
        protocol,
        _depends_on(settings, model, benchmarks, choice) if processes.index == 0 else {},
        None if make_source is None else partial(make_source, max(top_k)),
        top_k,
        choice.batch_size,
        choice.max_new_tokens,
        processes.index,
        processes.count,
    )
    try:
        answered = run.answer_all(benchmarks, choice.ways or None, processes.wait)
    except KeyboardInterrupt:
        say(f"Stopped. The same command goes on with what is in {str(choice.output)!r}.")
        raise
    if processes.index:
        return [], None
    others = run.others(benchmarks)
    if others:
        say(f"Not in this report, because the command does not name them: {', '.join(others)}.")
    pairs = zip(answered, scorers, strict=True)
    return [BenchmarkResult(benchmark, answers=answers, **own) for (benchmark, answers), own in pairs], settings


def _source(
    choice: Choice, benchmarks: "Sequence[Benchmark]", model, processor, protocol: "Protocol"
) -> "tuple[Callable[[int, Benchmark], ItemSource] | None, dict[str, Any], int]":
    """What gives so many items of a benchmark, what is recorded of that, and the most items that there are."""
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.evaluation.asking.digests import digest_of_bank
    from comem_hf.evaluation.asking.items import BankItems, RecordedItems
    from comem_hf.evaluation.records import load_records
    from comem_hf.modeling.local_paths_comem import public_name

    if choice.records is not None:
        records = {name: load_records(records_of(name, choice)) for name in {each.name for each in benchmarks}}
        most = min(_items_on_record(records[benchmark.name], benchmark) for benchmark in benchmarks)
        _check_depth(choice, most, "that questions have on record")
        recorded = {"records": public_name(str(choice.records))}
        return lambda depth, each: RecordedItems(records[each.name], depth, processor, protocol), recorded, most
    if choice.bank is None and choice.model is not None:
        return None, {}, TOP_K
    bank = open_bank(choice.bank)
    if model.config.num_memory_tokens:
        bank.attach(model, processor)
    _check_depth(choice, len(bank), "of the bank")
    recorded = {
        "name": public_name(choice.bank or "embedded"),
        "items": len(bank),
        "digest": digest_of_bank(bank),
        "embedder": dict(bank.config.embedder),
    }
    return lambda depth, each: BankItems(bank, depth), recorded, len(bank)


def _check_depth(choice: Choice, most: int, what: str) -> None:
    if choice.top_k and max(choice.top_k) > most:
        raise ValueError(f"`--top-k` {max(choice.top_k)} is more than the {most} items {what}.")


def records_of(name: str, choice: Choice) -> Path:
    """Return the folder of the records of a benchmark.

    Raises:
        ValueError: If there is none.
    """
    stored = f"{name.removesuffix('_multilingual')}_record_base"
    for folder in (choice.records / stored, choice.records):
        if (folder / "index.json").is_file():
            return folder
    raise ValueError(f"`--records` {str(choice.records)!r} has no folder {stored!r} with the items of {name}.")


def _items_on_record(records, benchmark: "Benchmark") -> int:
    """How many items the first question has that is in the records."""
    known = next((question.id for question in benchmark.questions if question.id in records), None)
    if known is None:
        raise ValueError(
            f"The records have items for no question of {benchmark.name} ({benchmark.language}), such as "
            f"{benchmark.questions[0].id!r}; they are of questions such as {next(iter(records), None)!r}."
        )
    return len(records[known])


def _depends_on(
    settings: "ReportSettings", model, benchmarks: "Sequence[Benchmark]", choice: Choice
) -> dict[str, Any]:
    """What predictions depend on, by plain names: what a folder of another run is refused for."""
    from comem_hf.evaluation.asking.digests import digest_of_file, digest_of_folder, digest_of_model

    data = {}
    for benchmark in benchmarks:
        entries = {path.name: digest_of_file(path) for path in benchmark.files}
        if choice.records is not None:
            entries["records"] = digest_of_folder(records_of(benchmark.name, choice))
        data[f"{benchmark.name} ({benchmark.language})"] = entries
    further = {name: value for name, value in settings.further.items() if name not in ("batch_size", "limit")}
    return {
        "model": settings.model,
        "weights": digest_of_model(model),
        "memory_fingerprint": settings.memory_fingerprint,
        **{f"bank {name}": value for name, value in settings.bank.items()},
        "protocol": settings.protocol,
        "device": settings.device,
        **settings.versions,
        **further,
        "data": data,
    }


def _settings(choice: Choice, model, protocol: "Protocol", items: dict[str, Any]) -> "ReportSettings":
    from importlib.metadata import version

    from comem_hf.evaluation.report.result import ReportSettings
    from comem_hf.modeling.local_paths_comem import public_name

    has_encoder = model.config.num_memory_tokens > 0
    backbone = model.config.backbone_name_or_path
    return ReportSettings(
        command=choice.command(),
        model=public_name(choice.model or "embedded"),
        backbone=None if backbone is None else public_name(backbone),
        memory_fingerprint=model.memory_fingerprint() if has_encoder else None,
        bank=items,
        protocol=protocol.name,
        sampling={way: dict(values) for way, values in protocol.generation.items()},
        versions={name: version(name) for name in ("comem_hf", "torch", "transformers")},
        device=f"{model.device.type}, {str(model.dtype).removeprefix('torch.')}",
        further={
            "reader": choice.reader,
            "max_new_tokens": choice.max_new_tokens or protocol.max_new_tokens,
            "batch_size": choice.batch_size,
            "split": choice.split,
            "limit": choice.limit,
        },
    )
