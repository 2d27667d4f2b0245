import pytest

from comem_hf.evaluation.scoring import extract_answer


BOXED = {
    r"Reasoning: x\nFinal answer: \boxed{Eiffel Tower}": "Eiffel Tower",
    r"\boxed{\text{blue}}": "blue",
    r"\boxed{\textbf{\text{New} York}}": "New York",
    r"\boxed{x^{2} + \frac{1}{2}}": r"x^{2} + \frac{1}{2}",
    r"\boxed{A} and then \boxed{B}": "B",
    r"\boxed{A} and then \boxed{}": "A",
    r"\boxed{\boxed{Paris}}": "Paris",
    r"$\boxed{\$5}$": "$5",
    r"\boxed{10\%}": "10%",
    r"\boxed{$\text{x}$}": "x",
    r"\boxed { 2 }": "2",
    "\\boxed{New\nYork}": "New\nYork",
    "\\boxed{cut off\nand more": "cut off",
    r"\\boxed{doubled}": "doubled",
    r"\boxed{a\}b}": "a}b",
    r"\boxed{}": "",
    r"Final answer: \boxed{}": "",
    "最终答案: \\boxed{长江}": "长江",
}
STATED = {
    "Final answer: Paris": "Paris",
    "Some thinking.\n**Final Answer:** Paris\nBecause of it.": "Paris",
    "The final answer is Paris.": "Paris.",
    "Final answer:\n\nB": "B",
    "Final answer: one\nFinal answer: two": "two",
    "Final answer: one\nFinal answer:": "one",
    "Final answer:": "",
    "Thinking.\nFinal answer:  ": "",
    "Final answer: Final answer:": "",
    "Respuesta final: **Paella**": "Paella",
    "Resposta final: Forró": "Forró",
    "Окончательный ответ: 3": "3",
    "Окончателен отговор: 4": "4",
    "КРАЕН ОТГОВОР: София": "София",
    "最终答案:长江": "长江",
    "最终答案：长江": "长江",
}
PLAIN = {
    "": "",
    "  ": "",
    " Paris ": "Paris",
    "`Paris`": "Paris",
    "*Paris*": "Paris",
    "Answer: Paris": "Answer: Paris",
}


@pytest.mark.parametrize(("text", "answer"), [*BOXED.items(), *STATED.items(), *PLAIN.items()])
def test_the_answer_is_found(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize("answer", [*BOXED.values(), *STATED.values(), *PLAIN.values()])
def test_an_extracted_answer_is_its_own_answer(answer):
    assert extract_answer(answer) == answer


def test_a_long_text_of_open_braces_takes_no_time():
    assert extract_answer(r"\boxed{" * 300) == ""
