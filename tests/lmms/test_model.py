"""The model of lmms-eval gives what our own functions give for the same inputs."""

from types import SimpleNamespace

import pytest


pytest.importorskip("lmms_eval", reason="lmms-eval is not installed: make test-lmms")

from lmms_eval.api.instance import Instance
from transformers import pipeline

from comem_hf.answering import generate_answers, question_inputs
from comem_hf.default import default_path
from comem_hf.lmms.model import CoMem
from comem_hf.modeling.picture_comem import load_image


QUESTIONS = ("What is the capital of this country?", "Name the country with this flag.", "What do people pay with?")


@pytest.fixture(scope="module")
def flags():
    return [load_image(default_path("examples") / f"{name}.png") for name in ("gr", "am", "gr")]


@pytest.fixture(scope="module")
def models() -> dict[str, CoMem]:
    return {way: CoMem(way=way, batch_size=2, device="cpu") for way in ("memory", "rag", "no_memory")}


def user(question: str, *pictures, role: str = "user") -> dict:
    content = [*({"type": "image", "url": picture} for picture in pictures), {"type": "text", "text": question}]
    return {"role": role, "content": content}


def answers(model: CoMem, conversations: list[list[dict]], **settings) -> list[str]:
    return [result.text for result in results(model, conversations, **settings)]


def results(model: CoMem, conversations: list[list[dict]], **settings):
    settings = {"max_new_tokens": 8, "until": ["\n\n"], **settings}
    model.task_dict = {"flags": {"test": conversations}}
    requests = [
        Instance(
            "generate_until",
            (messages[-1]["content"][-1]["text"], lambda document: document, settings, number, "flags", "test"),
            idx=0,
            metadata={"task": "flags", "doc_id": number, "repeats": 1},
        )
        for number, messages in enumerate(conversations)
    ]
    return model.generate_until(requests)


@pytest.mark.parametrize("way", ["memory", "rag", "no_memory"])
def test_answers_are_those_of_our_own_functions(models, flags, way):
    model = models[way]
    found = model.bank.search(image=flags, k=3) if model.bank else None
    given = {
        "memory": {"memory_inputs": found and model.bank.memory_inputs(found)},
        "rag": {"items": found and [[hit.item for hit in hits] for hits in found]},
        "no_memory": {},
    }[way]
    inputs = question_inputs(model.processor, QUESTIONS, flags, **given)
    expected = generate_answers(model.model, model.processor, inputs, 8)
    got = answers(model, [[user(*pair)] for pair in zip(QUESTIONS, flags, strict=True)])
    assert got == expected and ("Athens" in got) == (way != "no_memory")


def test_answers_are_those_of_the_pipeline(models, flags):
    model = models["memory"]
    ask = pipeline(
        "memory-image-text-to-text",
        model=model.model,
        processor=model.processor,
        memory_bank=str(default_path("bank")),
    )
    conversation = [user("Name the country.", flags[0]), user("Greece", role="assistant"), user("And this?", flags[1])]
    in_pipeline = [
        {
            "role": message["role"],
            "content": [
                {"type": "image", "image": part["url"]} if part["type"] == "image" else part
                for part in message["content"]
            ],
        }
        for message in conversation
    ]
    (answer,) = ask(text=in_pipeline, max_new_tokens=8)
    assert answers(model, [conversation]) == [answer["generated_text"].strip()]
    assert [hit.item.id for hit in model.bank.search(image=flags[1], k=3)] == [m["id"] for m in answer["memories"]]


@pytest.mark.parametrize("way", ["memory", "rag"])
def test_batches_change_no_answer(models, flags, way):
    conversations = [[user(*pair)] for pair in zip(QUESTIONS, flags, strict=True)]
    conversations += [[user("What is it?")], [user("Do these look alike?", *flags[:2])]]
    got = {}
    for models[way].batch_size in (1, 2, 5):
        got[models[way].batch_size] = answers(models[way], conversations)
    models[way].batch_size = 2
    assert got[1] == got[2] == got[5]


