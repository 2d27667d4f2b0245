"""The pipeline without a bank, and with objects that only look like one."""

import base64
import re
import threading
from collections import UserList

import PIL.Image
import pytest
import torch
import transformers
from packaging.version import Version
from transformers import GenerationConfig, TextIteratorStreamer

from comem_hf import MemoryItem
from comem_hf.modeling.explanation_comem import LEAST_INFLUENCE, item_influences, shares_of
from comem_hf.modeling.installation_comem import how_to_install
from comem_hf.modeling.pipeline_comem import MemoryImageTextToTextPipeline
from tests.conftest import make_image
from tests.local_hub.server import HubServer
from tests.picture_forms import forms


QUESTION = "Which country has this flag?"
GREEDY = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
MEMORIES = [MemoryItem(image=make_image(7), text="The flag of Peru.", id="PE"), {"text": "Its capital is Lima."}]

VERSION = Version(transformers.__version__)
needs_settings = pytest.mark.skipif(
    VERSION < Version("5.20"),
    reason="before 5.20 transformers' pipelines put 256 tokens before a model's settings and make lists of generators",
)
needs_all_answers = pytest.mark.skipif(
    VERSION < Version("5.23"), reason="before 5.23 transformers' pipeline drops all answers to a question but one"
)


@pytest.fixture
def ask(tiny_model, tiny_processor):
    return MemoryImageTextToTextPipeline(tiny_model, tiny_processor, device="cpu", generate_kwargs=GREEDY)


def chat(question=QUESTION, image=None) -> list[dict]:
    content = [] if image is None else [{"type": "image", "image": image}]
    return [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]


def generate(model, processor, questions, images, memories=None) -> list[str]:
    """What a caller of `generate` itself gets."""
    prompts = [
        processor.apply_chat_template(chat(question, image), add_generation_prompt=True)
        for question, image in zip(questions, images, strict=True)
    ]
    inputs = processor(text=prompts, images=images, memories=memories, padding=True, return_tensors="pt")
    output = model.generate(**inputs, **GREEDY)
    return processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def texts(answers) -> list[str]:
    return [answer["generated_text"] for (answer,) in answers]


def test_one_question_is_answered_as_generate_does(ask, tiny_model, tiny_processor):
    image = make_image(1)
    (plain,) = ask(images=image, text=QUESTION)
    assert plain == {
        "generated_text": generate(tiny_model, tiny_processor, [QUESTION], [image])[0],
        "memories": [],
    }
    (answer,) = ask(images=image, text=QUESTION, memories=MEMORIES)
    assert answer["generated_text"] == generate(tiny_model, tiny_processor, [QUESTION], [image], [MEMORIES])[0]
    assert answer["generated_text"] != plain["generated_text"]
    assert answer["memories"] == [
        {"id": "PE", "score": None, "probability": None, "found_by": None, "text": "The flag of Peru."},
        {"id": None, "score": None, "probability": None, "found_by": None, "text": "Its capital is Lima."},
    ]


@needs_settings
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_every_form_of_input_gives_the_answers_of_single_questions(ask, batch_size):
    questions = [QUESTION, "What?", "Is it red, and if not, why?"]
    images = [make_image(n, (56 + 28 * n, 56)) for n in range(3)]
    memories = [MEMORIES, [], MEMORIES[:1]]
    rows = list(zip(questions, images, memories, strict=True))
    single = [ask(images=image, text=question, memories=row) for question, image, row in rows]
    samples = [{"text": question, "images": image, "memories": row} for question, image, row in rows]
    chats = [{"text": chat(question, image), "memories": row} for question, image, row in rows]
    size = {"batch_size": batch_size}
    assert ask(images=images, text=questions, memories=memories, **size) == single
    assert ask(samples, **size) == single
    assert ask(chats, **size) == single
    assert ask(text=[chat(question, image) for question, image, _ in rows], memories=memories, **size) == single
    streamed = ask((sample for sample in samples), **size)
    assert not isinstance(streamed, list)
    assert list(streamed) == single


