"""Embedders other than the backbone: any `AutoModel` with image features."""

import copy
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import BackboneEmbedder, Embedder, ModelEmbedder
from comem_hf.bank.encoding.embedder import resolve_embedder
from comem_hf.bank.encoding.tower_features import tower_features
from comem_hf.bank.index.index import unit_rows
from tests.bank.conftest import change_config
from tests.conftest import TOKEN_IDS, make_image


SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def clip_folder(tiny_tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    text = {**SIZES, "vocab_size": 272, "eos_token_id": TOKEN_IDS["<|im_end|>"], "max_position_embeddings": 64}
    vision = {**SIZES, "image_size": 32, "patch_size": 8}
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return ViTModel(ViTConfig(**SIZES, image_size=32, patch_size=8))


def test_a_bank_can_be_searched_by_a_model_of_its_own_name(build, items, clip_folder, tmp_path):
    mixed = [*items, MemoryItem(text="A fact without a picture.", id="text")]
    build(mixed, output_dir=tmp_path / "bank", embedder=str(clip_folder))
    bank = MemoryBank.from_pretrained(tmp_path / "bank")  # the embedder is loaded by its name
    assert bank.config.embedder == {"type": "model", "id": str(clip_folder), "revision": None}
    assert bank.config.embedding_size == 24
    for item in items:
        assert bank.search(image=item.image, k=1)[0].item.id == item.id
    assert bank.search(text="A fact without a picture.", k=1)[0].item.id == "text"
    assert bank["text"].image is None
    both = bank.search(image=items[2].image, text="A fact without a picture.", k=8)
    assert [hit.score for hit in both] == sorted((hit.score for hit in both), reverse=True)
    assert [[hit.item.id for hit in hits] for hits in bank.search(text=["A fact without a picture."], k=1)] == [
        ["text"]
    ]


def test_an_embedder_is_loaded_onto_the_device_of_the_model(build, items, clip_folder, model, tmp_path, monkeypatch):
    build(items, output_dir=tmp_path / "bank", embedder=str(clip_folder))
    monkeypatch.setattr(type(model), "device", torch.device("meta"))
    assert resolve_embedder(str(clip_folder), model, None).model.device.type == "meta"
    bank = MemoryBank.from_pretrained(tmp_path / "bank", model=model)
    assert bank._state.search.embedder().model.device.type == "meta"


@pytest.mark.parametrize("embedder", [{"id": "/etc"}, {"id": "nobody/nothing", "revision": "v1"}])
def test_an_embedder_that_cannot_be_loaded_is_named_with_the_way_out(copy, embedder):
    change_config(copy, embedder={"type": "model", **embedder})
    at = " at revision 'v1'" if "revision" in embedder else ""
    message = rf"embedder '{embedder['id']}'{at} cannot be loaded: give it by `bank.attach\(embedder=...\)`"
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy).search(image=make_image(0))


def test_a_query_whose_embedding_is_not_finite_is_refused(bank, model, monkeypatch):
    embed_images = BackboneEmbedder.embed_images
    monkeypatch.setattr(BackboneEmbedder, "embed_images", lambda self, images: embed_images(self, images) * np.inf)
    with pytest.raises(ValueError, match="numbers for the query are not finite; load its model in another dtype"):
        bank.search(image=make_image(0))


def test_a_vision_model_without_a_text_side_leaves_texts_to_the_words_of_items(build, items, vit, tmp_path):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    bank = build(items, output_dir=tmp_path / "bank", embedder=embedder)
    assert bank.search(image=items[3].image, k=1)[0].item.id == "item-3"
    assert bank.searches_text and not bank.embeds_text
    with pytest.raises(
        ValueError,
        match="Item 0: it has no image. The memory bank finds .*embedder 'model'",
    ):
        build([MemoryItem(text="a")], output_dir=tmp_path / "second", embedder=embedder)


def test_an_embedder_without_a_name_has_to_be_given_again(build, items, vit, tmp_path):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    build(items, output_dir=tmp_path / "bank", embedder=embedder)
    bank = MemoryBank.from_pretrained(tmp_path / "bank")
    with pytest.raises(ValueError, match=r"does not name its embedder, so call `bank.attach\(embedder=...\)` first"):
        bank.search(image=items[3].image)
    assert bank.attach(embedder=embedder).search(image=items[3].image, k=1)[0].item.id == "item-3"


def test_a_bank_is_searched_only_with_its_own_embedder(
    copy, vit, model, tiny_processor, build, items, monkeypatch, tmp_path
):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    with pytest.raises(
        ValueError,
        match="was made with the embedder {'grid': 2, 'layer': -1, .*'type': 'backbone'}, got {'type': 'model'",
    ):
        MemoryBank.from_pretrained(copy, embedder=embedder)
    build(items, output_dir=tmp_path / "bank", embedder=embedder)
    with pytest.raises(ValueError, match="The embedder gives 128 numbers per query, but the bank's vectors have 32"):
        other = BackboneEmbedder(model, tiny_processor)
        monkeypatch.setattr(BackboneEmbedder, "settings", embedder.settings)
        MemoryBank.from_pretrained(tmp_path / "bank").attach(embedder=other).search(image=items[0].image)


