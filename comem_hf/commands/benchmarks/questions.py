"""The questions of the chosen benchmarks, and what scores their answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .choice import ALL, Choice


if TYPE_CHECKING:
    from comem_hf.evaluation.benchmarks import Benchmark

VOCABULARY = "google-bert/bert-base-uncased", "vocab.txt"
ALIASES = {"mragbench": "mrag", "multilingualinfoseek": "infoseek_multilingual"}


def load_questions(choice: Choice) -> "list[Benchmark]":
    """Read the questions of all chosen benchmarks, in the chosen languages.

    Raises:
        ValueError: If a name is unknown, a file is missing or damaged, or all pictures of a benchmark are missing.
    """
    from comem_hf.evaluation.benchmarks import BENCHMARKS, languages_of, load_benchmark

    plain = {_plain(name): name for name in BENCHMARKS} | ALIASES
    names = BENCHMARKS if ALL in choice.names else [plain.get(_plain(name), name) for name in choice.names]
    loaded = []
    for name in dict.fromkeys(names):
        if name not in BENCHMARKS:
            raise ValueError(f"Benchmarks are {', '.join(BENCHMARKS)} and '{ALL}', got {name!r}.")
        languages = [language for language in choice.languages if language in languages_of(name)]
        if languages or not choice.languages:
            folder = folder_of(name, choice.data)
            found = load_benchmark(name, folder, split=choice.split, languages=languages or None, limit=choice.limit)
            if choice.predictions is None and not any(each.picture for one in found for each in one.questions):
                raise ValueError(
                    f"No picture of {name} was found in {str(folder)!r}; docs/how-to/benchmarks.md says where to put "
                    "them."
                )
            loaded += found
    if not loaded:
        known = sorted({language for name in names for language in languages_of(name)})
        raise ValueError(f"`--language` must be among {known} here, got {list(choice.languages)}.")
    return loaded


def folder_of(name: str, folder: Path) -> Path:
    """Return the folder of one benchmark in a folder of several, or the folder itself."""
    return folder / name if (folder / name).is_dir() else folder


def load_scorers(benchmark: "Benchmark", choice: Choice, *, is_alone: bool) -> dict[str, Any]:
    """Return the scorers of a benchmark, or why it is not scored, as [`BenchmarkResult`] takes them.

    Args:
        benchmark (`Benchmark`): The benchmark.
        choice (`Choice`): What to do.
        is_alone (`bool`): Whether it is the only one.

    Raises:
        ValueError: If more questions would give a number, or OVEN's vocabulary is missing.
    """
    from comem_hf.evaluation.scoring import check_number, scorers_of

    if any(question.reference is None for question in benchmark.questions):
        return {"scorers": ()}
    vocabulary = _vocabulary(choice) if benchmark.name == "oven" else None
    scorers = scorers_of(benchmark, vocabulary=vocabulary, multiple_choice=choice.multiple_choice)
    try:
        for scorer in scorers:
            check_number(scorer, benchmark)
    except ValueError as error:
        # A small file among several does not end the run; what more questions would help is refused before the work.
        more_to_read = choice.limit is not None and len(benchmark.questions) >= choice.limit
        if is_alone or more_to_read:
            raise
        return {"scorers": (), "unscored": f"These questions are answered, not scored: {error}"}
    return {"scorers": scorers}


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _vocabulary(choice: Choice) -> Path:
    """The vocabulary that OVEN's titles are cut into pieces with."""
    from huggingface_hub import try_to_load_from_cache

    from comem_hf.repository.download import download

    if choice.vocabulary is not None:
        return choice.vocabulary
    repo, name = VOCABULARY
    for found in (folder_of("oven", choice.data) / name, try_to_load_from_cache(repo, name)):
        if isinstance(found, (str, Path)) and Path(found).is_file():
            return Path(found)
    try:
        return download(repo, "model", None, name)
    except OSError as error:
        raise ValueError(
            f"OVEN's titles are searched by word pieces of {repo}, whose {name} is neither beside OVEN's files nor on "
            f"the Hub now: name it with `--vocabulary` ({error})"
        ) from error
