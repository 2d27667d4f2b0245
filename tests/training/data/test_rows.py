"""Rows in the forms of other tools, and keys that are nearly right."""

import base64

import pytest

from comem_hf import MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.training import MemoryDataset, TrainingSample
from tests.conftest import make_image
from tests.picture_forms import encode


IMAGE = {"type": "image"}
PICTURE = make_image(1)
DATA_URL = "data:image/png;base64," + base64.b64encode(encode(PICTURE)).decode()
ITEM = {"image": PICTURE, "text": "Ada"}


def text(value: str) -> dict:
    return {"type": "text", "text": value}


def read(row) -> TrainingSample:
    return TrainingSample.from_row(row, name="train.jsonl, row 7")


def turn(role: str, content) -> dict:
    return {"role": role, "content": content}


SAME = {
    "ours": {"image": PICTURE, "question": "<image>\nWho?", "answer": "Ada", "system": "Be brief."},
    "ours, images": {"images": [PICTURE], "question": "Who?", "answer": "Ada", "system_prompt": "Be brief."},
    "OpenAI": {
        "messages": [
            turn("developer", "Be brief."),
            turn("user", [{"type": "image_url", "image_url": {"url": DATA_URL}}, text("Who?")]),
            turn("assistant", "Ada"),
        ]
    },
    "TRL, pictures inside": {
        "messages": [
            turn("system", [text("Be brief.")]),
            turn("user", [{"type": "image", "image": PICTURE, "text": None}, {**text("Who?"), "image": None}]),
            turn("assistant", [text("Ada")]),
        ]
    },
    "TRL, pictures beside": {
        "images": [{"bytes": encode(PICTURE), "path": None}],
        "messages": [turn("system", "Be brief."), turn("user", [IMAGE, text("Who?")]), turn("assistant", "Ada")],
    },
    "LLaMA-Factory": {
        "images": [PICTURE],
        "messages": [turn("user", "<image>Who?"), turn("assistant", "Ada")],
        "system": "Be brief.",
    },
    "LLaMA-Factory, sharegpt": {
        "images": [encode(PICTURE)],
        "conversations": [{"from": "human", "value": "<image>Who?"}, {"from": "gpt", "value": "Ada"}],
        "system": "Be brief.",
        "tools": "",
    },
    "ShareGPT": {
        "image": PICTURE,
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Who?"},
            {"from": "gpt", "value": "Ada"},
        ],
    },
    "a table's nulls": {
        "image": PICTURE,
        "images": None,
        "question": None,
        "messages": {"role": ["system", "user", "assistant"], "content": ["Be brief.", "Who?", "Ada"]},
        "knowledge_image": None,
        "knowledge_conversations": None,
        "caption": None,
    },
}


@pytest.mark.parametrize("form", SAME)
def test_the_same_conversation_is_read_from_every_form(form):
    sample = read({**SAME[form], "memories": [ITEM]})
    assert sample.messages == [
        {"role": "system", "content": [text("Be brief.")]},
        {"role": "user", "content": [IMAGE, text("Who?")]},
        {"role": "assistant", "content": [text("Ada")]},
    ]
    assert [load_image(image).tobytes() for image in sample.images] == [PICTURE.tobytes()]
    assert sample.memories == [MemoryItem(image=PICTURE, text="Ada")]


def test_pictures_inside_and_beside_the_messages_stand_in_their_places():
    other, third = make_image(2), make_image(3)
    messages = [
        turn("user", [text("First:"), IMAGE, {"type": "image", "image": other}]),
        turn("assistant", "Yes"),
        turn("user", [text("Then <image> and"), {"type": "memory", **ITEM}]),
        turn("assistant", "No"),
    ]
    sample = read({"messages": messages, "images": [PICTURE, third]})
    assert sample.images == [PICTURE, other, third]
    assert sample.messages[2]["content"] == [text("Then "), IMAGE, text(" and")]
    assert sample.memories == [MemoryItem(image=PICTURE, text="Ada")]


