import pytest

from comem_hf.lmms.messages import read_messages
from tests.conftest import make_image


IMAGE = {"type": "image"}


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def picture(seed: int) -> dict:
    return {"type": "image", "url": make_image(seed)}


@pytest.mark.parametrize(
    "content, picture_first, text_first",
    [
        ([picture(0), text("What?")], [IMAGE, text("What?")], [text("What?"), IMAGE]),
        ([picture(0), picture(1), text("What?")], [IMAGE, IMAGE, text("What?")], [text("What?"), IMAGE, IMAGE]),
        ([text("What?")], [text("What?")], [text("What?")]),
        (
            [text("Is"), picture(0), text("like"), picture(1)],
            [text("Is"), IMAGE, text("like"), IMAGE],
            [text("Is"), IMAGE, text("like"), IMAGE],
        ),
    ],
)
def test_pictures_before_the_text_may_come_after_it_and_others_stay(content, picture_first, text_first):
    for first, expected in ((True, picture_first), (False, text_first)):
        read = read_messages([{"role": "user", "content": content}], "here", picture_first=first)
        assert read.messages == [{"role": "user", "content": expected}]
        shown = [part["url"] for part in content if part["type"] == "image"]
        assert [image.tobytes() for image in read.pictures] == [image.tobytes() for image in shown]


def test_the_question_is_the_text_of_the_last_message_of_the_user():
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [picture(0), text("First?")]},
        {"role": "assistant", "content": [text("One.")]},
        {"role": "user", "content": [text("And"), text("second?")]},
    ]
    read = read_messages(messages, "here", picture_first=True)
    assert read.question == "And\nsecond?"
    assert [message["role"] for message in read.messages] == ["system", "user", "assistant", "user"]
    assert read.messages[0]["content"] == [text("Be short.")]


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_video_and_sound_are_refused(kind):
    messages = [{"role": "user", "content": [{"type": kind, "url": "film.mp4"}, text("What?")]}]
    with pytest.raises(ValueError, match=f"`comem` takes pictures and text, but mvbench, document 3 has .*'{kind}'"):
        read_messages(messages, "mvbench, document 3", picture_first=True)


def test_a_picture_that_is_none_is_named():
    messages = [{"role": "user", "content": [{"type": "image", "url": b"no picture"}]}]
    with pytest.raises(ValueError, match="the picture of mmmu, document 5"):
        read_messages(messages, "mmmu, document 5", picture_first=True)
