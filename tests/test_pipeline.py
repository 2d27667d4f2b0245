"""The pipeline with memory banks, found by its task."""

import copy
import json
import logging
import pickle

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from comem_hf import CoMemConfig, MemoryBank, MemoryImageTextToTextPipeline, MemoryItem
from comem_hf.bank.scores.disturbances import DISTURBANCES
from comem_hf.default import default_path
from comem_hf.evaluation import load_questions
from tests.conftest import make_image, make_model


TASK = "memory-image-text-to-text"
QUESTION = "Which country has this flag?"
GREEDY = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_processor):
    """A model with its processor, and a bank of four items in a folder of its own beside it."""
    root = tmp_path_factory.mktemp("pipeline")
    model = make_model()
    model.save_pretrained(root / "model")
    tiny_processor.save_pretrained(root / "model")
    items = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=f"item-{n}") for n in range(4)]
    MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=root / "bank")
    return root


@pytest.fixture(scope="module")
def ask(folder):
    return pipeline(
        TASK, model=str(folder / "model"), memory_bank=folder / "bank", device="cpu", generate_kwargs=GREEDY
    )


def test_a_saved_model_needs_no_remote_code_here(folder, ask):
    entry = json.loads((folder / "model" / "config.json").read_text())["custom_pipelines"]
    assert entry == {
        TASK: {"impl": "pipeline_comem.MemoryImageTextToTextPipeline", "pt": ["AutoModelForImageTextToText"]}
        | {"type": "multimodal"}
    }
    assert type(ask) is MemoryImageTextToTextPipeline
    trusting = pipeline(TASK, model=str(folder / "model"), trust_remote_code=True, device="cpu")
    assert type(trusting) is MemoryImageTextToTextPipeline
    assert not hasattr(CoMemConfig.from_pretrained(folder / "model"), "custom_pipelines")


def test_a_filter_that_the_bank_refuses_is_refused_by_the_pipeline(folder, ask):
    picture = make_image(2, (112, 84))
    model, processor = ask.model, ask.processor
    items = [
        MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=str(n), metadata={"price": 10 * n})
        for n in range(3)
    ]
    bank = MemoryBank.build(items, model=model, processor=processor, output_dir=folder / "priced")
    shop = pipeline(TASK, model=model, processor=processor, memory_bank=bank, device="cpu", generate_kwargs=GREEDY)
    (answer,) = shop(images=picture, text=QUESTION, where={"price": {"$gte": 10, "$lt": 20.0}})
    assert [memory["id"] for memory in answer["memories"]] == ["1"]
    for where, message in (
        ({"prize": 10}, "No item has the metadata field 'prize'; did you mean 'price'"),
        ({"price": {"$above": 10}}, "unknown operator '\\$above'"),
        ({}, "`where` must map names of metadata fields to values"),
    ):
        with pytest.raises(ValueError, match=message):
            shop(images=picture, text=QUESTION, where=where)


def test_hits_come_with_the_answer_best_first(ask):
    picture = make_image(2, (112, 84))
    (answer,) = ask(images=picture, text=QUESTION, top_k=2)
    hits = ask.memory_bank.search(image=picture, k=2)
    shown = [{"id": hit.item.id, "score": hit.score, "text": hit.item.text} for hit in hits]
    assert answer["memories"] == [each | {"probability": None, "found_by": "picture"} for each in shown]
    assert shown[0]["id"] == "item-2"
    assert json.loads(json.dumps(answer)) == answer


def test_hits_of_a_bank_are_explained(ask):
    picture = make_image(2, (112, 84))
    (plain,), (answer,) = (ask(images=picture, text=QUESTION, explain=explain) for explain in (False, True))
    assert json.loads(json.dumps(answer)) == answer
    shares = [memory.pop("share") for memory in answer["memories"]]
    influences = [memory.pop("influence") for memory in answer["memories"]]
    assert answer == plain and len(set(influences)) == 3 and sum(shares) == pytest.approx(1)
    assert ask(images=picture, text=QUESTION, top_k=0, explain=True)[0]["memories"] == []


