import pytest

from comem_hf.evaluation.scoring.texts.vqa_text import vqa_normalized


@pytest.mark.parametrize(
    ("text", "normalized"),
    {
        "The Dog": "dog",
        "none": "0",
        "ten o'clock": "10 o'clock",
        "dont": "don't",
        "couldntve": "couldntve",
        "couldnt've": "couldn't've",
        "black/white": "black white",
        "black / white": "black white",
        "1,000-2": "10002",
        "3.5 m.": "3.5 m",
        "a.": "",
        "50%": "50%",
        "." * 33 + "x": ".x",  # only 32 points go
    }.items(),
)
def test_texts_are_normalized_as_the_evaluator_does(text, normalized):
    assert vqa_normalized(text) == normalized
