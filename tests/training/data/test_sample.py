"""Rows of all formats, good and bad."""

import json

import PIL.Image
import pytest

from comem_hf import MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.training import MemoryDataset, TrainingSample
from tests.conftest import make_image
from tests.picture_forms import forms


IMAGE = {"type": "image"}


def text(value: str) -> dict:
    return {"type": "text", "text": value}


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        PIL.Image.new("RGB", (56, 56)).save(tmp_path / name)
    return tmp_path


def read(row, folder=None) -> TrainingSample:
    return TrainingSample.from_row(row, base_dir=folder, name="train.jsonl, row 7")


def test_a_picture_of_a_row_has_any_form(folder, tmp_path):
    image = make_image(1)
    image.save(folder / "a.png")
    for name, picture in {**forms(image, tmp_path), "relative": {"bytes": None, "path": "a.png"}}.items():
        sample = read(
            {"image": picture, "question": "Who?", "answer": "Ada", "memories": [{"image": picture}]}, folder
        )
        assert load_image(sample.images[0]).tobytes() == image.tobytes(), name
        assert sample.memories[0].load_image().tobytes() == image.tobytes(), name
    with pytest.raises(ValueError) as error:
        read({"image": "A" * 9000, "question": "Who?", "answer": "Ada"}, folder)
    assert len(str(error.value)) < 400


def test_question_and_answer_become_a_conversation_with_the_image_first(folder):
    row = {"image": "a.png", "question": "Who?", "answer": "Ada", "memories": [{"image": "b.png", "text": "Ada"}]}
    sample = read(row, folder)
    assert sample.messages == [
        {"role": "user", "content": [IMAGE, text("Who?")]},
        {"role": "assistant", "content": [text("Ada")]},
    ]
    assert sample.images == [folder / "a.png"]
    assert sample.memories == [MemoryItem(image=folder / "b.png", text="Ada")]


def test_several_turns_show_the_image_where_its_marker_stands(folder):
    turns = ["Hello", "Hi", "Look:\n<image>\nWho?", "Ada"]
    conversations = [{"from": ("human", "gpt")[i % 2], "value": value} for i, value in enumerate(turns)]
    sample = read({"image": "a.png", "conversations": conversations}, folder)
    assert [message["content"] for message in sample.messages] == [
        [text("Hello")],
        [text("Hi")],
        [text("Look:"), IMAGE, text("Who?")],
        [text("Ada")],
    ]


def test_several_turns_without_a_marker_show_the_image_first(folder):
    conversations = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Ada"}]
    sample = read({"image": "a.png", "conversations": conversations}, folder)
    assert sample.messages[0]["content"] == [IMAGE, text("Who?")]


def test_published_row_gives_an_item_for_each_pair_of_turns(folder):
    human = {"from": "human", "value": "<image>\n Similar image and text knowledge for reference"}
    row = {
        "image": "a.png",
        "conversations": [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "x" * 6000}],
        "knowledge_image": ["b.png", "a.png"],
        "knowledge_conversations": [human, {"from": "gpt", "value": "Ada"}, human, {"from": "gpt", "value": "Bob"}],
    }
    sample = read(row, folder)
    assert sample.memories == [
        MemoryItem(image=folder / "b.png", text="Ada"),
        MemoryItem(image=folder / "a.png", text="Bob"),
    ]
    assert sample.messages[0]["content"] == [IMAGE, text("Who?")]
    assert sample.messages[1]["content"] == [text("x" * 5000)]


def test_in_memory_images_and_items_are_taken_as_they_are():
    image, item = PIL.Image.new("RGB", (56, 56)), MemoryItem(text="Ada")
    sample = read({"image": image, "question": "Who?", "answer": "Ada", "memories": [item]})
    assert sample.images[0] is image
    assert sample.memories[0] is item
    assert read(sample) is sample


