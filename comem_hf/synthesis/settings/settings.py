"""All settings of a synthesis."""

from dataclasses import dataclass
from pathlib import Path

from comem_hf.modeling.field_checks_comem import check_number, check_positive, is_number

from .language import check_language
from .source import SourceSettings


@dataclass(frozen=True)
class SynthesisSettings:
    """How training data is made; `comem synthesize` reads the same names from a YAML file.

    Args:
        output (`Path`): Folder of the result, new, or of an interrupted run of the same settings.
        sources (`tuple[SourceSettings, ...]`): Where rows come from.
        model (`str`, *optional*): For the command: folder or Hub id of the model that answers, with a memory encoder
            or a plain backbone; the embedded model if not given.
        bank (`str`, *optional*): For the command: folder or Hub id of the bank; the embedded bank if not given.
        data (`Path`, *optional*): Folder of the benchmarks' files, or one with a folder for each.
        top_k (`int`, *optional*, defaults to 3): Items of a row, as the published training has them.
        held_out (`float`, *optional*, defaults to 0.1): Share of the entities that are held out.
        seed (`int`, *optional*, defaults to 0): Decides the split, what is drawn, the order of items, and answers that
            are sampled.
        batch_size (`int`, *optional*, defaults to 16): Questions answered at a time.
        max_new_tokens (`int`, *optional*, defaults to 64): Longest answer, in tokens.
        temperature (`float`, *optional*, defaults to 0): Of the teacher's answers; 0 is greedy.
        dialogue_temperature (`float`, *optional*, defaults to 1): Of the questions that the model asks itself.
        picture_first (`bool`, *optional*, defaults to `True`): Whether the teacher sees a picture before its text, as
            `comem ask` shows it, or after it, as published.
        exclude_query_image (`bool`, *optional*, defaults to `False`): Leave out items whose picture has the very
            pixels of the question's.
        only_found (`bool`, *optional*, defaults to `False`): Keep a question about a known item only if that item is
            among those that were retrieved.
        shuffle_items (`bool`, *optional*, defaults to `False`): Put the items of each row to train on in random
            order, so that the right one is not always first. The teacher gets them as they were retrieved.
        near_identical (`float`, *optional*): Least cosine similarity, by the backbone's vision tower, of two pictures
            that must not be on both sides. Without it, equal files alone count.
        max_missing (`float`, *optional*, defaults to 0.05): Largest share of a source's pictures that may be missing
            or damaged.
        languages (`tuple[str, ...]`, *optional*): Languages to translate rows to train on into, by ISO 639 codes.
        per_language (`int`, *optional*, defaults to 200): Rows of each of these languages.
        translate_from (`tuple[str, ...]`, *optional*): Sources whose rows are translated; all by default.
        translator (`str`, *optional*): For the command: the callable, as `"module:function"`.
        license (`str`, *optional*): Licence of the data, by the Hub's identifier.

    Raises:
        ValueError: If a field has another value; field and value are named.
    """

    output: Path
    sources: tuple[SourceSettings, ...]
    model: str | None = None
    bank: str | None = None
    data: Path | None = None
    top_k: int = 3
    held_out: float = 0.1
    seed: int = 0
    batch_size: int = 16
    max_new_tokens: int = 64
    temperature: float = 0.0
    dialogue_temperature: float = 1.0
    picture_first: bool = True
    exclude_query_image: bool = False
    only_found: bool = False
    shuffle_items: bool = False
    near_identical: float | None = None
    max_missing: float = 0.05
    languages: tuple[str, ...] = ()
    per_language: int = 200
    translate_from: tuple[str, ...] | None = None
    translator: str | None = None
    license: str | None = None

    def __post_init__(self):
        if not self.sources:
            raise ValueError("`sources` is empty: name questions, a benchmark or dialogues to make rows of.")
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"Each source needs a `name` of its own, got {names}.")
        for field in ("top_k", "batch_size", "max_new_tokens", "per_language"):
            check_positive(field, getattr(self, field))
        for field in ("temperature", "dialogue_temperature"):
            check_number(field, getattr(self, field))
        for field in ("held_out", "max_missing", "near_identical"):
            value = getattr(self, field)
            if not (is_number(value) and 0 <= value <= 1) and not (field == "near_identical" and value is None):
                raise ValueError(f"`{field}` must be a share from 0 to 1, got {value!r}.")
        for field in ("picture_first", "exclude_query_image", "only_found", "shuffle_items"):
            if not isinstance(getattr(self, field), bool):
                raise ValueError(f"`{field}` must be true or false, got {getattr(self, field)!r}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise ValueError(f"`seed` must be a whole number from 0 to 2147483647, got {self.seed!r}.")
        if len(set(self.languages)) < len(self.languages):
            raise ValueError(f"`languages` must be there once each, got {list(self.languages)}.")
        for language in self.languages:
            check_language(language)
        unknown = sorted(set(self.translate_from or ()) - set(names))
        if unknown:
            raise ValueError(f"`translate_from` names {unknown[0]!r}, which is no source; sources are {names}.")
