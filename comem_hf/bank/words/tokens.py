"""Words of texts in any language, as the words index compares them."""

import re
import unicodedata
from functools import cache


WORD_RULES = 1  # other words of the same text need another number
LONGEST = 64  # characters of a word that are compared: what is longer is no word, but data

# Letters that Unicode does not take apart into a letter and a mark.
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
# Accents of Latin, Greek and Cyrillic letters, vowel points of Hebrew and Arabic: texts have them or lack them. Marks
# of other scripts are letters of their words, such as the vowels of Hindi.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA_AND_HANGUL = "\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\uac00-\ud7a3"
_THAI_TO_KHMER = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17dd"
_UNSPACED = re.compile(f"[{_HAN}{_KANA_AND_HANGUL}{_THAI_TO_KHMER}]+")
_IS_HAN = re.compile(f"[{_HAN}]")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in its order, repeated ones too; queries and items are taken apart alike.

    A word is a run of letters, digits and their marks, in lower case (Unicode's case folding), compatibility forms
    replaced (NFKC: `"ﬁ"` is `"fi"`, full-width `"Ａ"` is `"a"`) and accents taken off: `"Stühle"` is `"stuhle"`,
    `"ÉTÉ"` is `"ete"`. Words are not stemmed: `"Stuhl"` does not find `"Stühle"`.

    Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces between words, and Korean words carry
    endings: runs of these scripts become all pairs of neighbouring characters, and Chinese characters also stand
    alone. So a word of two or more characters finds the texts that have it, wherever it stands.

    Args:
        text (`str`): The text.
    """
    if text.isascii():
        return [word[:LONGEST] for word in _ascii_words().findall(text.lower())]
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    text = unicodedata.normalize("NFC", _ACCENTS.sub("", text)).translate(_LETTERS)
    words = []
    for run in _words().findall(text):
        end = 0
        for part in _UNSPACED.finditer(run):
            words += _spaced(run[end : part.start()])
            words += _pairs(part.group())
            end = part.end()
        words += _spaced(run[end:])
    return words


def _spaced(word: str) -> list[str]:
    return [word[:LONGEST]] if word else []


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    pairs = [run[start : start + 2] for start in range(len(run) - 1)]
    return pairs + _IS_HAN.findall(run)


@cache
def _ascii_words() -> re.Pattern:
    return re.compile(r"[a-z0-9]+")


@cache
def _words() -> re.Pattern:
    """Runs of letters, digits and marks; `re` takes marks for the end of a word."""
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"(?:[^\W_]|[{marks}])+")