@pytest.mark.parametrize("bank", ["object", "folder", "path"])
def test_a_bank_is_an_object_or_a_name(folder, ask, bank):
    given = {"object": MemoryBank.from_pretrained(folder / "bank"), "folder": str(folder / "bank")}
    given = given.get(bank, folder / "bank")
    same = pipeline(TASK, ask.model, processor=ask.processor, memory_bank=given, device="cpu", generate_kwargs=GREEDY)
    picture = make_image(1, (112, 84))
    assert same(images=picture, text=QUESTION) == ask(images=picture, text=QUESTION)


def test_top_k_is_the_number_of_items_at_most(ask):
    picture = make_image(1, (112, 84))

    def count(**kwargs):
        return len(ask(images=picture, text=QUESTION, **kwargs)[0]["memories"])

    assert [count(), count(top_k=1), count(top_k=100), count(top_k=0)] == [3, 1, 4, 0]
    fewer = pipeline(TASK, ask.model, processor=ask.processor, memory_bank=ask.memory_bank, device="cpu", top_k=2)
    assert len(fewer(images=picture, text=QUESTION, max_new_tokens=1)[0]["memories"]) == 2


def test_without_hits_the_answer_is_the_plain_one(ask):
    picture = make_image(1, (112, 84))
    plain = pipeline(TASK, ask.model, processor=ask.processor, device="cpu", generate_kwargs=GREEDY)
    expected = plain(images=picture, text=QUESTION)
    assert expected[0]["memories"] == []
    assert ask(images=picture, text=QUESTION, top_k=0) == expected
    assert plain(images=picture, text=QUESTION, top_k=0) == expected


def test_a_batch_is_searched_for_at_once(ask, monkeypatch):
    pictures = [make_image(n, (112, 84)) for n in range(4)]
    search, passes = ask.memory_bank.search, []

    def counting(**kwargs):
        passes.append(len(kwargs["image"]))
        return search(**kwargs)

    monkeypatch.setattr(ask.memory_bank, "search", counting)
    batched = ask(images=pictures, text=[QUESTION] * 4, batch_size=3)
    assert passes == [3, 1]
    assert batched == [ask(images=picture, text=QUESTION) for picture in pictures]
    assert [answer["memories"][0]["id"] for (answer,) in batched] == [f"item-{n}" for n in range(4)]


def test_given_memories_and_the_bank_are_not_mixed(ask):
    items = [{"text": "Its capital is Lima."}]
    with pytest.raises(
        ValueError, match="`memory_bank` and `memories` were both given.*`top_k=0` leaves the bank out"
    ):
        ask(images=make_image(1), text=QUESTION, memories=items)
    (answer,) = ask(images=make_image(1), text=QUESTION, memories=items, top_k=0)
    nothing = dict.fromkeys(("id", "score", "probability", "found_by"))
    assert answer["memories"] == [{**nothing, "text": "Its capital is Lima."}]


