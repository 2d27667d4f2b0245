"""Words of texts in many languages."""

import pytest

from comem_hf.bank.words.tokens import LONGEST, words_of


@pytest.mark.parametrize(
    "text, words",
    [
        ("Der rote Stuhl, 3.5 kg; SKU_42-A", ["der", "rote", "stuhl", "3", "5", "kg", "sku", "42", "a"]),
        ("STÜHLE Stühle Stu\u0308hle", ["stuhle"] * 3),
        ("Straße, Łódź, İstanbul", ["strasse", "lodz", "istanbul"]),
        ("ﬁne Ａ１", ["fine", "a1"]),  # compatibility forms
        ("ёлка Άθως", ["елка", "αθωσ"]),
        ("שָׁלוֹם مُحَمَّد", ["שלום", "محمد"]),  # vowel points
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are part of a word
        ("猫", ["猫"]),
        ("黒い猫", ["黒い", "い猫", "黒", "猫"]),
        ("의자를 사다", ["의자", "자를", "사다"]),
        ("แมว cat", ["แม", "มว", "cat"]),
        ("iPhone用ケース", ["iphone", "用ケ", "ケー", "ース", "用"]),
        ("x" * 100, ["x" * LONGEST]),
        ("!? \u200b 👍", []),
        ("", []),
        ("\ud800a", ["a"]),  # half a pair of surrogates
    ],
)
def test_texts_of_any_language_are_taken_apart_into_words(text, words):
    assert words_of(text) == words


def test_a_word_of_a_language_without_spaces_is_found_inside_a_text():
    for word, text in (("苹果", "我喜欢吃苹果"), ("แมว", "นั่นคือแมวดำ"), ("시계", "손목시계를")):
        assert set(words_of(word)) <= set(words_of(text))
