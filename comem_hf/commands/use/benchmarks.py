"""`comem evaluate NAME...`: benchmarks, answered in three ways and scored, with a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from comem_hf.commands.common.written_command import written_command


if TYPE_CHECKING:
    from comem_hf.evaluation.asking.items import ItemSource
    from comem_hf.evaluation.asking.terms.protocol import Protocol
    from comem_hf.evaluation.benchmarks import Benchmark
    from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings


ALL = "all"
TOP_K = 10  # as published
OTHER_CODE = "predictions"
VOCABULARY = "google-bert/bert-base-uncased", "vocab.txt"
NO_PREDICTION = "There is no prediction for the question."


@dataclass(frozen=True)
class Choice:
    """What the command line asks for; see its help for each."""

    names: tuple[str, ...]
    model: str | None = None
    bank: str | None = None
    reader: str = "adapter"
    data: Path | None = None
    records: Path | None = None
    predictions: Path | None = None
    ways: tuple[str, ...] = ()
    top_k: tuple[int, ...] = ()
    protocol: str = "equal"
    split: str | None = None
    languages: tuple[str, ...] = ()
    limit: int | None = None
    max_new_tokens: int | None = None
    vocabulary: Path | None = None
    published: Path | None = None
    batch_size: int = 16
    output: Path | None = None


def evaluate_benchmarks(choice: Choice, json: bool) -> None:
    """Answer and score benchmarks, write the report, and print its tables.

    Args:
        choice (`Choice`): What to do.
        json (`bool`): Whether to print the report as JSON.

    Raises:
        ValueError: If anything that was given does not fit; before questions are asked.
    """
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.evaluation.report.paper import load_published
    from comem_hf.evaluation.report.plots import require_matplotlib
    from comem_hf.evaluation.report.report import write_report
    from comem_hf.evaluation.report.table import summary_tables
    from comem_hf.evaluation.scoring import extract_answer

    _check(choice)
    require_matplotlib()  # as all that can fail, before the work
    published = () if choice.published is None else load_published(choice.published)
    benchmarks = _load(choice)
    scorers = [_scorers(benchmark, choice) for benchmark in benchmarks]
    if choice.predictions is not None:
        results, settings = _of_other_code(benchmarks, choice, scorers)
    else:
        results, settings = _answered(benchmarks, choice, scorers)
    if settings is None:  # another process writes the report
        return
    contents = write_report(
        results, settings, choice.output, extract=lambda text, question: extract_answer(text), published=published
    )
    if json:
        print_json(contents)
        return
    for title, columns, rows in summary_tables(contents):
        print_table(title, columns, rows)
    typer.echo(f"Report: {choice.output / 'report.md'}", err=True)


def _check(choice: Choice) -> None:
    from comem_hf.evaluation.asking.terms.protocol import PROTOCOLS

    if choice.data is None:
        raise ValueError(
            "`--data` must name the folder with the benchmarks' files; docs/how-to/benchmarks.md lists them."
        )
    if choice.output is None:
        raise ValueError("`--output` must name a folder for the predictions and the report.")
    if choice.output.is_file():
        raise ValueError(f"`--output` must be a folder for benchmarks, but {str(choice.output)!r} is a file.")
    if choice.protocol not in PROTOCOLS:
        raise ValueError(f"`--protocol` must be one of {list(PROTOCOLS)}, got {choice.protocol!r}.")
    if choice.bank is not None and choice.records is not None:
        raise ValueError("Give `--bank` or `--records`, not both: items come from one of them.")
    if choice.predictions is None:
        return
    if len(choice.names) > 1 or ALL in choice.names:
        raise ValueError("`--predictions` are of one benchmark; name that one alone.")
    for name in ("model", "bank", "records", "ways", "top_k", "max_new_tokens"):
        if getattr(choice, name):
            option = {"ways": "way"}.get(name, name).replace("_", "-")
            raise ValueError(f"`--{option}` has no effect beside `--predictions`, for which nothing is asked.")


def _load(choice: Choice) -> "list[Benchmark]":
    """Read the questions of all benchmarks."""
    from comem_hf.evaluation.benchmarks import BENCHMARKS, languages_of, load_benchmark

    names = list(dict.fromkeys(BENCHMARKS if ALL in choice.names else choice.names))
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise ValueError(f"Benchmarks are {', '.join(BENCHMARKS)} and '{ALL}', got {unknown[0]!r}.")
    loaded = []
    for name in names:
        languages = [language for language in choice.languages if language in languages_of(name)] or None
        if choice.languages and languages is None:
            raise ValueError(
                f"`--language` of {name} must be among {list(languages_of(name))}, got {list(choice.languages)}."
            )
        loaded += load_benchmark(
            name, _folder_of(name, choice.data), split=choice.split, languages=languages, limit=choice.limit
        )
    return loaded


def _folder_of(name: str, folder: Path) -> Path:
    """The folder of one benchmark in a folder of several, or the folder itself."""
    return folder / name if (folder / name).is_dir() else folder


def _scorers(benchmark: "Benchmark", choice: Choice) -> tuple:
    from comem_hf.evaluation.scoring import scorers_of

    if any(question.reference is None for question in benchmark.questions):
        return ()
    vocabulary = _vocabulary(choice) if benchmark.name == "oven" else None
    scorers = scorers_of(benchmark, vocabulary=vocabulary)
    for scorer in scorers:  # fails before the work if these questions are too few for the benchmark's number
        groups = {scorer.group(question) for question in benchmark.questions} - {None}
        scorer.headline(dict.fromkeys(groups, 0.0))
    return scorers


def _vocabulary(choice: Choice) -> Path:
    """The vocabulary that OVEN's titles are cut into pieces with."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    if choice.vocabulary is not None:
        return choice.vocabulary
    beside = _folder_of("oven", choice.data) / VOCABULARY[1]
    if beside.is_file():
        return beside
    try:
        return Path(hf_hub_download(*VOCABULARY))
    except (OSError, HfHubHTTPError) as error:
        raise ValueError(
            f"OVEN's titles are searched by word pieces of {VOCABULARY[0]}, whose {VOCABULARY[1]} is neither beside "
            f"its files nor on the Hub now: name it with `--vocabulary` ({type(error).__name__})."
        ) from error