@pytest.fixture
def warnings(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def conversation(*questions, picture=None) -> list[dict]:
    messages = []
    for number, question in enumerate(questions):
        content = [{"type": "text", "text": question}]
        if picture is not None and number == 0:
            content.insert(0, {"type": "image", "image": picture})
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": "No."}]
    return messages[:-1]


def test_what_has_no_picture_is_searched_for_by_its_words(ask, warnings):
    plain = pipeline(TASK, ask.model, processor=ask.processor, device="cpu", generate_kwargs=GREEDY)
    for asked in ("Is it fact 2?", conversation("Is it red?", "Is it fact 2?")):
        (answer,) = ask(text=asked)
        memories = answer["memories"]
        assert [memory["id"] for memory in memories] == ["item-2", "item-0", "item-1"]
        assert {(memory["found_by"], memory["probability"]) for memory in memories} == {("words", None)}
        given = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.") for n in (2, 0, 1)]
        assert answer["generated_text"] == plain(text=asked, memories=given)[0]["generated_text"]
    assert ask(text=QUESTION) == plain(text=QUESTION)  # no word of it is in a text
    (both,) = ask(images=make_image(1, (112, 84)), text="Is it fact 2?", text_weight=0.5)
    assert [memory["found_by"] for memory in both["memories"]] == ["picture and words"] * 3 and warnings() == []


@pytest.fixture(scope="module")
def pictures(folder, ask):
    """A bank without texts."""
    items = [MemoryItem(image=make_image(n, (112, 84)), id=f"item-{n}") for n in range(2)]
    return MemoryBank.build(items, model=ask.model, processor=ask.processor, output_dir=folder / "pictures")


def test_what_has_no_picture_is_answered_without_a_bank_of_pictures_and_that_is_said_once(pictures, ask, warnings):
    fresh = pipeline(
        TASK, ask.model, processor=ask.processor, memory_bank=pictures, device="cpu", generate_kwargs=GREEDY
    )
    plain = pipeline(TASK, ask.model, processor=ask.processor, device="cpu", generate_kwargs=GREEDY)
    expected = plain(text=QUESTION)
    assert fresh(text=QUESTION) == expected and expected[0]["memories"] == []
    assert fresh(text=conversation("Is it red?", QUESTION)) == plain(text=conversation("Is it red?", QUESTION))
    assert fresh(text=QUESTION, top_k=2) == expected
    (warning,) = warnings()
    assert "finds items by their picture only" in warning and "answered without the bank" in warning


@pytest.mark.parametrize(
    "where, message",
    [({"prize": 1}, "No item has the metadata field 'prize'"), ({"$above": 1}, "unknown operator '\\$above'")],
)
def test_a_filter_is_checked_where_a_question_without_a_picture_is_not_searched_for(ask, where, message):
    with pytest.raises(ValueError, match=message):
        ask(text=QUESTION, where=where)


def test_a_later_turn_of_a_conversation_is_searched_for_by_its_last_picture(folder, ask, warnings):
    (answer,) = ask(text=conversation("Is it red?", QUESTION, picture=make_image(2, (112, 84))))
    assert answer["memories"][0]["id"] == "item-2" and warnings() == []


def test_samples_without_a_picture_share_a_batch_with_searched_ones(ask):
    samples = [{"text": QUESTION, "images": None if n % 2 else make_image(n, (112, 84))} for n in range(4)]
    answers = ask(samples, batch_size=3)
    assert answers == [ask(sample) for sample in samples]
    assert [[memory["id"] for memory in answer["memories"]][:1] for (answer,) in answers] == [
        ["item-0"],
        [],
        ["item-2"],
        [],
    ]


def test_a_bank_that_can_be_searched_by_text_is_searched_by_the_question(ask, monkeypatch, warnings):
    asked, search = [], ask.memory_bank.search

    def by_text(text, k):
        asked.append(text)
        return search(image=[make_image(1, (112, 84))] * len(text), k=k)

    monkeypatch.setattr(MemoryBank, "embeds_text", True)
    monkeypatch.setattr(ask.memory_bank, "search", by_text)
    (answer,) = ask(text=QUESTION)
    assert asked == [[QUESTION]] and answer["memories"][0]["id"] == "item-1" and warnings() == []


def test_the_weight_of_a_text_that_the_bank_cannot_be_searched_by_is_refused(ask, pictures):
    blind = pipeline(TASK, ask.model, processor=ask.processor, memory_bank=pictures, device="cpu")
    with pytest.raises(ValueError, match="finds items by their picture only: leave out `text_weight=0.5`"):
        blind(images=make_image(1), text=QUESTION, text_weight=0.5)


@pytest.mark.parametrize("weight", ["a", True, 1.5])
def test_the_weight_of_a_text_is_a_number_whatever_the_bank_can_do(ask, weight):
    with pytest.raises(ValueError, match=f"`text_weight` must be a number from 0 to 1, got {weight!r}"):
        ask(images=make_image(1), text=QUESTION, text_weight=weight)


@pytest.mark.parametrize(
    "arguments, names",
    [
        ({"top_k": 3}, "`top_k`"),
        ({"where": {"n": 1}}, "`where`"),
        ({"text_weight": 0.5}, "`text_weight`"),
        ({"top_k": 1, "where": {}}, "`top_k` and `where`"),
    ],
)
def test_arguments_of_a_search_are_refused_without_a_bank(ask, arguments, names):
    message = f"takes {names} only with a bank: give `memory_bank` to the pipeline, or leave out {names}"
    plain = pipeline(TASK, ask.model, processor=ask.processor, device="cpu")
    with pytest.raises(ValueError, match=message):
        plain(images=make_image(1), text=QUESTION, **arguments)
    with pytest.raises(ValueError, match=message):
        pipeline(TASK, ask.model, processor=ask.processor, device="cpu", **arguments)


@pytest.mark.parametrize("text", [QUESTION, conversation(QUESTION)])
def test_the_standard_pipeline_refuses_a_bank_and_names_the_task_that_takes_one(folder, ask, text):
    standard = pipeline(
        "image-text-to-text", ask.model, processor=ask.processor, memory_bank=folder / "bank", device="cpu"
    )
    with pytest.raises(ValueError, match=f"'image-text-to-text': the pipeline '{TASK}' takes a bank"):
        standard(text=text)


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickled])
def test_a_copied_or_pickled_pipeline_gives_the_same_answers_with_a_model_of_its_own(ask, make):
    picture = make_image(2, (112, 84))
    expected = ask(images=picture, text=QUESTION)
    other = make(ask)
    assert other(images=picture, text=QUESTION) == expected
    assert other.memory_bank._model is other.model and ask.memory_bank._model is ask.model
    assert (other.model is ask.model) == (make is copy.copy)


