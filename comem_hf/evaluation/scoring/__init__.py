"""Two scorers for each benchmark: the benchmark's own, and that of the CoMEM release."""

from pathlib import Path

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.scoring.texts.extraction import extract_answer

from . import aokvqa, cvqa, infoseek, mrag, okvqa, oven, viquae
from .scorer import Scorer, SetScores, check_number, score_set


__all__ = ["Scorer", "SetScores", "check_number", "extract_answer", "score_set", "scorers_of"]

SCORERS = {
    "infoseek": (infoseek.OFFICIAL, infoseek.RELEASE),
    "infoseek_multilingual": (infoseek.OFFICIAL, infoseek.RELEASE),
    "mrag": (mrag.OFFICIAL, mrag.RELEASE),
    "okvqa": (okvqa.OFFICIAL, okvqa.RELEASE),
    "aokvqa": (aokvqa.OFFICIAL, aokvqa.RELEASE),
    "viquae": (viquae.OFFICIAL, viquae.F1, viquae.RELEASE),
    "cvqa": (cvqa.OFFICIAL, cvqa.RELEASE),
}


def scorers_of(
    benchmark: Benchmark, *, vocabulary: Path | None = None, multiple_choice: bool = False
) -> tuple[Scorer, ...]:
    """Return the scorers of a benchmark.

    Args:
        benchmark (`Benchmark`): The benchmark. OVEN needs its `titles`.
        vocabulary (`Path`, *optional*): The vocabulary file of BERT-base-uncased, for OVEN.
        multiple_choice (`bool`, *optional*, defaults to `False`): Whether the answers to A-OKVQA name one of its four
            choices. The prompts ask for direct answers, so that this is for predictions of other code.

    Returns:
        `tuple[Scorer, ...]`: The official scorer, which gets what [`extract_answer`] found, and the CoMEM release's,
        which gets the model's whole text. ViQuAE's own evaluator gives two numbers: exact match, which comes first,
        and F1. The release does not score multiple choice.

    Raises:
        `ValueError`: If the benchmark is unknown or has no multiple-choice setting, or a file that OVEN needs is
            missing.
    """
    if multiple_choice:
        if benchmark.name != "aokvqa":
            raise ValueError(f"The multiple-choice setting is of 'aokvqa', not of {benchmark.name!r}.")
        return (aokvqa.MULTIPLE_CHOICE,)
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
