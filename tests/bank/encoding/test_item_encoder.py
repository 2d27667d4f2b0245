"""Items in batches, each with its own vectors, and pictures that cannot be encoded."""

import pytest
import torch

from comem_hf import MemoryItem
from tests.bank.conftest import bomb, truncated_image
from tests.conftest import make_image


def test_batches_sorted_by_length_give_every_item_its_own_vectors_in_the_old_order(build, tmp_path):
    sizes = [(56, 56), (28, 28), (84, 28), (28, 28), (56, 28), (28, 84), (56, 56)]
    items = [
        MemoryItem(image=make_image(seed, size), text="word " * (7 * seed % 5), id=str(seed))
        for seed, size in enumerate(sizes)
    ]
    sorted_bank = build(items, output_dir=tmp_path / "sorted", batch_size=3, shard_size=7)
    single = build(items, output_dir=tmp_path / "single", batch_size=1, shard_size=7)
    assert sorted_bank.ids == single.ids == [item.id for item in items]
    torch.testing.assert_close(
        sorted_bank.memory_inputs([single.ids])["memory_embeds"],
        single.memory_inputs([single.ids])["memory_embeds"],
        atol=1e-5,
        rtol=1e-5,
    )
    for item in items:
        assert sorted_bank.search(image=item.image, k=1)[0].item.id == item.id


def test_a_model_in_training_mode_is_read_without_dropout_and_stays_in_it(build, items, bank, model, tmp_path):
    model.train()
    try:
        trained = build(items, output_dir=tmp_path / "bank")
        assert model.training
    finally:
        model.eval()
    assert torch.equal(
        trained.memory_inputs([bank.ids])["memory_embeds"], bank.memory_inputs([bank.ids])["memory_embeds"]
    )


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"Item 1 \(id 'bad'\): '.*picture.png': cannot read image: No such file or directory\."),
        (b"", r"Item 1 \(id 'bad'\): '.*picture.png': its image is not a readable picture"),
        (b"no picture at all", r"Item 1 \(id 'bad'\): '.*picture.png': its image is not a readable picture"),
        (truncated_image(), r"'.*picture.png': its image is not a readable picture.*: image file is truncated"),
        (bomb(), r"Item 1 \(id 'bad'\): '.*picture.png': its image is too large to be opened safely"),
    ],
    ids=["missing", "empty", "no picture", "truncated", "decompression bomb"],
)
def test_an_unusable_image_is_refused_by_item_number_and_leaves_no_bank(build, tmp_path, content, message):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    items = [MemoryItem(image=make_image(0), id="good"), MemoryItem(image=path, id="bad")]
    with pytest.raises(ValueError, match=message):
        build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize("size, shown", [((4000, 4), "4000 x 4"), ((4, 4000), "4 x 4000")])
def test_an_image_that_is_too_narrow_is_refused_by_item_number(build, tmp_path, size, shown):
    items = [MemoryItem(image=make_image(0)), MemoryItem(image=make_image(1, size), id="line")]
    message = rf"Item 1 \(id 'line'\): its image is {shown} pixels; one side may be at most 200 times the other\."
    with pytest.raises(ValueError, match=message):
        build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert not (tmp_path / "bank").exists()
    assert len(build([MemoryItem(image=make_image(1, (800, 4)))], output_dir=tmp_path / "bank")) == 1


def test_vectors_that_are_not_finite_are_refused_by_item(build, items, model, monkeypatch, tmp_path):
    encode = model.encode_memory
    monkeypatch.setattr(model, "encode_memory", lambda inputs: encode(inputs).index_fill(0, torch.tensor([1]), 1e30))
    with pytest.raises(ValueError, match=r"Item 1 \(id 'item-1'\): its vectors in float16 are not finite"):
        build(items, output_dir=tmp_path / "bank", dtype="float16", batch_size=3, on_error="raise")
