"""Items with several pictures: one memory each, the one that a hand-written prompt would get."""

import dataclasses

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration, MemoryItem
from comem_hf.modeling.pipeline_comem import MemoryImageTextToTextPipeline
from comem_hf.modeling.processing_comem import ITEM_INSTRUCTION
from comem_hf.modeling.stand_ins_comem import with_stand_in_item
from tests.conftest import make_backbone, make_image, make_model
from tests.modeling.conftest import logits, vectors
from tests.modeling.test_memory_encoder import enable_checkpointing, gradients
from tests.modeling.test_memory_sites import CLOSE, make
from tests.modeling.test_pipeline import GREEDY, QUESTION, chat
from tests.modeling.test_reader import make_reading_model


SIDES = [make_image(seed, size) for seed, size in enumerate([(56, 56), (84, 56), (28, 84)])]
# Two, none, one, three pictures, and the first item turned around.
ITEMS = [
    MemoryItem(images=SIDES[:2], text="A shoe, from two sides.", id="shoe"),
    MemoryItem(text="Made of cork."),
    MemoryItem(image=SIDES[2]),
    MemoryItem(images=SIDES, text="A page with three figures!", metadata={"page": 3}),
    MemoryItem(images=SIDES[1::-1], text="A shoe, from two sides."),
]
ROWS = [ITEMS[:2], [], ITEMS[2:], ITEMS[3:4]]
WAYS = {
    "input, and the tower": lambda: make("qwen2_vl", "input + vision"),
    "layers": lambda: make("qwen2_5_vl", "ffn memory"),
    "input of a reader": lambda: make_reading_model(),
}


def test_a_list_of_one_picture_is_a_picture_and_an_empty_one_none():
    one, same = MemoryItem(images=(SIDES[0],), text="a"), MemoryItem(image=SIDES[0], text="a")
    assert one == same and one.images is None and one.pictures == [SIDES[0]]
    assert MemoryItem(images=[], image=SIDES[0], text="a") == same
    assert MemoryItem(images=[], text="a") == MemoryItem(text="a") and MemoryItem(text="a").pictures == []
    several = ITEMS[0]
    assert several.image is None and several.pictures == several.images == SIDES[:2]
    assert [picture.tobytes() for picture in several.load_images()] == [side.tobytes() for side in SIDES[:2]]
    assert MemoryItem.of(vars(several)) == dataclasses.replace(several) == several
    assert dataclasses.replace(several, images=[SIDES[0]]).image is SIDES[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": SIDES[0], "images": SIDES, "id": "x"}, r"or several as `images`, got both .id 'x'.: put all of th"),
        ({"images": "a.png"}, "`images` must be a list of pictures, got str; a single one goes into `image`"),
        ({"images": ["a.png", None]}, r"`images\[1\]` must be a PIL image, path, .*, got NoneType"),
        ({"images": []}, "needs an image, a text or both, got neither"),
    ],
)
def test_pictures_that_cannot_be_told_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        MemoryItem(**fields)


def test_a_picture_of_several_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="image 2 of memory item 'x{}' is not a readable picture"):
        MemoryItem(images=[SIDES[0], b"no picture"], id="x{}").load_images()
    with pytest.raises(ValueError, match="Memory item 'shoe' has 2 pictures: open them with `load_images`"):
        ITEMS[0].load_image()


def test_the_memory_is_of_the_hidden_states_of_a_handwritten_prompt(tiny_processor, family):
    model, item = CoMemForConditionalGeneration.from_backbone(make_backbone(family)).eval(), ITEMS[3]
    shown = [*({"type": "image"} for _ in item.images), {"type": "text", "text": f" {ITEM_INSTRUCTION}"}]
    turns = [{"role": "user", "content": shown}, {"role": "assistant", "content": item.text}]
    limits = {
        "shortest_edge": tiny_processor.memory_min_pixels,
        "longest_edge": tiny_processor.memory_max_pixels,
    }
    prompt = tiny_processor.apply_chat_template(turns)
    written = tiny_processor(text=[prompt], images=item.images, images_kwargs={"size": limits}, return_tensors="pt")
    memory = tiny_processor.process_memories([[item]])
    assert memory.pop("item_counts").tolist() == [1] and memory.keys() == written.keys()
    assert all(torch.equal(memory[name], written[name]) for name in written)
    assert memory["image_grid_thw"].shape == (3, 3)
    with torch.no_grad():
        states = make_backbone(family).model(**written).last_hidden_state
        expected = model.memory_encoder.resampler(states, written["attention_mask"])
        # A new adapter changes nothing.
        torch.testing.assert_close(model.encode_memory(memory), expected, rtol=1e-5, atol=1e-6)