@pytest.mark.parametrize("batch_size", [2, 3])
def test_samples_with_and_without_pictures_share_a_batch(ask, batch_size):
    images = [make_image(1), None, [make_image(2), make_image(3, (84, 56))], None]
    memories = [None, MEMORIES, MEMORIES[:1], []]
    samples = [
        {"images": image, "text": QUESTION, "memories": row} for image, row in zip(images, memories, strict=True)
    ]
    assert ask(samples, batch_size=batch_size) == [ask(sample) for sample in samples]


def test_columns_and_other_iterables_are_as_good_as_lists(ask):
    samples = [{"images": make_image(n), "text": QUESTION} for n in range(2)]
    expected = ask(samples)
    assert list(ask(map(dict, samples), batch_size=2)) == expected

    class Rows:  # as a `datasets.Dataset`
        def __len__(self):
            return len(samples)

        def __getitem__(self, number):
            return samples[number]

        def __iter__(self):
            return iter(samples)

    assert list(ask(Rows(), batch_size=2)) == expected
    assert ask(images=UserList(s["images"] for s in samples), text=UserList(s["text"] for s in samples)) == expected


def test_conversations_come_as_text_or_alone_with_pictures_in_any_form(ask, tmp_path):
    image = make_image(1)
    image.save(tmp_path / "flag.png")
    single = ask(images=image, text=QUESTION)
    path = str(tmp_path / "flag.png")
    encoded = base64.b64encode((tmp_path / "flag.png").read_bytes()).decode()
    url = f"data:image/png;base64,{encoded}"
    sources = [{"image": image}, {"image": path}, {"url": path}, {"url": url}, {"base64": encoded}]
    sources = [{"type": "image", **source} for source in [*sources, {"path": path, "base64": None}]]
    sources += [{"type": "image_url", "image_url": {"url": url}}, {"type": "image_url", "image_url": path}]
    for source in sources:
        messages = [{"role": "user", "content": [source, {"type": "text", "text": QUESTION}]}]
        assert ask(text=messages) == ask(messages) == single
        assert messages[0]["content"][0] is source
    assert ask([chat(image=image)]) == [single]
    assert ask({"text": chat(image=image)}) == single


def test_every_form_of_a_picture_gets_the_same_answer(ask, tmp_path):
    image = make_image(1)
    single = ask(images=image, text=QUESTION)
    for name, picture in forms(image, tmp_path).items():
        assert ask(images=picture, text=QUESTION) == ask(images=[[picture]], text=[QUESTION])[0] == single, name
        assert ask(text=chat(image=picture)) == single, name
        assert ask({"images": picture, "text": QUESTION}) == single, name


def test_transparent_parts_of_a_question_are_white(ask, tmp_path):
    logo = make_image(1).convert("RGBA")
    logo.putalpha(0)
    white = ask(images=PIL.Image.new("RGB", logo.size, "white"), text=QUESTION)
    logo.save(tmp_path / "logo.webp", lossless=True)
    for picture in (logo, tmp_path / "logo.webp"):
        assert ask(images=picture, text=QUESTION) == ask(chat(image=picture)) == white


def test_the_full_text_is_the_question_or_the_conversation_as_given_with_the_answer(ask, tmp_path):
    image = make_image(1)
    (answer,) = ask(images=image, text=QUESTION)
    (full,) = ask(images=image, text=QUESTION, return_full_text=True)
    assert full["generated_text"] == QUESTION + answer["generated_text"]
    image.save(tmp_path / "flag.png")
    conversation = [{"role": "system", "content": "Be brief."}, *chat(image=str(tmp_path / "flag.png"))]
    (answer,) = ask(text=conversation)
    (full,) = ask(text=conversation, return_full_text=True)
    assert full["generated_text"] == [*conversation, {"role": "assistant", "content": answer["generated_text"]}]


def test_an_answer_that_has_begun_is_continued(ask):
    begun = [*chat(image=make_image(1)), {"role": "assistant", "content": [{"type": "text", "text": "It is"}]}]
    (answer,) = ask(text=begun)
    (full,) = ask(text=begun, return_full_text=True)
    assert full["generated_text"][-1]["content"][-1]["text"] == "It is" + answer["generated_text"]
    begun[-1] = {"role": "assistant", "content": "It is"}
    assert ask(text=begun, return_full_text=True) == [full]


