"""A whole run: every benchmark in every way, into one folder that can be gone on with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comem_hf.evaluation.asking.terms.protocol import Protocol
from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.files.whole_file import write_durably
from comem_hf.modeling.top_k_comem import check_top_k

from .ask import Interview
from .items import ItemSource
from .prediction import WAYS, Answers
from .predictions_file import PredictionsFile


RUN_NAME = "settings.json"
PREDICTIONS = "predictions"


@dataclass
class Run:
    """Questions put to a model in several ways, with predictions in a folder.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        folder (`Path`): The folder of the run.
        protocol (`Protocol`): The protocol.
        settings (`Mapping[str, Any]`): All that the predictions depend on, by name, as JSON holds it; under `"data"`,
            what each benchmark's depend on by its name. A folder with predictions of other settings is refused; other
            benchmarks may be added to it. Only the first process looks at them.
        source_of (`Callable[[Benchmark], ItemSource]`, *optional*): Gives where the items for a benchmark come from.
        top_k (`Sequence[int]`, *optional*, defaults to `(10,)`): Numbers of items to give.
        batch_size (`int`, *optional*, defaults to `16`): Questions answered at a time.
        max_new_tokens (`int`, *optional*): Longest answer, in tokens; the protocol's if not given.
        process (`int`, *optional*, defaults to `0`): Number of this process.
        num_processes (`int`, *optional*, defaults to `1`): Processes that share the work.

    Raises:
        ValueError: If the folder holds predictions of other settings, or the model has no slots for so many items.
    """

    model: object
    processor: object
    folder: Path
    protocol: Protocol
    settings: Mapping[str, Any]
    source_of: Callable[[Benchmark], ItemSource] | None = None
    top_k: Sequence[int] = (10,)
    batch_size: int = 16
    max_new_tokens: int | None = None
    process: int = 0
    num_processes: int = 1

    def __post_init__(self):
        self.top_k = tuple(dict.fromkeys(self.top_k))
        for top_k in self.top_k:
            check_top_k(top_k, self.model.config)
        if self.process == 0:
            self._joined = joined_settings(self.folder, self.settings)

    def ways(self, ways: Sequence[str] | None = None) -> list[tuple[str, int]]:
        """Return the ways to ask, with the number of items of each.

        Args:
            ways (`Sequence[str]`, *optional*): Some of [`WAYS`], in any case, with blanks, `-` or `_`; all that the
                model allows if not given.

        Raises:
            ValueError: If a way is unknown, or the model or the missing items do not allow it.
        """
        has_encoder = self.model.config.num_memory_tokens > 0
        plain = {way.casefold(): way for way in WAYS}
        if ways is not None:
            ways = [plain.get(way.casefold().replace("_", " ").replace("-", " "), way) for way in ways]
        possible = [WAYS[0]] if self.source_of is None else [*WAYS[:2], *(WAYS[2:] if has_encoder else ())]
        for way in possible if ways is None else ways:
            if way not in possible:
                raise ValueError(f"`ways` must be among {possible} with this model and these items, got {way!r}.")
        chosen = [way for way in possible if ways is None or way in ways]
        return [(way, top_k) for way in chosen for top_k in ([0] if way == "no memory" else self.top_k)]

    def answer_all(
        self,
        benchmarks: Sequence[Benchmark],
        ways: Sequence[str] | None = None,
        wait: Callable[[], object] = lambda: None,
    ) -> list[tuple[Benchmark, tuple[Answers, ...]]]:
        """Answer all questions in all ways; what the folder has answers to is not asked again.

        Args:
            benchmarks (`Sequence[Benchmark]`): The benchmarks.
            ways (`Sequence[str]`, *optional*): As for [`Run.ways`].
            wait (`Callable`, *optional*): Waits for all processes.

        Returns:
            `list`: Each benchmark with the answers of each way, those of other numbers of items included that an
            earlier run has finished; empty in all processes but the first.
        """
        chosen = self.ways(ways)
        wait()  # until all processes have seen the folder as it was
        if self.process == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self._joined, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            write_durably(self.folder / RUN_NAME, lambda place: place.write_text(text, encoding="utf-8"))
            for benchmark in benchmarks:  # what cannot be read is refused before the work
                self._files(benchmark)
        results = []
        for benchmark in benchmarks:
            answers = []
            source = None if self.source_of is None else self.source_of(benchmark)
            for way, top_k in chosen:
                interview = Interview(
                    self.model, self.processor, way, top_k, self.protocol, source, self.max_new_tokens
                )
                file = self._file(benchmark, way, top_k)
                interview.answer_all(benchmark, file, self.batch_size, self.process, self.num_processes)
                wait()
                if self.process == 0:
                    answers.append(Answers(way, top_k, file.finish()))
            if self.process == 0:
                for way, top_k, file in self._files(benchmark, besides=chosen):
                    if len(file.found) == len(file.ids):
                        answers.append(Answers(way, top_k, file.finish()))
                answers.sort(key=lambda one: (WAYS.index(one.way), one.top_k))
            results.append((benchmark, tuple(answers)))
        return results if self.process == 0 else []

    def others(self, benchmarks: Sequence[Benchmark]) -> list[str]:
        """Return the benchmarks, with their languages, of which the folder holds predictions but that are not given.

        Args:
            benchmarks (`Sequence[Benchmark]`): The given ones.
        """
        given = {(benchmark.name, benchmark.language) for benchmark in benchmarks}
        found = {tuple(path.name.split(".")[:2]) for path in (self.folder / PREDICTIONS).glob("*.jsonl")}
        return [f"{name} ({language})" for name, language in sorted(found - given)]

    def _files(
        self, benchmark: Benchmark, besides: Sequence[tuple[str, int]] = ()
    ) -> list[tuple[str, int, PredictionsFile]]:
        """The ways of which there are predictions, of this run or an earlier one, besides some."""
        found = {}
        for path in (self.folder / PREDICTIONS).glob(f"{benchmark.name}.{benchmark.language}.*.jsonl"):
            words = path.name.split(".")[2]
            number = words.rpartition("-")[2]
            top_k = int(number) if number.isdecimal() else 0
            for way in WAYS:
                is_wanted = (way, top_k) not in (*besides, *found)  # several parts are one file
                if is_wanted and words == self._path(benchmark, way, top_k).name.split(".")[2]:
                    found[way, top_k] = self._file(benchmark, way, top_k)
        return [(way, top_k, file) for (way, top_k), file in found.items()]

    def _file(self, benchmark: Benchmark, way: str, top_k: int) -> PredictionsFile:
        ids = [question.id for question in benchmark.questions]
        return PredictionsFile(self._path(benchmark, way, top_k), ids, self.process)

    def _path(self, benchmark: Benchmark, way: str, top_k: int) -> Path:
        words = way.replace(" ", "-") + (f"-{top_k}" if top_k else "")
        return self.folder / PREDICTIONS / f"{benchmark.name}.{benchmark.language}.{words}.jsonl"


def joined_settings(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Join the settings of a run with those that its folder has from before.

    Args:
        folder (`Path`): The folder of a run; it may be new.
        settings (`Mapping[str, Any]`): Settings of this run.

    Returns:
        `dict`: The settings, with the `"data"` of both.

    Raises:
        ValueError: If a setting differs; the message names the first one, and both values.
    """
    now = json.loads(json.dumps(dict(settings)))
    path = folder / RUN_NAME
    if not path.exists():
        if any(folder.glob(f"{PREDICTIONS}/*.jsonl")):
            raise ValueError(f"{str(folder)!r} holds predictions, but no {RUN_NAME} that says of what run.")
        return now
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        data_before = dict(before.get("data", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} is not the record of a run ({error}); choose another folder.") from error
    data = now.get("data", {})
    both = [name for name in data if name in data_before]
    pairs = {f"data of {name}": (data_before[name], data[name]) for name in both}
    pairs |= {name: (before.get(name), now.get(name)) for name in sorted({*before, *now} - {"data"})}
    for name, (then, given) in pairs.items():
        if then != given:
            raise ValueError(
                f"{str(folder)!r} holds predictions of another run: `{name}` was {then!r} there and is {given!r} now; "
                "choose another folder, or delete this one."
            )
    return {**now, "data": {**data_before, **data}}
