import pytest

from comem_hf.evaluation.scoring.texts.release_text import release_answer


@pytest.mark.parametrize(  # from the specification of the release, where the published function was run
    ("text", "answer"),
    {
        r"\boxed{The Eiffel Tower}": "eiffel tower",
        r"\boxed{Paris}": "",
        "Answer: Francis": "",
        r"\boxed{\text{blue}}": "textblue",
        r"\boxed{A} and \boxed{B}": "",
        "\\boxed{New\nYork}": "boxednew york",
        r"\boxed{1,200 m}": "1200 m",
        r"\boxed{Hobby}": "",
        r"\boxed{Theodore Roosevelt}": "odore roosevelt",
        r"\boxed{softball}": "tball",
        r"\boxed{bachelor of arts}": "arts",
        r"\boxed{U.S.}": "us",
        "": "",
    }.items(),
)
def test_the_release_keeps_its_quirks(text, answer):
    assert release_answer(text) == answer