class OwnEmbedder(Embedder):
    """As somebody might write one."""

    def __init__(self, settings: dict):
        self.settings = settings

    def embed_images(self, images):
        return np.ones((len(images), 4), np.float32)


@pytest.mark.parametrize("settings", [{"type": "own", "sizes": (1, 2)}, {"type": "own", "path": Path()}, {"size": 1}])
def test_settings_that_would_not_come_back_are_refused_before_anything_is_encoded(build, items, tmp_path, settings):
    with pytest.raises(ValueError, match="`settings` of an embedder must be JSON with a 'type', without tuples"):
        build(items, output_dir=tmp_path / "bank", embedder=OwnEmbedder(settings))
    assert not list(tmp_path.iterdir())


def test_a_bare_model_is_refused_with_the_way_out(build, items, vit, tmp_path):
    with pytest.raises(ValueError, match=r"`embedder=ModelEmbedder\(model, image_processor\)`"):
        build(items, output_dir=tmp_path / "bank", embedder=vit)


def test_backbone_embeddings_pool_each_field_of_the_picture(family_model, prepared):
    with torch.no_grad():
        features = tower_features(family_model, prepared)
    embeddings = BackboneEmbedder(family_model, None, grid=1).embed_items([], prepared)
    expected = np.stack([feature.mean((1, 2)).numpy() for feature in features])
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    embeddings = BackboneEmbedder(family_model, None, grid=2).embed_items([], prepared)
    rows, columns = features[0].shape[1] // 2, features[0].shape[2] // 2
    corner = features[0][:, :rows, :columns].mean((1, 2)).numpy()
    found = embeddings[0].reshape(-1, 4)[:, 0]
    np.testing.assert_allclose(found, corner, atol=1e-5)


def test_a_grid_tells_mirrored_pictures_apart(model, tiny_processor):
    picture = PIL.Image.new("RGB", (56, 56), "white")
    picture.paste("red", (0, 0, 28, 56))
    mirrored = picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    similarity = {}
    for grid in (1, 2):
        embedder = BackboneEmbedder(model, tiny_processor, grid, layer=0)
        first, second = unit_rows(embedder.embed_images([picture, mirrored]))
        similarity[grid] = float(first @ second)
    assert similarity[1] == pytest.approx(1, abs=1e-5)
    assert similarity[2] < 0.9


def test_a_bank_remembers_how_its_backbone_embedder_pools(build, items, model, tiny_processor, tmp_path):
    embedder = BackboneEmbedder(model, tiny_processor, grid=3, layer=1)
    build(items, output_dir=tmp_path / "bank", embedder=embedder)
    bank = MemoryBank.from_pretrained(tmp_path / "bank").attach(model, tiny_processor)
    pixels = {"memory_min_pixels": 28 * 28, "memory_max_pixels": 56 * 56}
    assert bank.config.embedder == {"type": "backbone", "grid": 3, "layer": 1, **pixels}
    assert bank.config.embedding_size == 9 * 32
    assert bank.search(image=items[4].image, k=1)[0].item.id == "item-4"


@pytest.mark.parametrize("name, value", [("memory_min_pixels", 56 * 56), ("memory_max_pixels", 112 * 112)])
def test_a_processor_with_other_pixel_limits_is_refused(bank, model, tiny_processor, name, value):
    assert bank.config.embedder[name] == getattr(tiny_processor, name) != value
    processor = copy.copy(tiny_processor)
    setattr(processor, name, value)
    with pytest.raises(ValueError, match=f"was made with the embedder .*{name}.*, got .*'{name}': {value}"):
        MemoryBank.from_pretrained(bank.folder).attach(model, processor)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"grid": 0}, "`grid` must be an integer from 1 to 16, got 0"),
        ({"layer": 3}, "`layer` must be an integer from -1 to 2, got 3"),
    ],
)
def test_pooling_out_of_range_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        BackboneEmbedder(model, None, **options)


def test_an_embedder_says_how_many_pixels_it_needs(vit, model, tiny_processor):
    def size_of(**settings):
        return ModelEmbedder(vit, ViTImageProcessorPil(**settings)).picture_size((4000, 3000))

    assert size_of(size={"height": 32, "width": 48}) == (48, 48)  # the file of a picture may lie on its side
    assert size_of(size={"shortest_edge": 32}) == (32, 32)
    assert size_of(size={"shortest_edge": 32, "longest_edge": 64}) is None  # how is not known
    assert size_of(size={"height": 32, "width": 32}, do_resize=False) is None
    assert OwnEmbedder({"type": "own"}).picture_size((4000, 3000)) is None
    own = BackboneEmbedder(model, tiny_processor).picture_size((4000, 3000))
    assert own == tiny_processor.memory_picture_size((4000, 3000))
