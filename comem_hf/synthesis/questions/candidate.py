"""A question that may become a row."""

from dataclasses import dataclass

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


ORIGINS = ("verified", "teacher", "dialogue")


@dataclass(frozen=True)
class Candidate:
    """A question, and what it is about.

    Args:
        question ([`BenchmarkQuestion`]): The question; its id is the source's name, a slash and its own id.
        source (`str`): Name of the source.
        entity (`str`): What the question is about: never on both sides of a split.
        origin (`str`): `"verified"` (the answer is known), `"teacher"` (it is not) or `"dialogue"`.
        item_id (`str`, *optional*): The item of the bank that holds the answer, if that is known.
        answer (`str`, *optional*): The known answer, as text to learn.
        picture (`str`, *optional*, defaults to `""`): SHA-256 of the encoded picture; empty if it is missing.
        side (`str`, *optional*): `"train"` or `"held_out"`, once that is decided.
        place (`str`, *optional*, defaults to `""`): File and line that it was read from, where known.
    """

    question: BenchmarkQuestion
    source: str
    entity: str
    origin: str
    item_id: str | None = None
    answer: str | None = None
    picture: str = ""
    side: str | None = None
    place: str = ""

    @property
    def id(self) -> str:
        """Id of the question, among those of all sources."""
        return self.question.id

    @property
    def name(self) -> str:
        """What messages call the question: its id, and where it was read from."""
        return f"{self.id} ({self.place})" if self.place else self.id
