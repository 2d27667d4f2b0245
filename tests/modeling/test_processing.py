"""Prompts as Qwen2-VL has them, items as the published code has them."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoProcessor, Qwen2VLProcessor
from transformers.utils import is_torchvision_available

from comem_hf import CoMemProcessor, MemoryItem
from comem_hf.modeling import MemoryInputs
from tests.conftest import TOKEN_IDS, make_image


QUESTION = [{"role": "user", "content": [{"type": "image", "image": make_image(0)}, {"type": "text", "text": "Eh?"}]}]


def test_an_item_becomes_the_published_knowledge_prompt(tiny_processor):
    memory = tiny_processor.process_memories([[MemoryItem(image=make_image(0), text="The flag of Peru.")]])
    assert memory["image_grid_thw"].tolist() == [[1, 4, 4]]
    assert tiny_processor.tokenizer.decode(memory["input_ids"][0]) == (
        "<|im_start|>user\n<|vision_start|>" + "<|image_pad|>" * 4 + "<|vision_end|> Similar image and text knowledge "
        "for reference<|im_end|>\n<|im_start|>assistant\nThe flag of Peru.<|im_end|>\n"
    )
    assert memory["mm_token_type_ids"].sum() == 4


def test_items_are_padded_on_the_left_and_counted_per_prompt(tiny_processor):
    items = [MemoryItem(text="a"), MemoryItem(text="a longer one"), MemoryItem(image=make_image(0))]
    memory = tiny_processor.process_memories([items[:2], [], items[2:]])
    assert isinstance(memory, MemoryInputs)
    assert memory["item_counts"].tolist() == [2, 0, 1]
    lengths = memory["attention_mask"].sum(dim=1)
    for row, length in enumerate(lengths.tolist()):
        assert memory["attention_mask"][row, -length:].all()
    assert memory["image_grid_thw"].shape == (1, 3)


def test_images_of_items_have_pixel_limits_of_their_own(tiny_processor):
    big = make_image(0, (500, 500))
    inputs = tiny_processor(
        text=["<|image_pad|> a"], images=[big], memories=[[MemoryItem(image=big)]], return_tensors="pt"
    )
    assert inputs["image_grid_thw"].tolist() == [[1, 8, 8]]
    assert inputs["memory_inputs"]["image_grid_thw"].tolist() == [[1, 4, 4]]


def test_the_text_of_an_item_is_cut_to_5000_characters(tiny_processor):
    short, long = (tiny_processor.process_memories([[MemoryItem(text="a" * n)]]) for n in (5000, 9000))
    assert torch.equal(short["input_ids"], long["input_ids"])


def test_special_tokens_in_the_text_of_an_item_become_spaces(tiny_processor):
    clean, marked = (
        tiny_processor.process_memories([[MemoryItem(image=make_image(0), text=text)]])
        for text in (" a b <|image_ pad|>", "<|image_pad|>a<|im_end|>b<|im_start|><|image_<|im_end|>pad|>")
    )
    assert torch.equal(clean["input_ids"], marked["input_ids"])


def test_prompts_are_processed_as_by_qwen2_vl(tiny_processor):
    prompt = tiny_processor.apply_chat_template(QUESTION, add_generation_prompt=True)
    inputs = tiny_processor(text=[prompt], images=[make_image(0)], return_tensors="pt")
    assert set(inputs) == {"input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw"}
    is_image = inputs["input_ids"] == TOKEN_IDS["<|image_pad|>"]
    assert torch.equal(inputs["mm_token_type_ids"].bool(), is_image)
    assert is_image.sum() == inputs["image_grid_thw"].prod() // 4


def test_a_chat_template_tokenizes_in_one_step(tiny_processor):
    prompt = tiny_processor.apply_chat_template(QUESTION, add_generation_prompt=True)
    expected = tiny_processor(text=[prompt], images=[make_image(0)], return_tensors="pt")
    actual = tiny_processor.apply_chat_template(
        QUESTION, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_a_single_prompt_may_come_with_a_plain_list_of_items(tiny_processor):
    item = MemoryItem(text="a")
    plain, nested = (tiny_processor(text="b", memories=m, return_tensors="pt") for m in ([item], [[item]]))
    assert torch.equal(plain["memory_inputs"]["input_ids"], nested["memory_inputs"]["input_ids"])


def test_mappings_stand_for_items(tiny_processor):
    fields = {"image": make_image(0), "text": "The flag of Peru.", "id": "pe", "metadata": {"held_out": True}}
    expected = tiny_processor(text="b", memories=[[MemoryItem(**fields), MemoryItem(text="c")]])["memory_inputs"]
    for memories in ([fields, {"text": "c"}], [[fields, MemoryItem(text="c")]]):
        actual = tiny_processor(text="b", memories=memories)["memory_inputs"]
        assert actual.keys() == expected.keys()
        assert all(torch.equal(actual[key], expected[key]) for key in expected)


@pytest.mark.parametrize("text", ["b", ["b"]])
def test_a_single_prompt_may_come_with_no_items(tiny_processor, text):
    for memories in ([], [[]], ()):
        inputs = tiny_processor(text=text, memories=memories, return_tensors="pt")
        assert inputs["memory_inputs"]["item_counts"].tolist() == [0]


@pytest.mark.parametrize(
    "content", ["", " \n", [{"type": "text", "text": ""}], [{"type": "image"}, {"type": "text", "text": " "}]]
)
def test_an_empty_question_is_refused(tiny_processor, content):
    earlier = [{"role": "user", "content": "Eh?"}, {"role": "assistant", "content": "Oh."}]
    messages = [*earlier, {"role": "user", "content": content}]
    for conversation in (messages, [earlier, messages], [*messages, {"role": "assistant", "content": "Peru."}]):
        with pytest.raises(ValueError, match="the text of the last user message, must not be empty"):
            tiny_processor.apply_chat_template(conversation, add_generation_prompt=True)
    only_image = [{"role": "user", "content": [{"type": "image"}]}]
    assert "<|image_pad|>" in tiny_processor.apply_chat_template(only_image)


@pytest.mark.parametrize("fields", [{"image": make_image(1), "text": "Peru."}, {"id": "pe"}])
def test_memory_among_the_parts_of_a_message_is_refused(tiny_processor, fields):
    part = {"type": "memory", **fields}
    messages = [{"role": "user", "content": [*QUESTION[0]["content"], part]}]
    earlier = [{"role": "system", "content": [part]}, *QUESTION]
    for conversation in (messages, earlier, [QUESTION, messages]):
        for settings in ({}, {"tokenize": True, "return_dict": True}):
            with pytest.raises(
                ValueError, match="type 'memory' cannot be put into a prompt.* pass the items as `memor"
            ):
                tiny_processor.apply_chat_template(conversation, **settings)


def test_a_processor_survives_a_folder(tiny_processor, tmp_path):
    tiny_processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, CoMemProcessor)
    assert (loaded.memory_min_pixels, loaded.memory_max_pixels) == (28 * 28, 56 * 56)
    assert loaded.chat_template == tiny_processor.chat_template
    arguments = {"text": "<|image_pad|>b", "images": [make_image(0)], "memories": [MemoryItem(text="a")]}
    ours, theirs = (processor(**arguments, return_tensors="pt") for processor in (tiny_processor, loaded))
    # Where torchvision is installed, the loaded processor scales with it, which rounds differently.
    atol = 2 / 255 / min(tiny_processor.image_processor.image_std) if is_torchvision_available() else 0
    torch.testing.assert_close(ours["pixel_values"], theirs["pixel_values"], atol=atol, rtol=0)
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert torch.equal(ours["memory_inputs"]["input_ids"], theirs["memory_inputs"]["input_ids"])


def test_importing_the_package_is_enough_for_the_auto_classes(tiny_processor, tiny_model, tmp_path):
    tiny_processor.save_pretrained(tmp_path)
    tiny_model.save_pretrained(tmp_path)
    code = (
        "import sys, comem_hf\n"
        "from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor\n"
        "for auto in (AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor):\n"
        "    print(type(auto.from_pretrained(sys.argv[1])).__name__)\n"
        "assert not {'faiss', 'pyarrow'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    model = "CoMemForConditionalGeneration"
    assert result.stdout.split() == ["CoMemConfig", model, model, "CoMemProcessor"]


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
@pytest.mark.parametrize("parts", [(), (None, "tokenizer")])
def test_a_part_that_is_not_given_is_missed_where_qwen2_vls_own_processor_does(tiny_processor, parts):
    parts = [part and getattr(tiny_processor, part) for part in parts]
    outcomes = []
    for processor_class in (Qwen2VLProcessor, CoMemProcessor):
        try:
            outcomes.append(processor_class(*parts).video_processor)
        except (AttributeError, TypeError) as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
def test_without_torchvision_a_video_processor_is_its_settings_which_are_kept(tiny_processor, tmp_path):
    parts = (tiny_processor.image_processor, tiny_processor.tokenizer)
    settings = CoMemProcessor(*parts).video_processor
    assert settings["video_processor_type"] == "Qwen2VLVideoProcessor"
    assert settings["patch_size"] == tiny_processor.image_processor.patch_size
    given = {**settings, "max_frames": 7}
    CoMemProcessor(*parts, video_processor=given).save_pretrained(tmp_path)
    assert CoMemProcessor.from_pretrained(tmp_path).video_processor == given
    with pytest.raises(ValueError, match="`videos` need torchvision"):
        tiny_processor(text="<|video_pad|>", videos=[[make_image(0)] * 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "`text` must not be empty, but prompt 0 is"),
        ({"text": ["a", " \n"]}, "`text` must not be empty, but prompt 1 is"),
        ({"text": ["a", "b"], "memories": [[MemoryItem(text="x")]]}, "one list of items per prompt, got 1 for 2"),
        (
            {"text": "a", "memories": [["x"]]},
            "memory item must be a MemoryItem or a mapping of its fields, got 'x'",
        ),
        ({"text": ["a"], "memories": ["x"]}, "`memories` must be lists of memory items, one list per prompt, got 'x'"),
        ({"text": "a", "memories": {"text": "b"}}, "`memories` must be lists of memory items, .* got {'text': 'b'}"),
        (
            {"text": "a", "memories": MemoryItem(text="b")},
            "`memories` must be lists of memory items, .* got MemoryItem",
        ),
        (
            {"text": "a", "memories": [{"text": "b", "txt": "c"}]},
            r"unknown keys \['txt'\]; known are \['image', 'text'",
        ),
        ({"text": "a", "memories": [{}]}, "needs an image, a text or both, got neither"),
        ({"text": "<|image_pad|>", "images": ["/no/such.png"]}, "'/no/such.png' does not exist"),
        ({"text": "a", "memories": [MemoryItem(image="/no/such.png")]}, "'/no/such.png' does not exist"),
    ],
)
def test_wrong_input_is_refused_by_name(tiny_processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_processor(**arguments, return_tensors="pt", padding=True)


def test_pixel_limits_that_make_no_sense_are_refused(tiny_processor):
    with pytest.raises(ValueError, match="`memory_min_pixels` must be positive and at most `memory_max_pixels`"):
        CoMemProcessor(
            tiny_processor.image_processor, tiny_processor.tokenizer, memory_min_pixels=10, memory_max_pixels=5
        )