def test_a_pickled_pipeline_holds_the_name_of_its_bank_only(folder, ask):
    plain = pipeline(TASK, ask.model, processor=ask.processor, device="cpu", generate_kwargs=GREEDY)
    data = pickle.dumps(ask)
    assert str(folder / "bank").encode() in data
    assert len(data) < len(pickle.dumps(plain)) + 2000


def test_a_bank_of_another_model_is_refused_with_both_fingerprints(folder, tiny_processor):
    other = make_model(seed=5)
    bank = MemoryBank.from_pretrained(folder / "bank")
    message = f"{bank.config.memory_fingerprint}, but this model's is {other.memory_fingerprint()}"
    for given in (bank, folder / "bank"):
        with pytest.raises(ValueError, match=message):
            pipeline(TASK, other, processor=tiny_processor, memory_bank=given, device="cpu")


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("by", ["argument", "bank"])
def test_a_pipeline_with_a_changed_model_that_is_allowed_can_be_copied_and_pickled(folder, tiny_processor, make, by):
    other, picture = make_model(seed=5), make_image(2, (112, 84))
    bank, options = folder / "bank", {"allow_changed_model": True}
    if by == "bank":
        bank, options = MemoryBank.from_pretrained(bank).attach(other, tiny_processor, **options), {}
    allowed = pipeline(
        TASK, other, processor=tiny_processor, memory_bank=bank, device="cpu", generate_kwargs=GREEDY, **options
    )
    assert make(allowed)(images=picture, text=QUESTION) == allowed(images=picture, text=QUESTION)


def test_two_pipelines_can_have_one_bank_object(folder, ask):
    bank = MemoryBank.from_pretrained(folder / "bank")
    first, second = copy.deepcopy(ask.model), copy.deepcopy(ask.model)
    bank.attach(first, ask.processor)
    with_second = pipeline(TASK, second, processor=ask.processor, memory_bank=bank, device="cpu")
    assert bank._model is first and bank._state.search.embedder().model is first
    assert with_second.memory_bank._model is second


