"""All candidates of a synthesis: read, drawn, looked at, and put on their sides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from comem_hf.bank import BackboneEmbedder, MemoryBank
from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.files.whole_file import file_entry
from comem_hf.modeling.picture_comem import load_image
from comem_hf.synthesis.answers.dialogues import dialogue_candidates
from comem_hf.synthesis.answers.judge import Judge, judge_of
from comem_hf.synthesis.output.counts import Counts
from comem_hf.synthesis.questions.candidate import Candidate
from comem_hf.synthesis.questions.draw import draw
from comem_hf.synthesis.questions.pictures import encoded_picture, refuse_missing, with_pictures
from comem_hf.synthesis.questions.read import read_source
from comem_hf.synthesis.questions.split import similar_pairs, split
from comem_hf.synthesis.settings.settings import SynthesisSettings
from comem_hf.synthesis.settings.source import SourceSettings


@dataclass
class Gathered:
    """The candidates of one source.

    Args:
        source ([`SourceSettings`]): The source.
        benchmark ([`Benchmark`]): What its questions are of.
        candidates (`list[Candidate]`): Those that can be asked.
        judge (`Callable[[str, BenchmarkQuestion], bool]`): Whether a text answers a question.
        counts ([`Counts`]): What has been counted so far.
        missing (`list[str]`): Names of the questions without a picture.
        digests (`dict[str, str]`): SHA-256 of the files that it was read from.
    """

    source: SourceSettings
    benchmark: Benchmark
    candidates: list[Candidate]
    judge: Judge
    counts: Counts
    missing: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """Number of questions that were drawn, with a picture or without."""
        return self.counts["drawn"]


def gather(model: Any, processor: Any, bank: MemoryBank, settings: SynthesisSettings) -> list[Gathered]:
    """Read all sources, and decide what is held out.

    Args:
        model (`CoMemForConditionalGeneration`): The model, whose vision tower compares pictures if that is asked for.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): The bank.
        settings ([`SynthesisSettings`]): The synthesis.

    Raises:
        ValueError: If a file is not valid, too many pictures are missing, or an entity is on both sides.
    """
    gathered = [_read(source, settings, bank) for source in settings.sources]
    candidates = [candidate for each in gathered for candidate in each.candidates]
    if not candidates:
        raise ValueError("There is no question with a picture: nothing can be made.")
    similar = []
    if settings.near_identical is not None:
        similar = _similar(candidates, BackboneEmbedder(model, processor), settings)
    sides = {each.source.name: each.source.side for each in gathered}
    divided = iter(split(candidates, settings.held_out, settings.seed, sides, similar))
    for each in gathered:
        each.candidates = [next(divided) for _ in each.candidates]
    return gathered


def _read(source: SourceSettings, settings: SynthesisSettings, bank: MemoryBank) -> Gathered:
    counts = Counts()
    if source.dialogues:
        candidates, without = dialogue_candidates(source, bank, settings.seed)
        benchmark, digests = Benchmark(source.name, "en", ()), {}
        counts.add("read", len(candidates) + without)
        counts.add("without_picture", without)
    else:
        candidates, benchmark = read_source(source, settings, bank)
        counts.add("read", len(candidates))
        candidates = draw(candidates, source.candidates, settings.seed, source.name, lambda each: each.id)
        digests = {path.name: file_entry(path)["sha256"] for path in benchmark.files}
    counts.add("drawn", len(candidates))
    candidates = with_pictures(candidates)
    missing = [candidate.name for candidate in candidates if not candidate.picture]
    counts.add("without_picture", len(missing))
    refuse_missing(missing, len(candidates), settings.max_missing, source.name)
    there = [candidate for candidate in candidates if candidate.picture]
    return Gathered(source, benchmark, there, judge_of(source, benchmark), counts, missing, digests)


def _similar(
    candidates: Sequence[Candidate], embedder: BackboneEmbedder, settings: SynthesisSettings
) -> list[tuple[str, str]]:
    """Pairs of pictures that the vision tower hardly tells apart; damaged ones are not compared."""
    import numpy as np

    names, pictures, embedded = [], [], []
    for digest, candidate in {candidate.picture: candidate for candidate in candidates}.items():
        try:
            pictures.append(load_image(encoded_picture(candidate.question)))
        except ValueError:  # it cannot be asked about either, and is counted then
            continue
        names.append(digest)
        if len(pictures) == settings.batch_size:
            embedded.append(embedder.embed_images(pictures))
            pictures = []
    if pictures:
        embedded.append(embedder.embed_images(pictures))
    return similar_pairs(names, np.concatenate(embedded), settings.near_identical) if embedded else []
