import pytest
from transformers import BertTokenizer

from comem_hf.evaluation.scoring.title_search.word_pieces import word_piece_tokenizer


TEXTS = [
    "Golden Gate Bridge",
    "Bánh mì",
    "ÜNÏCÖDÉ",
    "長江大橋",
    "[MASK] [UNK]x [pad]",
    "x" * 101,
    "a\u200bb\x00c",
    "½ ﬁ 😀",
    "",
]


def test_pieces_are_those_of_the_published_tokenizer(vocabulary):
    ours, theirs = word_piece_tokenizer(vocabulary), BertTokenizer(vocab=str(vocabulary))
    for text in TEXTS:
        assert ours.encode(text, add_special_tokens=False).tokens == theirs.tokenize(text)


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("the\nof\n")
    with pytest.raises(ValueError, match=r"has no line \[UNK\]"):
        word_piece_tokenizer(tmp_path / "vocab.txt")