def test_later_changes_of_a_bank_come_into_a_pipeline_by_reloading_its_copy(folder, ask, tmp_path):
    MemoryBank.from_pretrained(folder / "bank").save_pretrained(tmp_path / "bank")
    bank = MemoryBank.from_pretrained(tmp_path / "bank")
    changing = pipeline(TASK, ask.model, processor=ask.processor, memory_bank=bank, device="cpu", max_new_tokens=1)
    bank.attach(ask.model, ask.processor).add([MemoryItem(image=make_image(9, (112, 84)), text="New.", id="new")])
    changing.memory_bank.reload()
    (answer,) = changing(images=make_image(9, (112, 84)), text=QUESTION)
    assert answer["memories"][0]["id"] == "new"


def test_permission_for_a_changed_model_is_refused_without_a_bank(ask):
    with pytest.raises(ValueError, match="takes `allow_changed_model` only with a bank"):
        pipeline(TASK, ask.model, processor=ask.processor, device="cpu", allow_changed_model=True)


def test_a_folder_that_is_no_bank_is_refused(ask, tmp_path):
    with pytest.raises(ValueError, match="is no memory bank"):
        pipeline(TASK, ask.model, processor=ask.processor, memory_bank=tmp_path, device="cpu")


def test_the_standard_pipeline_takes_a_banks_memory_inputs(ask):
    picture = make_image(2, (112, 84))
    content = [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]
    standard = pipeline("image-text-to-text", model=ask.model, processor=ask.processor, device="cpu")
    memory = ask.memory_bank.memory_inputs([ask.memory_bank.search(image=picture, k=3)])
    (answer,) = standard(
        text=[{"role": "user", "content": content}],
        generate_kwargs={**GREEDY, "memory_inputs": memory},
        return_full_text=False,
    )
    assert answer["generated_text"] == ask(images=picture, text=QUESTION)[0]["generated_text"]


def test_a_data_set_is_answered_in_batches(ask):
    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, number):
            return {"images": make_image(number, (112, 84)), "text": QUESTION}

    answers = list(ask(Samples(), batch_size=2))
    assert answers == [ask(Samples()[number]) for number in range(3)]
    assert [answer["memories"][0]["id"] for (answer,) in answers] == ["item-0", "item-1", "item-2"]


def test_rows_and_columns_of_datasets_are_taken(ask):
    datasets = pytest.importorskip("datasets")
    pictures = [make_image(number, (112, 84)) for number in range(3)]
    rows = datasets.Dataset.from_dict({"images": pictures, "text": [QUESTION] * 3})
    expected = [ask(images=picture, text=QUESTION) for picture in pictures]
    assert list(ask(rows, batch_size=2)) == expected
    assert ask(images=rows["images"], text=rows["text"], batch_size=2) == expected


def test_a_picture_in_the_form_of_openai_is_searched_for(ask, tmp_path):
    make_image(2, (112, 84)).save(tmp_path / "flag.png")
    url = {"type": "image_url", "image_url": {"url": str(tmp_path / "flag.png")}}
    (answer,) = ask([{"role": "user", "content": [url, {"type": "text", "text": QUESTION}]}])
    assert answer["memories"][0]["id"] == "item-2"


