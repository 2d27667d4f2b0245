import pytest

from comem_hf.lmms.generation import cut_at, generation_settings, stop_strings


GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


@pytest.mark.parametrize(
    "task, settings",
    [
        ({}, {"max_new_tokens": 9, **GREEDY}),
        ({"until": ["\n\n"], "do_sample": False}, {"max_new_tokens": 9, **GREEDY}),
        (
            {"max_new_tokens": 5, "temperature": 0, "top_p": None, "num_beams": 1},
            {"max_new_tokens": 5, "num_beams": 1, **GREEDY},
        ),
        ({"max_gen_toks": 7, "temperature": 0, "do_sample": True, "top_p": 0.5}, {"max_new_tokens": 7, **GREEDY}),
        (
            {"temperature": 0.7, "do_sample": False, "top_p": 0.9, "repetition_penalty": 1.05},
            {"max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.05},
        ),
        ({"do_sample": True}, {"max_new_tokens": 9, "do_sample": True}),
        ({"image_aspect_ratio": "original"}, {"max_new_tokens": 9, **GREEDY}),
    ],
)
def test_settings_of_a_task_become_those_of_generate(task, settings):
    assert generation_settings(task, 9) == settings


@pytest.mark.parametrize(
    "until, stops", [(None, []), ("Q:", ["Q:"]), (["\n\n", "", "Q:", "."], ["Q:", "."]), (["\n\n"], [])]
)
def test_texts_between_examples_end_no_answer(until, stops):
    assert stop_strings({"until": until}) == stops


@pytest.mark.parametrize(
    "stops, answer", [([], "a. b Q: c"), (["Q:"], "a. b "), (["Q:", "."], "a"), (["x"], "a. b Q: c")]
)
def test_an_answer_ends_before_the_first_text_that_ends_it(stops, answer):
    assert cut_at("a. b Q: c", stops) == answer