def test_memory_inputs_for_generate_are_taken(ask, tiny_model, tiny_processor):
    inputs = tiny_processor.process_memories([MEMORIES])
    image = make_image(1)
    expected = ask(images=image, text=QUESTION, memories=MEMORIES)[0]["generated_text"]
    stored = tiny_model.encode_memory(inputs)[None].detach()
    for memory_inputs in (inputs, stored):
        (answer,) = ask(images=image, text=QUESTION, generate_kwargs={**GREEDY, "memory_inputs": memory_inputs})
        assert answer == {"generated_text": expected, "memories": []}


@needs_settings
def test_generation_settings_come_from_call_pipeline_and_model_in_this_order(tiny_model, tiny_processor, monkeypatch):
    own = GenerationConfig(max_new_tokens=3, min_new_tokens=3, do_sample=False)
    monkeypatch.setattr(tiny_model, "generation_config", own)

    def length(ask, **kwargs):
        (answer,) = ask(images=make_image(1), text=QUESTION, return_tensors=True, **kwargs)
        return len(answer["generated_token_ids"]) - prompt

    prompt = 0
    ask = MemoryImageTextToTextPipeline(tiny_model, tiny_processor, device="cpu")
    prompt = length(ask, max_new_tokens=4) - 4
    assert length(ask) == 3
    assert length(ask, max_new_tokens=5) == 5
    settings = {"max_new_tokens": 7, "min_new_tokens": 7}
    assert length(ask, generate_kwargs=settings) == 7
    assert settings == {"max_new_tokens": 7, "min_new_tokens": 7}
    assert length(MemoryImageTextToTextPipeline(tiny_model, tiny_processor, device="cpu", max_new_tokens=4)) == 4


@needs_all_answers
def test_a_call_changes_no_settings_of_the_pipeline_but_those_it_gives(tiny_model, tiny_processor):
    beams = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 4, "min_new_tokens": 4}
    ask = MemoryImageTextToTextPipeline(tiny_model, tiny_processor, device="cpu", generate_kwargs=beams)
    for _ in range(2):
        assert len(ask(text=QUESTION, max_new_tokens=5)) == len(ask(text=QUESTION, stop_sequence="!")) == 2
        assert len(ask(text=QUESTION, generate_kwargs={"num_return_sequences": 1})) == 1
        assert len(ask(text=QUESTION)) == 2