def test_a_pushed_pipeline_is_a_model_with_its_processor(hub, ask):
    ask.push_to_hub("ann/pipeline")
    files = hub.repositories["model", "ann/pipeline"].files("main")
    assert {"config.json", "model.safetensors", "processor_config.json", "pipeline_comem.py"} <= set(files)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_answers_to_held_out_questions_are_those_of_generate(batch_size):
    model = AutoModelForImageTextToText.from_pretrained(default_path("model")).eval()
    processor = AutoProcessor.from_pretrained(default_path("model"))
    bank = MemoryBank.from_pretrained(default_path("bank"), model=model, processor=processor)
    questions = load_questions(default_path("questions.jsonl"))[::14][:20]
    assert len(questions) == 20
    disturb = DISTURBANCES["crop"]
    pictures = [disturb(bank[question.item_id].load_image()) for question in questions]
    expected = []
    for question, picture in zip(questions, pictures, strict=True):
        content = [{"type": "image"}, {"type": "text", "text": question.question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[prompt], images=[picture], return_tensors="pt")
        inputs["memory_inputs"] = bank.memory_inputs([bank.search(image=picture, k=3)])
        output = model.generate(**inputs, max_new_tokens=32, do_sample=False)
        expected += processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    ask = pipeline(TASK, model=model, processor=processor, memory_bank=bank, device="cpu")
    answers = ask(
        images=pictures,
        text=[question.question for question in questions],
        batch_size=batch_size,
        max_new_tokens=32,
        generate_kwargs={"do_sample": False},
    )
    assert [answer["generated_text"] for (answer,) in answers] == expected
    right = sum(answer == question.answer for answer, question in zip(expected, questions, strict=True))
    assert right >= 18


# Memory in the layers

SLOTS = {"num_slots": 64, "projector_hidden": 8, "scale": 1.0, "value_scale": 1.0}


def test_a_bank_whose_vectors_enter_the_layers_answers_as_generate_does(folder, ask, tiny_processor):
    model = copy.deepcopy(ask.model)
    model.add_ffn_memory(**SLOTS, source="memory")
    torch.nn.init.normal_(model.ffn_memory.value_positions.weight)
    in_layers = pipeline(TASK, model=model.eval(), processor=tiny_processor, memory_bank=folder / "bank", device="cpu")
    picture = make_image(2, (70, 50))
    prompt = tiny_processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}],
        add_generation_prompt=True,
    )
    inputs = tiny_processor(text=[prompt], images=[picture], return_tensors="pt")
    hits = in_layers.memory_bank.search(image=picture, k=3)
    inputs["memory_inputs"] = in_layers.memory_bank.memory_inputs([hits])
    tokens = model.generate(**inputs, **GREEDY)
    (expected,) = tiny_processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    options = {"images": picture, "text": QUESTION, "generate_kwargs": GREEDY}
    answer, without = in_layers(**options, top_k=3)[0], in_layers(**options, top_k=0)[0]
    assert answer["generated_text"] == expected != without["generated_text"]
    assert [memory["id"] for memory in answer["memories"]] == [hit.item.id for hit in hits]
    assert expected != ask(images=picture, text=QUESTION)[0]["generated_text"]


def test_no_more_items_are_retrieved_than_the_model_has_slots_for(folder, ask, tiny_processor, monkeypatch):
    model = copy.deepcopy(ask.model)
    model.add_ffn_memory(**{**SLOTS, "num_slots": 23}, source="memory")
    options = {"model": model, "processor": tiny_processor, "memory_bank": folder / "bank", "device": "cpu"}
    in_layers = pipeline(TASK, **options, generate_kwargs=GREEDY)
    (answer,) = in_layers(images=make_image(2), text=QUESTION)
    assert len(answer["memories"]) == model.config.max_items == 2
    monkeypatch.setattr(type(model), "generate", pytest.fail)
    refusal = "`top_k` 3 needs 24 slots, but this model has 23, enough for 2 items"
    with pytest.raises(ValueError, match=refusal):
        in_layers(images=make_image(2), text=QUESTION, top_k=3)
    with pytest.raises(ValueError, match=refusal):
        pipeline(TASK, **options, top_k=3)


def test_a_pipeline_of_a_model_without_an_encoder_answers_but_takes_no_memory(folder, tiny_processor):
    model = make_model(num_memory_tokens=0, vision_memory_config={})
    alone = pipeline(TASK, model=model, processor=tiny_processor, device="cpu")
    options = {"images": make_image(2), "text": QUESTION, "generate_kwargs": GREEDY}
    assert alone(**options)[0]["memories"] == []
    with pytest.raises(ValueError, match="has no memory encoder.*takes no `memory_inputs`"):
        alone(**options, memories=[MemoryItem(text="A fact.")])
    with pytest.raises(ValueError, match="No memory bank fits the model: it has no memory encoder"):
        pipeline(TASK, model=model, processor=tiny_processor, memory_bank=folder / "bank", device="cpu")