def test_without_a_picture_the_question_is_answered_without_the_bank(models):
    conversations = [[user("What is the capital of Greece?")]]
    assert answers(models["memory"], conversations) == answers(models["no_memory"], conversations)
    (result,) = results(models["memory"], conversations)
    (plain,) = results(models["no_memory"], conversations)
    assert result.token_counts == plain.token_counts


def test_positions_count_the_memory_of_the_items(models, flags):
    conversations = [[user(QUESTIONS[0], flags[0])]]
    counts = {way: results(model, conversations)[0].token_counts.input_tokens for way, model in models.items()}
    assert counts["memory"] - counts["no_memory"] == 3 * models["memory"].model.config.num_memory_tokens
    assert counts["rag"] > counts["memory"]


def test_a_system_message_stands_before_the_items(models, flags):
    system = {"role": "system", "content": [{"type": "text", "text": "Be short."}]}
    seen = []
    model = models["rag"]
    template = model.processor.apply_chat_template
    try:
        model.processor.apply_chat_template = lambda turns, **options: seen.append(turns) or template(turns, **options)
        answers(model, [[system, user(QUESTIONS[0], flags[0])]])
    finally:
        del model.processor.apply_chat_template
    assert [turn["role"] for turn in seen[0]] == ["system", "user", "user", "user", "user"]


def test_an_answer_ends_where_the_task_says(models, flags):
    conversations = [[user(QUESTIONS[0], flags[0])]]
    assert answers(models["memory"], conversations) == ["Athens"]
    assert answers(models["memory"], conversations, until=["he"]) == ["At"]


def test_a_question_that_is_too_long_is_not_asked_and_loses_no_other(models, flags):
    conversations = [[user(QUESTIONS[0], flags[0])], [user("What? " * 2000, flags[0])]]
    for number, expected in ((2, ["Athens", ""]), (1, [""])):
        assert answers(models["memory"], conversations[-number:]) == expected


def test_settings_that_differ_are_not_batched_together(models, flags):
    model = models["memory"]
    model.task_dict = {"flags": {"test": [[user(QUESTIONS[0], flags[0])]] * 3}}
    requests = [
        Instance(
            "generate_until",
            ("", lambda document: document, {"max_new_tokens": most}, number, "flags", "test"),
            idx=0,
            metadata={"task": "flags", "doc_id": number, "repeats": 1},
        )
        for number, most in enumerate((8, 1, 8))
    ]
    long, short, again = (result.text for result in model.generate_until(requests))
    assert long == again == "Athens" and len(short) <= len(long)


@pytest.mark.parametrize("name", ["loglikelihood", "generate_until_multi_round"])
def test_requests_of_other_kinds_are_refused_by_the_name_of_their_task(models, name):
    with pytest.raises(
        ValueError, match=f"answers tasks of the output type 'generate_until', but mmlu asks for '{name}'"
    ):
        getattr(models["memory"], name)([SimpleNamespace(task_name="mmlu")])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"way": "RAG"}, "`way` must be one of"),
        ({"batch_size": "auto"}, "`batch_size` must be a number of questions, 1 or more, got 'auto'"),
        ({"pretrained": "me/model"}, "The way 'memory' needs `bank`, the memory bank of 'me/model'"),
        ({"top_k": 0}, "`top_k` must be a number of memory items, 1 or more, got 0"),
        ({"top_k": 2.5}, "`top_k` must be a number of memory items, 1 or more, got 2.5"),
    ],
)
def test_wrong_arguments_are_said_before_the_work(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoMem(**arguments)


def test_a_model_that_is_no_comem_model_is_refused(tmp_path, tiny_backbone, tiny_processor):
    tiny_backbone.save_pretrained(tmp_path)
    tiny_processor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="must be a CoMEM model, but .* is a 'qwen2_"):
        CoMem(pretrained=str(tmp_path), way="no_memory")