def test_an_answer_can_be_read_while_it_is_written(ask, tiny_processor):
    streamer = TextIteratorStreamer(tiny_processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    answers = []

    def answer():
        kwargs = {"images": make_image(1), "text": QUESTION, "memories": MEMORIES}
        answers.extend(ask(**kwargs, generate_kwargs={**GREEDY, "streamer": streamer}))

    thread = threading.Thread(target=answer)
    thread.start()
    pieces = "".join(streamer)
    thread.join()
    assert pieces == answers[0]["generated_text"] != ""


@needs_all_answers
def test_several_answers_to_a_question_have_the_same_memories(ask):
    beams = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    answers = ask(images=make_image(1), text=QUESTION, memories=MEMORIES, generate_kwargs=beams)
    assert len(answers) == 2
    assert [len(answer["memories"]) for answer in answers] == [2, 2]


@needs_settings
@pytest.mark.parametrize("batch_size", [1, 3])
def test_explained_answers_are_the_same_with_influence_and_share_of_each_item(ask, batch_size):
    rows = [MEMORIES, [], MEMORIES[:1], None]
    samples = [{"images": make_image(n), "text": QUESTION, "memories": row} for n, row in enumerate(rows)]
    plain = ask(samples, batch_size=batch_size)
    for (answer,), (expected,), sample in zip(
        ask(samples, batch_size=batch_size, explain=True), plain, samples, strict=True
    ):
        (alone,) = ask(sample, explain=True)
        influences, shares = ([memory.pop(name) for memory in answer["memories"]] for name in ("influence", "share"))
        assert answer == expected
        assert influences == pytest.approx([memory["influence"] for memory in alone["memories"]], abs=1e-5)
        assert sum(shares) == pytest.approx(float(any(influence > LEAST_INFLUENCE for influence in influences)))
        inputs = ask.processor(
            text=ask.processor.apply_chat_template(chat(QUESTION, sample["images"]), add_generation_prompt=True),
            images=[sample["images"]],
            memories=[sample["memories"] or []],
            return_tensors="pt",
        )
        if sample["memories"]:
            sequences = ask.model.generate(**inputs, **GREEDY)
            assert influences == pytest.approx(item_influences(ask.model, inputs, sequences)[0].tolist(), abs=1e-5)
            assert shares == pytest.approx(shares_of(torch.tensor(influences)).tolist())


@needs_all_answers
def test_each_of_several_answers_is_explained(ask):
    beams = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    samples = [{"images": make_image(n), "text": QUESTION, "memories": MEMORIES[n:]} for n in range(2)]
    for batch_size in (1, 2):
        answers = ask(samples, generate_kwargs=beams, explain=True, batch_size=batch_size)
        influences = [[[m["influence"] for m in answer["memories"]] for answer in row] for row in answers]
        assert [[len(answer) for answer in row] for row in influences] == [[2, 2], [1, 1]]
        assert all(first != second for first, second in influences)


def test_an_explained_answer_can_be_read_while_it_is_written_and_set_for_all_calls(ask, tiny_processor):
    streamer = TextIteratorStreamer(tiny_processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    always = MemoryImageTextToTextPipeline(
        ask.model, tiny_processor, device="cpu", generate_kwargs=GREEDY, explain=True
    )
    (answer,) = always(text=QUESTION, memories=MEMORIES, generate_kwargs={**GREEDY, "streamer": streamer})
    assert "".join(streamer) == answer["generated_text"] != ""
    assert {"influence", "share"} < answer["memories"][0].keys()
    assert "share" not in always(text=QUESTION, memories=MEMORIES, explain=False)[0]["memories"][0]
    assert always(text=QUESTION) == ask(text=QUESTION)  # no items, nothing to explain


def test_a_batch_is_padded_where_answers_do_not_follow_whatever_the_tokenizer_says(ask, tiny_processor, monkeypatch):
    questions, images = [QUESTION, "What?"], [make_image(1), make_image(2)]
    single = texts(ask(images=images, text=questions))
    monkeypatch.setattr(tiny_processor.tokenizer, "padding_side", "right")
    ask = MemoryImageTextToTextPipeline(ask.model, tiny_processor, device="cpu", generate_kwargs=GREEDY)
    assert texts(ask(images=images, text=questions, batch_size=2)) == single
    assert tiny_processor.tokenizer.padding_side == "right"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "`text` is needed"),
        ({"images": "flag.png"}, "`text` is needed"),
        ({"images": []}, "`text` is needed"),
        ({"text": []}, "`text` is empty: give a question or a conversation"),
        ({"images": [{"text": []}]}, "`text` is an empty conversation"),
        ({"text": " "}, "must not be empty"),
        ({"text": 3}, "must be a mapping .* or a conversation, got int|`text` must be a question"),
        ({"images": 3, "text": "What?"}, "A picture in `images` must be a URL, a PIL image, path, .*, got int"),
        ({"images": "no.png", "text": "What?"}, "'no.png' does not exist"),
        ({"images": b"no picture", "text": "What?"}, "is not a readable picture"),
        ({"images": ["a.png"], "text": ["What?", "Why?"]}, "one entry for each of the 2 texts, got 1"),
        ({"images": ["a.png"] * 3, "text": ["What?", "Why?"]}, "one entry for each of the 2 texts, got 3"),
        ({"images": "a.png", "text": ["What?", "Why?"]}, "one entry for each of the 2 texts, got a str"),
        ({"images": "a.png", "text": chat()}, "Pictures of a conversation belong inside"),
        ({"text": chat(image=3)}, "A picture in a conversation must be a URL, a PIL image, .*, got int"),
        ({"text": [*chat(), "Why?"]}, "A message must be a mapping with 'role' and 'content', got 'Why\\?'"),
        (
            {"text": [{"role": "user", "content": ["Why?"]}]},
            r"a string or a list of parts, .* got \['Why\?'\]",
        ),
        (
            {"text": [{"role": "user", "content": [{"text": "Why?"}]}]},
            r"list of parts, .* got \[{'text': 'Why\?'}\]",
        ),
        ({"text": [{"role": "user", "content": 3}]}, "a list of parts, .* got 3"),
        ({"images": "data:image/png;base64,AAA", "text": "What?"}, "base64,AAA' is not a picture in base64: "),
        ({"images": "data:image/png;base64,AAAA", "text": "What?"}, "base64,AAAA' is not a readable picture"),
        ({"images": "http://127.0.0.1:9/a.png", "text": "What?"}, "'http://127.0.0.1:9/a.png' could not be fetched: "),
        ({"images": [{"image": "a.png", "text": "What?"}]}, r"unknown keys \['image'\]; known are \['images', 'text'"),
        ({"text": "What?", "memories": "Lima"}, "`memories` must be a list of memory items, got str"),
        ({"text": "What?", "memories": [{"txt": "Lima"}]}, r"unknown keys \['txt'\]"),
        ({"text": ["What?"], "memories": [[], []]}, "`memories` must have one entry for each of the 1 texts, got 2"),
        ({"images": [{"text": "What?"}], "memories": [[]]}, "`memories` need `text`; a sample has its own"),
        ({"text": "What?", "top_k": -1}, "`top_k` must be a number of memory items, 0 or more, got -1"),
        ({"text": "What?", "explain": 1}, "`explain` must be True or False, got 1"),
        (
            {"text": "What?", "explain": True, "generate_kwargs": {"memory_inputs": torch.zeros(1, 1, 8, 64)}},
            "`explain` cannot be combined with `memory_inputs` in `generate_kwargs`",
        ),
        ({"text": "What?", "top_k": 1.5}, "`top_k` must be .* got 1.5"),
        ({"text": "What?", "topk": 1}, r"has no arguments \['topk'\]; it takes images, text, memories, top_k, where"),
        (
            {"text": "What?", "do_sample": True},
            r"no arguments \['do_sample'\].*Give arguments of `generate` in `generate_kwargs`",
        ),
        ({"text": "What? " * 4000}, "The prompt has 24,0.. tokens, but the model takes 2,048: shorten `text`"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(ask, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        ask(**arguments)
    assert "\n" not in str(error.value)


def test_a_picture_that_a_site_has_not_is_named(ask):
    with HubServer({}) as server, pytest.raises(ValueError, match=f"'{server.endpoint}/a.png' could not be fetched: "):
        ask(images=f"{server.endpoint}/a.png", text="What?")


def test_memory_comes_from_one_place(ask, tiny_processor):
    memory = {**GREEDY, "memory_inputs": tiny_processor.process_memories([MEMORIES])}
    with pytest.raises(ValueError, match="`memories` and `memory_inputs` were both given"):
        ask(text=QUESTION, memories=MEMORIES, generate_kwargs=memory)


@pytest.mark.parametrize(
    "bank, message",
    [
        (
            "me/bank",
            f"`memory_bank='me/bank'` names a bank, which only comem_hf can open: {re.escape(how_to_install())}, and "
            "`import comem_hf`",
        ),
        (3, "`memory_bank` must be a bank, or the name of its folder or repository, got int"),
    ],
)
def test_a_bank_that_cannot_be_used_is_refused_at_once(tiny_model, tiny_processor, bank, message, monkeypatch):
    monkeypatch.setattr(MemoryImageTextToTextPipeline, "bank_opener", None)  # as in the code of a Hub repository
    with pytest.raises(ValueError, match=message):
        MemoryImageTextToTextPipeline(tiny_model, tiny_processor, memory_bank=bank)


def test_another_model_or_processor_is_refused(tiny_model, tiny_backbone, tiny_processor):
    with pytest.raises(ValueError, match="needs a CoMEM model, got a Qwen2"):
        MemoryImageTextToTextPipeline(tiny_backbone, tiny_processor)
    with pytest.raises(ValueError, match="needs `processor`, a CoMemProcessor, got NoneType"):
        MemoryImageTextToTextPipeline(tiny_model)
    with pytest.raises(ValueError, match=r"has no arguments \['bank'\]"):
        MemoryImageTextToTextPipeline(tiny_model, tiny_processor, bank="me/bank")


def test_a_saved_pipeline_is_a_model_with_its_processor(ask, tmp_path):
    ask.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors", "processor_config.json", "pipeline_comem.py"} <= names