GOOD = {"question": "Who?", "answer": "Ada"}
USER, ASSISTANT = turn("user", "Who?"), turn("assistant", "Ada")
REFUSED = [
    (
        {**GOOD, "memory": [ITEM]},
        r"`memory` is no key of a row; what it looks like is `memories`: rename it, or .*`--ignore memory`",
    ),
    ({**GOOD, "caption": "Ada"}, r"`caption` is no key of a row.*`text` inside `memories`"),
    ({**GOOD, "knowledge": "Ada"}, r"`knowledge` is no key of a row.*`memories`"),
    ({**GOOD, "answers": ["Ada"]}, r"`answers` is no key of a row.*`answer`"),
    ({"Question": "Who?", "answer": "Ada"}, r"`Question` is no key of a row.*`question`"),
    ({"instruction": "Who?", "answer": "Ada"}, r"`instruction` is no key of a row.*`question`"),
    ({**GOOD, "memorys": [ITEM]}, r"`memorys` is no key of a row.*`memories`"),
    ({**GOOD, "videos": ["a.mp4"]}, r"`videos` is no key of a row.*videos are not read"),
    ({**GOOD, "image": PICTURE, "images": [PICTURE]}, r"`image` and `images` mean the same; leave one out"),
    ({**GOOD, "messages": [USER, ASSISTANT]}, r"`messages` and `question` and `answer` are two forms"),
    ({**GOOD, "image": "https://a.org/b.png"}, r"`image` is an address on the web, and nothing is fetched here"),
    (
        {**GOOD, "memories": [{"image": PICTURE, "texts": "Ada"}]},
        r"`memories\[0\].texts` is no key of .*did you mean `text`\?$",
    ),
    ({**GOOD, "memories": [{"image": PICTURE, "content": "Ada"}]}, r"`memories\[0\].content` is no .* mean `text`\?$"),
    ({**GOOD, "memories": [{"text": "Ada", "picture": PICTURE}]}, r"`memories\[0\].picture` is no .* mean `image`\?$"),
    ({**GOOD, "documents": ["Ada"]}, r"`documents` is no key of a row.*`memories`"),
    ({**GOOD, "answer": "An <image>"}, r"`answer` has an <image>, but pictures stand in the turns of the user only"),
    ({**GOOD, "system": "An <image>"}, r"`system` has an <image>"),
    ({"messages": [USER, turn("assistant", [text("<image>")])]}, r"`messages\[1\].content` has an <image>"),
    ({"messages": [USER, {**ASSISTANT, "weight": 0}]}, r"`messages\[1\].weight` must be 1, got 0: every answer"),
    ({**GOOD, "memories": [{"text": "a", "caption": "b"}]}, r"`memories\[0\]` has `text` and `caption`, which mean"),
    ({**GOOD, "memories": [{"image": PICTURE, "images": [PICTURE]}]}, r"`memories\[0\]` has `image` and `images`, wh"),
    ({**GOOD, "memories": [ITEM, {"images": [PICTURE, None]}]}, r"`memories\[1\].images\[1\]` is null; leave it out"),
    ({**GOOD, "memories": [{"images": [PICTURE, "a.png"]}]}, r"`memories\[0\].images\[1\]` names no file: 'a.png'"),
    ({**GOOD, "question": "<image> or <image>?", "image": PICTURE}, r"`image` holds 1 image, but `question` shows 2"),
    ({"messages": [USER, ASSISTANT], "knowledge_image": [PICTURE], "memories": [ITEM]}, r"`memories` is given beside"),
    ({"messages": [USER, turn("tool", "{}")]}, r"`messages\[1\]` is from 'tool', which is none of"),
    ({"messages": [turn("system", "a"), USER]}, r"`messages` must end with an answer"),
    ({"messages": [turn("system", "a"), USER, ASSISTANT], "system": "b"}, r"`system` is given beside a turn"),
    ({"messages": [turn("user", [{"type": "video"}]), ASSISTANT]}, r"`messages\[0\].content\[0\]` must be a part of"),
    (
        {"messages": [USER, turn("assistant", [text(" ")])]},
        r"`messages\[1\].content` must be a text that is not empty",
    ),
]


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_what_is_nearly_right_is_refused_by_name(row, message):
    with pytest.raises(ValueError, match=r"^train.jsonl, row 7: " + message):
        read(row)


def test_an_item_may_have_several_pictures():
    sides = [PICTURE, make_image(2)]
    for key in ("images", "image", "image_path", "image_paths"):
        memories = [{key: sides, "text": "Ada"}, {**ITEM, "images": []}]
        assert read({**GOOD, "memories": memories}).memories == [
            MemoryItem(images=sides, text="Ada"),
            MemoryItem(**ITEM),
        ]
    table = {"images": [sides, None], "image": [None, PICTURE], "text": ["Ada", None]}
    assert read({**GOOD, "memories": table}).memories == [MemoryItem(images=sides, text="Ada"), MemoryItem(PICTURE)]
    part = {"type": "memory", "images": sides}
    assert read({"messages": [turn("user", [text("Who?"), part]), ASSISTANT]}).memories == [MemoryItem(images=sides)]


def test_other_keys_are_carried_along_and_listed():
    row = {
        **GOOD,
        "id": 7,
        "question_id": 8,
        "image_width": 56,
        "meta": {"answer": 1},
        "response": "Bob",
        "caption": "",
    }
    assert MemoryDataset([row]).unread == ["id", "question_id", "image_width", "meta", "response"]
    ignored = MemoryDataset([{**row, "caption": "Ada", "answers": ["Ada"]}], ignore=["caption", "answers"])
    assert ignored.unread[-2:] == ["caption", "answers"]
    assert ignored[0].messages == read(row).messages
    items = [{"text": "a", "description": "b", "title": "c", "id": "d"}, {"text": "a", "title": "c"}]
    assert MemoryDataset([{**GOOD, "memories": items, "context": "z"}]).unread == [
        "context",
        "memories[].description",
        "memories[].title",
    ]
    published = {"messages": [USER, ASSISTANT], "knowledge_conversations": [], "evidence": "a"}
    assert MemoryDataset([published]).unread == ["evidence"]
    captions = {**GOOD, "memories": [{"image": PICTURE, "summary": "a"}]}
    assert MemoryDataset([captions], ignore=["memories[].summary"])[0].memories == [MemoryItem(image=PICTURE)]
    item = {"image_path": None, "images": [PICTURE], "caption": "Ada", "id": "x", "score": 0.5}
    assert read({**GOOD, "memories": [item]}).memories == [MemoryItem(image=PICTURE, text="Ada")]