def _answered(benchmarks, choice: Choice, scorers) -> "tuple[list[BenchmarkResult], ReportSettings | None]":
    from comem_hf.answering import WITHOUT_ENCODER
    from comem_hf.commands.common.loading import load_model
    from comem_hf.evaluation.asking.digests import digest_of_model
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
    top_k = choice.top_k or (min(TOP_K, model.config.max_items or TOP_K),)
    source_of, items = _source(choice, benchmarks, model, processor, protocol, max(top_k))
    if source_of is None:
        say("Without `--bank` or `--records`, the model is asked without items alone.")
    settings = _settings(choice, model, protocol, items)
    depends_on = {}
    if processes.index == 0:  # which alone looks at them: files of gigabytes are read for it
        data = {f"{benchmark.name} ({benchmark.language})": _digests(benchmark) for benchmark in benchmarks}
        depends_on = {**settings.record(), "command": None, "weights": digest_of_model(model), "data": data}
    run = Run(
        model,
        processor,
        choice.output,
        protocol,
        depends_on,
        source_of,
        top_k,
        choice.batch_size,
        choice.max_new_tokens,
        processes.index,
        processes.count,
    )
    answered = run.answer_all(benchmarks, choice.ways or None, processes.wait)
    if processes.index:
        return [], None
    return [
        BenchmarkResult(benchmark, its_scorers, answers)
        for (benchmark, answers), its_scorers in zip(answered, scorers, strict=True)
    ], settings


