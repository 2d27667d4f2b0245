"""Pictures in every form that people have them, and what is said about those that cannot be opened."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
import torch

from comem_hf import MemoryItem
from comem_hf.modeling.picture_comem import check_aspect_ratio, is_picture, load_image, picture_of_row, picture_source
from tests.conftest import make_image
from tests.picture_forms import encode, forms


def test_every_form_of_a_picture_gives_the_same_pixels(tmp_path):
    image = make_image(1, (56, 84))
    for name, picture in forms(image, tmp_path).items():
        assert is_picture(picture), name
        for _ in range(2):  # file objects are read from their start
            opened = load_image(picture)
            assert (opened.mode, opened.size, opened.tobytes()) == ("RGB", image.size, image.tobytes()), name


def test_every_form_gives_the_processor_the_same_pixels_as_question_and_item(tiny_processor, tmp_path):
    image = make_image(1, (56, 84))
    expected = tiny_processor(text=["<|image_pad|>"], images=[image], return_tensors="pt")["pixel_values"]
    of_item = tiny_processor.process_memories([[MemoryItem(image=image)]])["pixel_values"]
    for name, picture in forms(image, tmp_path).items():
        for images in (picture, [picture], [[picture]]):
            inputs = tiny_processor(text=["<|image_pad|>"], images=images, return_tensors="pt")
            assert torch.equal(inputs["pixel_values"], expected), name
        assert torch.equal(tiny_processor.process_memories([[{"image": picture}]])["pixel_values"], of_item), name


def test_every_form_in_a_conversation_reaches_the_model(tiny_processor, tmp_path):
    image = make_image(1, (56, 84))
    expected = tiny_processor(text=["<|image_pad|>"], images=[image], return_tensors="pt")["pixel_values"]
    for name, picture in forms(image, tmp_path).items():
        messages = [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "?"}]}]
        inputs = tiny_processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
        assert torch.equal(inputs["pixel_values"], expected), name


def test_a_batch_in_one_array_is_a_list_of_pictures(tiny_processor):
    images = [make_image(seed) for seed in range(2)]
    prompt = ["<|image_pad|>", "<|image_pad|>"]
    expected = tiny_processor(text=prompt, images=images, return_tensors="pt")["pixel_values"]
    batch = np.stack([np.asarray(image) for image in images])
    for pictures in (batch, torch.from_numpy(batch).permute(0, 3, 1, 2)):
        inputs = tiny_processor(text=prompt, images=pictures, return_tensors="pt")
        assert torch.equal(inputs["pixel_values"], expected)


def test_arrays_of_which_the_call_says_how_to_read_them_are_left_to_the_image_processor(tiny_processor):
    image = make_image(1)
    scaled = np.asarray(image).astype(np.float32) / 255
    expected = tiny_processor(text=["<|image_pad|>"], images=[image], return_tensors="pt")["pixel_values"]
    plain = tiny_processor.image_processor(
        images=[scaled], do_rescale=False, do_convert_rgb=False, return_tensors="pt"
    )
    inputs = tiny_processor(
        text=["<|image_pad|>"], images=[scaled], do_rescale=False, do_convert_rgb=False, return_tensors="pt"
    )
    assert torch.equal(inputs["pixel_values"], plain["pixel_values"])
    torch.testing.assert_close(inputs["pixel_values"], expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "array, first",
    [
        (np.array([[False, True]]), [(0, 0, 0), (255, 255, 255)]),
        (np.array([[0, 128, 255]], dtype=np.uint8), [(0, 0, 0), (128, 128, 128), (255, 255, 255)]),
        (np.array([[0, 32896, 65535]], dtype=np.uint16), [(0, 0, 0), (128, 128, 128), (255, 255, 255)]),
        (np.array([[[0.0, 0.5, 1.0]]] * 5), [(0, 128, 255)]),
        (np.full((5, 5, 1), 7, dtype=np.uint8), [(7, 7, 7)]),
        (np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]] * 5, dtype=np.uint8), [(255, 255, 255), (10, 20, 30)]),
    ],
    ids=["bool", "grey", "16 bits", "floats", "one channel", "alpha"],
)
def test_arrays_of_other_types_mean_what_transformers_takes_them_for(array, first):
    picture = load_image(array)
    assert [picture.getpixel((x, 0)) for x in range(len(first))] == first


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((5, 5, 2)), r"the shape \(5, 5, 2\): it must be \(height, width\), or have 1, 3 or 4 channels"),
        (np.zeros(5), r"the shape \(5,\)"),
        (np.zeros((2, 5, 5, 3)), r"the shape \(2, 5, 5, 3\)"),
        (torch.zeros(3, 0, 5), r"the shape \(3, 0, 5\), and so no pixels"),
        (np.array([[-1.0, 1.0]]), r"float64 with values from -1.0 to 1.0: they must lie in 0 to 1 .floats."),
        (np.array([[np.nan, 1.0]]), "with values from nan to nan"),
        (np.array([[0, 300]]), "int64 with values from 0 to 300: .* or be of the type uint16"),
        (np.array([["a"]]), "an array of <U1: its values must be bool, integers or floats"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_with_its_shape_or_values(array, message):
    with pytest.raises(ValueError, match=message):
        load_image(array)


def test_what_is_no_picture_is_no_picture():
    for value in (None, 3, [], {}, {"image": "a.png"}, {"bytes": b"", "text": ""}):
        assert not is_picture(value)
    with pytest.raises(ValueError, match="an image must be a PIL image, .*, got int"):
        load_image(3)
    with pytest.raises(ValueError, match="an image has neither 'bytes' nor a 'path'"):
        load_image({"bytes": None, "path": None})
    with pytest.raises(ValueError, match="a file object that gives str: open it with the mode 'rb'"):
        load_image(io.StringIO("a"))
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(ValueError, match="an image cannot be read: I/O operation on closed file"):
        load_image(closed)


def test_a_long_string_that_is_no_picture_is_not_in_the_message():
    whole = base64.b64encode(encode(make_image(1, (600, 400)), "JPEG")).decode()
    strings = (
        "A" * 20_000,  # base64 of nothing
        whole[:-9] + "!" + whole[-8:],  # one wrong character
        whole[: len(whole) // 2 // 4 * 4],
        f"data:image/png;base64,{whole[:-9]}!",
        "data:image/png;base64," + "A" * 20_000,
        "data:image/png" + "A" * 20_000,
        "http://127.0.0.1:9/" + "a" * 20_000,
        "pictures/" * 3000,
        "[" * 20_000,
    )
    for string in strings:
        for urls in (True, False):
            with pytest.raises(ValueError) as error:
                load_image(string, urls=urls)
            assert len(str(error.value)) < 400, string[:30]
            assert "\n" not in str(error.value)


def test_a_string_is_a_path_before_it_is_base64(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = base64.urlsafe_b64encode(b"no picture, but a name.").decode()
    make_image(3).save(name, format="PNG")
    assert load_image(name).tobytes() == make_image(3).tobytes()
    with pytest.raises(ValueError, match="^'abcd' does not exist.$"):  # base64 of three bytes
        load_image("abcd")


def test_addresses_on_the_web_are_fetched_only_where_that_is_wanted():
    with pytest.raises(
        ValueError, match="'http://127.0.0.1:9/a.png' is an address on the web, and nothing is fetched"
    ):
        load_image("http://127.0.0.1:9/a.png")
    with pytest.raises(ValueError, match="'http://127.0.0.1:9/a.png' could not be fetched: "):
        load_image("http://127.0.0.1:9/a.png", urls=True)
    with pytest.raises(ValueError, match="'http://[^ ]*' could not be fetched: "):
        load_image("http://[", urls=True)


def test_a_picture_of_a_site_is_read_by_the_same_rules(monkeypatch):
    from comem_hf.modeling import picture_comem

    logo = PIL.Image.new("RGBA", (4, 4), (9, 9, 9, 0))

    class Response:
        content = encode(logo)

        def raise_for_status(self):
            return self

    monkeypatch.setattr(picture_comem.httpx, "get", lambda *arguments, **options: Response())
    assert load_image("https://example.org/logo.png", urls=True).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_that_is_too_narrow_says_its_size_in_one_sentence(tiny_processor, tmp_path):
    line = make_image(1, (5000, 20))
    line.save(tmp_path / "line.png")
    message = r"'.*line.png' is 5000 x 20 pixels; one side may be at most 200 times the other\.$"
    with pytest.raises(ValueError, match=message):
        tiny_processor(text=["<|image_pad|>"], images=[tmp_path / "line.png"], return_tensors="pt")
    with pytest.raises(ValueError, match=message):
        tiny_processor.process_memories([[MemoryItem(image=tmp_path / "line.png")]])
    with pytest.raises(ValueError, match="the image of memory item 'line' is 5000 x 20 pixels"):
        MemoryItem(image=line, id="line").load_image()
    assert load_image(line).size == (5000, 20)
    check_aspect_ratio(make_image(1, (4000, 20)), "a line")


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ValueError, match="an image is not a readable picture: it is 0 x 5 pixels"):
        load_image(PIL.Image.new("RGB", (0, 5)))


def test_a_decoder_keeps_its_own_words_whatever_it_raises(tmp_path, monkeypatch):
    (tmp_path / "torn.jpg").write_bytes(encode(make_image(1, (300, 300)), "JPEG")[:900])
    with pytest.raises(ValueError, match="torn.jpg' is not a readable picture: image file is truncated"):
        load_image(tmp_path / "torn.jpg")
    with pytest.raises(ValueError, match="is not a readable picture: Is a directory"):
        load_image(tmp_path)

    def fail(*arguments):
        raise NotImplementedError("Unimplemented pixel format 0")

    monkeypatch.setattr(PIL.Image.Image, "convert", fail)
    with pytest.raises(ValueError, match="not a readable picture: NotImplementedError.'Unimplemented pixel format 0'"):
        load_image(encode(make_image(1)))


def test_a_picture_of_a_row_is_a_path_from_the_folder_of_its_file_or_the_picture_itself(tmp_path):
    content = encode(make_image(1))
    (tmp_path / "a.png").write_bytes(content)
    text = base64.b64encode(content).decode()
    for value in ("a.png", {"bytes": None, "path": "a.png"}, text, f"data:image/png;base64,{text}", {"bytes": text}):
        assert load_image(picture_of_row(value, tmp_path)).tobytes() == make_image(1).tobytes()
    assert picture_of_row("missing.png", tmp_path) == tmp_path / "missing.png"
    assert picture_of_row(None, tmp_path) is None and picture_of_row(3, tmp_path) == 3


def test_the_source_of_a_picture_is_not_decoded(tmp_path):
    assert picture_source(b"no picture") == b"no picture"
    assert picture_source("missing.png").name == "missing.png"
    image = make_image(1)
    assert picture_source(image) is image
