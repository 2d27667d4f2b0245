"""Two scorers for each benchmark: the benchmark's own, and that of the CoMEM release."""

from pathlib import Path

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.scoring.texts.extraction import extract_answer

from . import aokvqa, cvqa, infoseek, mrag, okvqa, oven, viquae
from .scorer import Scorer, SetScores, score_set


__all__ = ["Scorer", "SetScores", "extract_answer", "score_set", "scorers_of"]

SCORERS = {
    "infoseek": (infoseek.OFFICIAL, infoseek.RELEASE),
    "infoseek_multilingual": (infoseek.OFFICIAL, infoseek.RELEASE),
    "mrag": (mrag.OFFICIAL, mrag.RELEASE),
    "okvqa": (okvqa.OFFICIAL, okvqa.RELEASE),
    "aokvqa": (aokvqa.OFFICIAL, aokvqa.RELEASE),
    "viquae": (viquae.OFFICIAL, viquae.RELEASE),
    "cvqa": (cvqa.OFFICIAL, cvqa.RELEASE),
}


def scorers_of(benchmark: Benchmark, *, vocabulary: Path | None = None) -> tuple[Scorer, ...]:
    """Return the scorers of a benchmark.

    Args:
        benchmark (`Benchmark`): The benchmark. OVEN needs its `titles`.
        vocabulary (`Path`, *optional*): The vocabulary file of BERT-base-uncased, for OVEN.

    Returns:
        `tuple[Scorer, ...]`: The official scorer, which gets what [`extract_answer`] found, and the CoMEM release's,
        which gets the model's whole text. Two more are at hand: [`aokvqa.MULTIPLE_CHOICE`] and [`viquae.F1`].

    Raises:
        `ValueError`: If the benchmark is unknown, or a file that OVEN needs is missing.
    """
    if benchmark.name == "oven":
        if benchmark.titles is None or vocabulary is None:
            raise ValueError(
                "OVEN's answers are looked up among Wikipedia's titles: its scorers need the benchmark's `titles` "
                "(Wiki6M_ver_1_0_title_only.jsonl) and a `vocabulary` (vocab.txt of bert-base-uncased)."
            )
        return oven.scorers(benchmark.titles, vocabulary)
    if benchmark.name not in SCORERS:
        raise ValueError(
            f"There is no benchmark {benchmark.name!r}; known are {', '.join(sorted((*SCORERS, 'oven')))}."
        )
    return SCORERS[benchmark.name]
