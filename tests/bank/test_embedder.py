"""Embedders other than the backbone: any `AutoModel` with image features."""

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import BackboneEmbedder, ModelEmbedder
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


def test_a_vision_model_without_a_text_side_refuses_texts(build, items, vit, tmp_path):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    bank = build(items, output_dir=tmp_path / "bank", embedder=embedder)
    assert bank.search(image=items[3].image, k=1)[0].item.id == "item-3"
    with pytest.raises(ValueError, match="Embedder 'model' embeds images only"):
        bank.search(text="a fact")
    with pytest.raises(
        ValueError, match="Item 0: it has no image, and embedder 'model' finds items by their image only"
    ):
        build([MemoryItem(text="a")], output_dir=tmp_path / "second", embedder=embedder)


def test_an_embedder_without_a_name_has_to_be_given_again(build, items, vit, tmp_path):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    build(items, output_dir=tmp_path / "bank", embedder=embedder)
    bank = MemoryBank.from_pretrained(tmp_path / "bank")
    with pytest.raises(ValueError, match=r"has no name to load it by: call `bank.attach\(embedder=...\)` first"):
        bank.search(image=items[3].image)
    assert bank.attach(embedder=embedder).search(image=items[3].image, k=1)[0].item.id == "item-3"


def test_a_bank_is_searched_only_with_its_own_embedder(bank, copy, vit, model, tiny_processor, build, items, tmp_path):
    embedder = ModelEmbedder(vit, ViTImageProcessorPil(size={"height": 32, "width": 32}))
    with pytest.raises(ValueError, match="was made with the embedder {'type': 'backbone'}, got {'type': 'model'"):
        MemoryBank.from_pretrained(copy, embedder=embedder)
    build(items, output_dir=tmp_path / "bank", embedder=embedder)
    with pytest.raises(ValueError, match="The embedder gives 64 numbers per query, the bank holds 32"):
        other = BackboneEmbedder(model, tiny_processor)
        other.settings = embedder.settings
        MemoryBank.from_pretrained(tmp_path / "bank").attach(embedder=other).search(image=items[0].image)


def test_a_bare_model_is_refused_with_the_way_out(build, items, vit, tmp_path):
    with pytest.raises(ValueError, match=r"`embedder=ModelEmbedder\(model, image_processor\)`"):
        build(items, output_dir=tmp_path / "bank", embedder=vit)


def test_backbone_embeddings_are_the_mean_of_the_vision_tower(model, tiny_processor):
    images = [make_image(1, (56, 84)), make_image(2)]
    inputs = tiny_processor.process_memories([[MemoryItem(image=image) for image in images]])
    with torch.no_grad():
        features = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    expected = np.stack([feature.mean(0).numpy() for feature in features])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(BackboneEmbedder(model, tiny_processor).embed_images(images), expected, atol=1e-5)
