"""The file of Wikipedia titles, searched."""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .bm25 import Bm25Index
from .word_pieces import word_piece_tokenizer


BATCH = 20_000
# The names in `Wiki6M_ver_1_0_title_only.jsonl`, and in `wikipedia_6m.jsonl`, which OVEN's own evaluator reads.
NAMES = (("wikidata_id", "wikipedia_title"), ("id", "content"))


@dataclass(frozen=True)
class TitleHit:
    """A title that was found.

    Args:
        entity_id (`str`): Its Wikidata id, such as `"Q31"`.
        title (`str`): The title.
        score (`float`): Its BM25 score.
        tied (`bool`): Whether another title scores the same. The published evaluators' order among such titles depends
            on the processor; here the first in the file comes first.
    """

    entity_id: str
    title: str
    score: float
    tied: bool


class TitleSearch:
    """A search for titles, the one that turns OVEN's answers into entities.

    The titles stay in their file. The index takes 12 bytes for a title and 6 for each of its word pieces.

    Args:
        titles (`Path`): A JSONL file of titles and ids.
        vocabulary (`Path`): The vocabulary of BERT-base-uncased, a text file.

    Raises:
        `ValueError`: If a file is not there, or a line of the titles is not one; its number is named.
    """

    def __init__(self, titles: Path, vocabulary: Path):
        self.titles = Path(titles)
        self.tokenizer = word_piece_tokenizer(Path(vocabulary))
        if not self.titles.is_file():
            raise ValueError(f"There is no file of titles {self.titles}, which OVEN's answers are looked up in.")
        places, lengths, words = array("q"), array("i"), array("i")
        lines = self._lines(places)
        while batch := list(islice(lines, BATCH)):
            for encoding in self.tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                lengths.append(len(encoding.ids))
                words.extend(encoding.ids)
        self.places = np.frombuffer(places, dtype=np.int64)
        self.index = Bm25Index(np.frombuffer(words, dtype=np.int32), np.frombuffer(lengths, dtype=np.int32))

    def _lines(self, places: array) -> Iterator[str]:
        """The titles; where the line of each begins goes into `places`."""
        place = 0
        with self.titles.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    places.append(place)
                    yield read_title(line, f"Line {number} of {self.titles}")[1]
                place += len(line)

    def search(self, query: str, count: int = 1) -> list[TitleHit]:
        """Return the titles that are most like a text.

        Args:
            query (`str`): Any text.
            count (`int`, *optional*, defaults to 1): How many titles to return at most.

        Returns:
            `list[TitleHit]`: The titles, best first; of equal ones, the first in the file first. Empty if no title has
            any word piece of the query: all titles then score 0, and the published evaluators return any.
        """
        words = self.tokenizer.encode(query, add_special_tokens=False).ids
        if not any(map(self.index.knows, words)):
            return []
        hits = []
        with self.titles.open("rb") as file:
            for ranked in self.index.best(words, count):
                file.seek(int(self.places[ranked.row]))
                entity_id, title = read_title(file.readline(), f"Title {ranked.row + 1} of {self.titles}")
                hits.append(TitleHit(entity_id, title, ranked.score, ranked.tied))
        return hits


def read_title(line: bytes, where: str) -> tuple[str, str]:
    """Return the id and the title on a line.

    Args:
        line (`bytes`): The line.
        where (`str`): Which line, for the message.

    Returns:
        `tuple[str, str]`: Wikidata id and title.

    Raises:
        `ValueError`: If the line is not JSON, or has no id and title.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}.") from error
    for id_name, title_name in NAMES:
        if isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in (id_name, title_name)):
            return fields[id_name], fields[title_name]
    raise ValueError(f"{where} has no `wikidata_id` and `wikipedia_title`, both texts.")