def test_an_item_gets_the_same_vectors_in_any_company(tiny_model, tiny_processor):
    together = vectors(tiny_model, tiny_processor(text=["a"] * 4, memories=ROWS, padding=True, return_tensors="pt"))
    items = [item for row in ROWS for item in row]
    for found, item in zip(together, items, strict=True):
        alone = vectors(tiny_model, tiny_processor(text="a", memories=[item], return_tensors="pt"))[0]
        assert (alone - found).norm() < 1e-5 * found.norm()
    assert (together[0] - together[-2]).norm() > 1e-2 * together[0].norm(), "their order counts"
    once = tiny_processor.process_memories([*ROWS, [{"images": SIDES[:2], "text": ITEMS[0].text}]], once=True)
    assert once["item_index"].tolist() == [0, 1, 2, 3, 4, 3, 0]
    assert len(once["input_ids"]) == 5 and len(once["image_grid_thw"]) == 8


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_gives_each_prompt_what_it_gets_alone_wherever_memory_enters(way, tiny_processor):
    model, image = WAYS[way](), make_image(9)
    prompt = tiny_processor.apply_chat_template(chat(image=image), add_generation_prompt=True)
    batch = tiny_processor(text=[prompt] * 4, images=[image] * 4, memories=ROWS, padding=True, return_tensors="pt")
    together = logits(model, batch)
    for row, items in enumerate(ROWS):
        alone = tiny_processor(text=[prompt], images=[image], memories=[items], return_tensors="pt")
        torch.testing.assert_close(together[row : row + 1], logits(model, alone), **CLOSE)


def test_gradients_are_the_same_with_checkpointing_and_beside_a_stand_in(tiny_processor, family):
    model = make_model(family, lora_config={"r": 4, "lora_alpha": 8, "lora_dropout": 0.0}).train()
    inputs = tiny_processor(text=["ab", "cd"], memories=[ITEMS[:1], ITEMS[1:4]], return_tensors="pt")
    expected = gradients(model, inputs)
    assert all(grad.isfinite().all() for grad in expected.values())
    assert any("visual" in name and grad.any() for name, grad in expected.items())
    enable_checkpointing(model, use_reentrant=False)
    actual = gradients(model, inputs)
    assert actual.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(actual[name], grad, rtol=1e-4, atol=1e-6, msg=name)
    model.eval()
    items = inputs["memory_inputs"]
    more = with_stand_in_item(items, model.config.backbone_config, model.device)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_memory(more)[:-1], model.encode_memory(items), rtol=1e-4, atol=1e-5)


def test_the_pipeline_takes_them_as_items_and_mappings(tiny_processor):
    ask = MemoryImageTextToTextPipeline(make_model(), tiny_processor, device="cpu", generate_kwargs=GREEDY)
    samples = [
        {"images": SIDES[0], "text": QUESTION, "memories": row}
        for row in (ROWS[0], [{"images": SIDES[:2], "text": ITEMS[0].text}], [])
    ]
    answers = ask(samples, batch_size=3, explain=True)
    assert [[memory["id"] for memory in answer["memories"]] for (answer,) in answers] == [["shoe", None], [None], []]
    for (answer,), sample in zip(answers, samples, strict=True):
        (alone,) = ask(**sample)
        assert alone["generated_text"] == answer["generated_text"]
    with pytest.raises(ValueError, match="got both"):
        ask(images=SIDES[0], text=QUESTION, memories=[{"image": SIDES[0], "images": SIDES}])
