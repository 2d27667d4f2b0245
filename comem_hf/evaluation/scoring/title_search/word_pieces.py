"""Texts cut into word pieces, as BERT's uncased tokenizer does."""

from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from tokenizers import Tokenizer


UNKNOWN = "[UNK]"
# They stay whole where a text has them, as in transformers' tokenizer.
SPECIAL = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")


def word_piece_tokenizer(vocabulary: Path) -> "Tokenizer":
    """Return a tokenizer for a vocabulary file.

    Args:
        vocabulary (`Path`): A text file with a piece on each line, such as `vocab.txt` of `bert-base-uncased`. Nothing
            is downloaded.

    Returns:
        `tokenizers.Tokenizer`: Gives the pieces that `tokenize` of transformers' tokenizer gives with that vocabulary:
        small letters, no accents, no special tokens around.

    Raises:
        `ValueError`: If the file is not there, or is not such a vocabulary.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    if not vocabulary.is_file():
        raise ValueError(f"There is no vocabulary file {vocabulary}; name the `vocab.txt` of bert-base-uncased.")
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")
    places = {piece: place for place, piece in enumerate(pieces) if piece}
    if UNKNOWN not in places:
        raise ValueError(f"{vocabulary} has no line {UNKNOWN}, so it is not a vocabulary of word pieces.")
    tokenizer = Tokenizer(models.WordPiece(places, unk_token=UNKNOWN, max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([piece for piece in SPECIAL if piece in places])
    return tokenizer