def test_pictures_that_leave_the_sequence_do_not_make_a_prompt_too_long(tiny_processor):
    options = {"images": make_image(2, (112, 112)), "text": "What?", "generate_kwargs": GREEDY}
    for config, is_refused in (({}, True), ({"ffn_memory_config": SLOTS}, False)):
        ask = pipeline(TASK, model=make_model(**config), processor=tiny_processor, device="cpu")
        ask.model.config.get_text_config().max_position_embeddings = 40
        if is_refused:
            with pytest.raises(ValueError, match="The prompt has .* tokens, but the model takes 40"):
                ask(**options)
        else:
            assert ask(**options)[0]["generated_text"]


@pytest.fixture(scope="module")
def ask_a_dozen(folder, ask):
    """A pipeline whose bank of twelve items gives probabilities."""
    items = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=f"item-{n}") for n in range(12)]
    bank = MemoryBank.build(items, model=ask.model, processor=ask.processor, output_dir=folder / "dozen")
    return pipeline(
        TASK, model=ask.model, processor=ask.processor, memory_bank=bank, device="cpu", generate_kwargs=GREEDY
    )


def test_with_min_score_what_probably_is_another_thing_is_not_used(ask_a_dozen, ask):
    known, unknown = make_image(5, (112, 84)), make_image(99, (112, 84))
    (answer,) = ask_a_dozen(images=known, text=QUESTION, min_score=0.5)
    (memory,) = answer["memories"]
    assert list(memory) == ["id", "score", "probability", "found_by", "text"]
    assert memory["id"] == "item-5" and 0.5 <= memory["probability"] <= 1
    (alone,) = ask_a_dozen(images=unknown, text=QUESTION, min_score=0.5)
    assert alone == ask_a_dozen(images=unknown, text=QUESTION, top_k=0)[0] and alone["memories"] == []
    assert len(ask_a_dozen(images=unknown, text=QUESTION)[0]["memories"]) == 3
    samples = [{"text": "Fact 5?", "images": picture} for picture in (known, None)]
    (by_picture,), (by_words,) = ask_a_dozen(samples, min_score=0.5)  # words give no probability
    assert len(by_picture["memories"]) == 1 and by_words["memories"] == []
    assert ask_a_dozen(text="Fact 5?")[0]["memories"][0]["id"] == "item-5"


def test_a_batch_of_known_and_unknown_pictures_is_answered_as_each_alone(ask_a_dozen):
    pictures = [make_image(n, (112, 84)) for n in (99, 5, 98)]
    texts = [QUESTION] * 3
    together = ask_a_dozen(images=pictures, text=texts, min_score=0.5, batch_size=3)
    alone = [ask_a_dozen(images=picture, text=QUESTION, min_score=0.5) for picture in pictures]
    assert [len(answers[0]["memories"]) for answers in together] == [0, 1, 0]
    assert [answers[0]["generated_text"] for answers in together] == [each[0]["generated_text"] for each in alone]
    mixed = ask_a_dozen(images=[pictures[1], None], text=texts[:2], min_score=0.5, batch_size=2)
    assert [len(answers[0]["memories"]) for answers in mixed] == [1, 0]


def test_a_min_score_that_cannot_be_used_is_refused_with_the_reason(ask_a_dozen, ask, folder):
    picture = make_image(5, (112, 84))
    for value in (-0.1, 1.1, "0.5", True):
        with pytest.raises(ValueError, match="`min_score` must be a number from 0 to 1, got"):
            ask_a_dozen(images=picture, text=QUESTION, min_score=value)
    for images in (picture, None):
        with pytest.raises(ValueError, match="needs at least 8 items, and it has 4"):
            ask(images=images, text=QUESTION, min_score=0.5)
    plain = pipeline(TASK, model=ask.model, processor=ask.processor, device="cpu")
    with pytest.raises(ValueError, match="takes `min_score` only with a bank"):
        plain(images=picture, text=QUESTION, min_score=0.5)
    strict = pipeline(
        TASK, model=ask.model, processor=ask.processor, memory_bank=folder / "dozen", device="cpu", min_score=1
    )
    assert strict(images=make_image(99), text=QUESTION, max_new_tokens=2)[0]["memories"] == []