def _source(
    choice: Choice, benchmarks: "Sequence[Benchmark]", model, processor, protocol: "Protocol", depth: int
) -> "tuple[Callable[[Benchmark], ItemSource] | None, dict[str, Any]]":
    """Where the items of each benchmark come from, and what is recorded of that."""
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.evaluation.asking.digests import digest_of_bank, digest_of_folder
    from comem_hf.evaluation.asking.items import BankItems, RecordedItems
    from comem_hf.evaluation.records import load_records
    from comem_hf.modeling.local_paths_comem import public_name

    if choice.records is not None:
        records, digests = {}, {}
        for name in dict.fromkeys(benchmark.name for benchmark in benchmarks):
            stored = f"{name.removesuffix('_multilingual')}_record_base"
            folder = choice.records / stored if (choice.records / stored).is_dir() else choice.records
            records[name] = load_records(folder)
            digests[name] = digest_of_folder(folder)
        recorded = {"records": public_name(str(choice.records)), "digests": digests}
        return lambda benchmark: RecordedItems(records[benchmark.name], depth, processor, protocol), recorded
    if choice.bank is None and choice.model is not None:
        return None, {}
    bank = open_bank(choice.bank)
    if model.config.num_memory_tokens:
        bank.attach(model, processor)
    recorded = {
        "name": public_name(choice.bank or "embedded"),
        "digest": digest_of_bank(bank),
        "items": len(bank),
        "embedder": dict(bank.config.embedder),
    }
    return lambda benchmark: BankItems(bank, depth), recorded


def _settings(choice: Choice, model, protocol: "Protocol", items: dict[str, Any]) -> "ReportSettings":
    from importlib.metadata import version

    from comem_hf.evaluation.report.result import ReportSettings
    from comem_hf.modeling.local_paths_comem import public_name

    has_encoder = model.config.num_memory_tokens > 0
    return ReportSettings(
        command=_command(choice),
        model=public_name(choice.model or "embedded"),
        backbone=None,
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


def _of_other_code(benchmarks, choice: Choice, scorers) -> "tuple[list[BenchmarkResult], ReportSettings]":
    """Predictions of a file, by whatever code, in place of our own."""
    from comem_hf.evaluation.asking.prediction import Answers, Prediction
    from comem_hf.evaluation.records import load_predictions
    from comem_hf.evaluation.report.model_index import OF_OTHER_CODE
    from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings
    from comem_hf.modeling.local_paths_comem import public_name

    texts = load_predictions(choice.predictions, benchmarks[0].name)
    if len(benchmarks) > 1:
        languages = [benchmark.language for benchmark in benchmarks]
        raise ValueError(f"`--predictions` are of one language; choose one of {languages} with `--language`.")
    (benchmark,), (its_scorers,) = benchmarks, scorers
    known = {question.id for question in benchmark.questions}
    unknown = [question_id for question_id in texts if question_id not in known]
    if unknown:
        raise ValueError(
            f"{str(choice.predictions)!r} answers {unknown[0]!r}, which is no question of {benchmark.name} "
            f"({len(unknown)} such ids): another split or language?"
        )
    predictions = tuple(
        Prediction(question.id, texts[question.id], (), 0)
        if question.id in texts
        else Prediction(question.id, "", (), 0, NO_PREDICTION)
        for question in benchmark.questions
    )
    result = BenchmarkResult(benchmark, its_scorers, (Answers(OTHER_CODE, 0, predictions),))
    settings = ReportSettings(
        command=_command(choice),
        model=public_name(str(choice.predictions)),
        backbone=None,
        memory_fingerprint=None,
        bank={},
        protocol=OF_OTHER_CODE,
        sampling={},
        versions={},
        device="",
    )
    return [result], settings


def _digests(benchmark: "Benchmark") -> dict[str, str]:
    from comem_hf.evaluation.asking.digests import digest_of_file

    return {path.name: digest_of_file(path) for path in benchmark.files}


def _command(choice: Choice) -> str:
    """The command line, without what is as usual."""
    usual = Choice(()).__dict__
    given = {name: value for name, value in choice.__dict__.items() if name != "names" and value != usual[name]}
    singular = {"ways": "way", "languages": "language"}
    return written_command(
        "evaluate", *choice.names, **{singular.get(name, name): value for name, value in given.items()}
    )