GOOD = {"question": "Who?", "answer": "Ada"}
HUMAN, GPT = {"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Ada"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "image": "none.png"}, r"`image` names no file: '.*none.png'"),
        ({**GOOD, "image": 5}, r"`image` must be a path, an image or null, got 5"),
        ({**GOOD, "image": ["a.png", ""]}, r"`image\[1\]` must be a path, an image or null, got ''"),
        ({**GOOD, "question": " "}, r"`question` must be a text that is not empty, got ' '"),
        ({"question": "Who?"}, r"`answer` must be a text that is not empty, got None"),
        ({**GOOD, "answer": 42}, r'`answer` must be a text, got the number 42; write "42"'),
        ({**GOOD, "memories": [{"text": "Ada"}, {}]}, r"`memories\[1\]` is no memory item \(.*neither.*\)"),
        ({**GOOD, "memories": [{"image": "none.png"}]}, r"`memories\[0\].image` names no file"),
        ({**GOOD, "memories": "Ada"}, r"`memories` must be a list, got 'Ada'"),
        ({**GOOD, "memories": ["Ada"]}, r"`memories\[0\]` must be an object"),
        (
            {"conversations": [HUMAN]},
            r"`conversations` must end with an answer, but the last turn \(1\) is from 'human'",
        ),
        ({"conversations": [GPT, HUMAN]}, r"`conversations\[0\]` \(turn 1\) is from 'gpt' and the first"),
        (
            {"conversations": [HUMAN, GPT, HUMAN, HUMAN]},
            r"`conversations\[3\]` \(turn 4\) is from 'human' after 'human'",
        ),
        (
            {"conversations": [HUMAN, {**GPT, "from": "bot"}]},
            r"`conversations\[1\]` is from 'bot', which is none of human",
        ),
        ({"conversations": [HUMAN, {**GPT, "value": ""}]}, r"`conversations\[1\].value` must be a text"),
        (
            {"conversations": [{**HUMAN, "value": "<image>Who?"}, GPT]},
            r"`image` holds 0 images, but `conversations` shows 1 <image>",
        ),
        (
            {"conversations": [HUMAN, GPT], "knowledge_image": ["a.png"], "knowledge_conversations": []},
            r"`knowledge_conversations` must be a list of human and gpt turns in pairs",
        ),
        (
            {"conversations": [HUMAN, GPT], "knowledge_image": [], "knowledge_conversations": [HUMAN, GPT]},
            r"`knowledge_image` holds 0 images for 1 pair of turns",
        ),
        (["Who?"], r"a row must be an object with named fields, got list"),
    ],
)
def test_bad_row_is_refused_by_row_and_field(row, message, folder):
    with pytest.raises(ValueError, match=r"^train.jsonl, row 7: " + message):
        read(row, folder)


def test_json_list_and_jsonl_give_the_same_samples(data_file):
    lines = data_file.read_text().splitlines()
    as_list = data_file.with_suffix(".json")
    as_list.write_text(json.dumps([json.loads(line) for line in lines]), encoding="utf-8")
    samples, others = MemoryDataset.from_file(data_file), MemoryDataset.from_file(as_list)
    assert len(samples) == len(others) == 4
    for sample, other in zip(samples, others, strict=True):
        assert (sample.messages, sample.images, sample.memories) == (other.messages, other.images, other.memories)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^train.jsonl holds no rows\.$"),
        (
            b'{"question": "Who?", "answer": "Ada"}\n{"question"',
            r"^train.jsonl, line 2 is not valid JSON: [^(]* \(column 12\)\.$",
        ),
        (b'[\n{"question"]', r"^train.jsonl is not valid JSON: [^(]* \(line 2, column 12\)\.$"),
        (b'{"question": "Who?", "answer": "Ada"}\n{"question": "Who?"}', r"^train.jsonl, row 2: `answer`"),
        (b"\x80\x04\x95.", r"^train.jsonl is not UTF-8 text"),
    ],
)
def test_bad_file_is_refused_by_place(content, message, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        MemoryDataset.from_file(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"There is no training data at '.*none.jsonl'"):
        MemoryDataset.from_file(tmp_path / "none.jsonl")
