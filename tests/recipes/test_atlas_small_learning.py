"""What the embedded default's backbone starts from, and what it is trained on."""

import random

import pytest
import torch
from PIL import Image
from torch.nn import functional

from comem_hf import MemoryItem
from comem_hf.answering import question_inputs
from comem_hf.bank import MemoryBank
from comem_hf.default import default_path
from comem_hf.training.optimizer import MuonWithAdamW


pytest.importorskip("countryinfo", reason="the recipes extra is not installed")

from recipes.atlas_small.architecture import new_backbone, new_model, new_processor  # noqa: E402
from recipes.atlas_small.comparing import Hold, held_parts  # noqa: E402
from recipes.atlas_small.data.countries.countries import Country  # noqa: E402
from recipes.atlas_small.data.countries.invention import Inventor  # noqa: E402
from recipes.atlas_small.data.samples.memory_data import as_row  # noqa: E402
from recipes.atlas_small.data.samples.pictures import Motif  # noqa: E402
from recipes.atlas_small.data.samples.recall import Course, RecallMaker  # noqa: E402
from recipes.atlas_small.learning.backbone import BackboneTrainer  # noqa: E402
from recipes.atlas_small.learning.eyes import Eyes, load_patches, standardise  # noqa: E402
from recipes.atlas_small.learning.facts import start_from_facts, told_items  # noqa: E402
from recipes.atlas_small.learning.reading import IGNORED, PICTURE, ReadingCollator  # noqa: E402
from recipes.atlas_small.tokenizer import train_tokenizer  # noqa: E402


COUNTRIES = [
    Country("AA", "Aland", "Abo", "Norden", "Swedish", "Aland Crown", "+1"),
    Country("BB", "Bland", "Bbo", "Suden", "Danish", "Bland Krone", "+2"),
    Country("CC", "Cland", "Cbo", "Osten", "Finnish", "Cland Markka", "+3"),
]


@pytest.fixture(scope="module")
def inventor():
    return Inventor(COUNTRIES[:2], COUNTRIES[2:])


@pytest.fixture(scope="module")
def motifs():
    return [Motif((f"{number}-a", f"{number}-b"), ("red",)) for number in range(40)]


@pytest.fixture(scope="module")
def tokenizer(inventor, motifs):
    maker = RecallMaker([inventor], motifs, [Course()])
    samples = [maker(index) for index in range(60)]
    texts = [item.text for sample in samples for item in sample.items]
    texts += [text for sample in samples for turn in sample.turns for text in (turn.question, turn.answer)]
    return train_tokenizer(texts, vocab_size=800)


@pytest.fixture
def backbone(tokenizer):
    torch.manual_seed(0)
    model = new_backbone(tokenizer)
    model.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize("plain", [False, True])
def test_answers_stand_in_the_item_whose_motif_the_turn_shows_at_any_place(inventor, motifs, plain):
    maker = RecallMaker([inventor], motifs, [Course(items=(3,), turns=4, follow=0.3, plain=plain)])
    places = []
    for index in range(120):
        sample = maker(index)
        assert sample == maker(index)
        places.append(sample.place)
        shown = None
        for turn in sample.turns:
            shown = turn.picture or shown
            (item,) = [item for item in sample.items if item.picture.split("-")[0] == shown.split("-")[0]]
            assert item.picture != shown or turn.picture is None
            assert plain or turn.answer in item.text
    assert min(places.count(place) for place in range(3)) > 20


def test_look_alikes_come_together_and_courses_follow_each_other(inventor, motifs):
    near = torch.tensor([[(row + step) % 40 for step in (1, 2, 3)] for row in range(40)])
    courses = [Course(samples=32, items=(1,)), Course(items=(3,), alike=1.0)]
    maker = RecallMaker([inventor], motifs, courses, near)
    assert {len(maker(index).items) for index in range(32)} == {1}
    rows = [sorted(int(item.picture.split("-")[0]) for item in maker(index).items) for index in range(32, 64)]
    assert all(any(set(row) <= {(first + step) % 40 for step in range(4)} for first in row) for row in rows)


def test_rows_for_training_show_the_picture_once(inventor, motifs):
    sample = RecallMaker([inventor], motifs, [Course(turns=3, follow=1.0)])(0)
    row = as_row(sample, "pictures")
    assert row["image"] == f"pictures/{sample.picture}"
    assert [turn["value"].count("<image>") for turn in row["conversations"]] == [1, 0, 0, 0, 0, 0]


def test_training_reads_the_tokens_that_answering_reads(tokenizer, inventor, motifs):
    sample = RecallMaker([inventor], motifs, [Course(items=(2,), turns=1)])(3)
    batch = ReadingCollator(tokenizer, [name for motif in motifs for name in motif.files])([{"sample": sample}])
    picture = MemoryBank.from_pretrained(default_path("bank"))["GR"].load_image()
    items = [[MemoryItem(image=picture, text=item.text) for item in sample.items]]
    inputs = question_inputs(new_processor(tokenizer), [sample.turns[0].question], [picture], items)
    ids = batch["input_ids"][batch["attention_mask"].bool() & (batch["labels"] == IGNORED)]
    assert ids.tolist() == inputs["input_ids"][0].tolist()


def test_a_new_backbone_compares_pictures_before_any_training(backbone, tokenizer, inventor, motifs):
    tokens = torch.randn(80, 192)
    tokens[1::2] = tokens[::2] + 0.3 * torch.randn(40, 192)  # the second picture of a motif
    tokens += backbone.get_input_embeddings().weight[backbone.config.image_token_id].detach()
    collator = ReadingCollator(tokenizer, [name for motif in motifs for name in motif.files])
    maker = RecallMaker([inventor], motifs, [Course(items=(3,), turns=1)])
    shares = []
    for index in range(24):
        sample = maker(index)
        batch = collator([{"sample": sample}])
        ids = batch["input_ids"]
        embeds = backbone.get_input_embeddings()(ids)
        embeds[ids == backbone.config.image_token_id] = tokens[batch["pictures"]]
        text = backbone.model.language_model
        attention = text(inputs_embeds=embeds, output_attentions=True).attentions[2][0, :3].mean(0)
        places = (ids[0] == backbone.config.image_token_id).nonzero().flatten().tolist()
        answers = int((batch["labels"][0] != IGNORED).nonzero()[0]) - 1
        bounds = [*places[:3], places[3] - 4]
        mass = torch.stack([attention[answers, bounds[i] : bounds[i + 1]].sum() for i in range(3)])
        shares.append((mass / mass.sum())[sample.place].item())
    assert sum(shares) / len(shares) > 0.8


def test_held_parts_stay_and_the_rest_learns(backbone, tokenizer, inventor, motifs):
    collator = ReadingCollator(tokenizer, [name for motif in motifs for name in motif.files])
    maker = RecallMaker([inventor], motifs, [Course(turns=2)])
    batch = collator([{"sample": maker(index)} for index in range(4)])
    parts = held_parts(backbone)
    before = [parameter.detach()[index].clone() for parameter, index in parts]
    whole = {name: parameter.detach().clone() for name, parameter in backbone.model.language_model.named_parameters()}
    hold = Hold(parts)
    optimizer = MuonWithAdamW(backbone, inside=("layers.",), lr=1e-2, muon_lr=1e-2, weight_decay=0.1)
    trainer = BackboneTrainer.__new__(BackboneTrainer)
    trainer.tokens = torch.randn(80, 192)
    trainer.compute_loss(backbone, batch).backward()
    hold.on_pre_optimizer_step()
    optimizer.step()
    hold.on_optimizer_step()
    assert all(torch.equal(parameter[index], kept) for (parameter, index), kept in zip(parts, before, strict=True))
    changed = {n for n, p in backbone.model.language_model.named_parameters() if not torch.equal(p, whole[n])}
    assert changed >= {name for name in whole if not name.endswith("bias")}


def test_the_trainer_reads_pictures_as_the_model_does(backbone, tokenizer, inventor, motifs, tmp_path):
    processor, rng = new_processor(tokenizer), random.Random(0)
    bank = MemoryBank.from_pretrained(default_path("bank"))
    files = []
    for number, item_id in enumerate(rng.sample(list(bank.ids), 8)):
        files.append(tmp_path / f"{number // 2}-{'ab'[number % 2]}.png")
        bank[item_id].load_image().save(files[-1])
    patches = load_patches(files, processor.image_processor)
    eyes = Eyes(backbone.model.visual)
    centre = torch.randn(192)
    standardise(backbone.model.visual, eyes.read(patches), centre)
    tokens = eyes.read(patches)
    assert torch.allclose(tokens.mean(0), centre, atol=1e-3)
    names = [file.stem for file in files]
    sample = RecallMaker([inventor], [Motif(tuple(names[i : i + 2]), ("red",)) for i in (0, 2, 4, 6)], [Course()])(1)
    batch = ReadingCollator(tokenizer, names)([{"sample": sample}])
    trainer = BackboneTrainer.__new__(BackboneTrainer)
    trainer.tokens = tokens
    with torch.no_grad():
        logits, labels = trainer.answer_logits(backbone, batch)
        own = backbone(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            mm_token_type_ids=(batch["input_ids"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int(),
            pixel_values=patches[batch["pictures"]].flatten(0, 1).float(),
            image_grid_thw=torch.tensor([[1, 4, 4]]).expand(len(batch["pictures"]), 3),
        ).logits
    expected = own[functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED) != IGNORED]
    assert torch.allclose(logits, expected, atol=1e-3)
    assert PICTURE.count("<|image_pad|>") == 1 and len(labels) == len(expected)


def test_vectors_of_a_new_memory_encoder_are_the_picture_and_the_words_of_facts(
    backbone, tokenizer, inventor, tmp_path
):
    for index in range(4):
        Image.new("RGB", (56, 56), (60 * index, 90, 200 - 60 * index)).save(tmp_path / f"{index}.png")
    pictures = [Motif((f"{index}.png",), ("red",)) for index in range(4)]
    backbone.save_pretrained(tmp_path / "backbone")
    model = new_model(tmp_path / "backbone")
    items = told_items([inventor], pictures, tmp_path)[:32]
    shares = start_from_facts(model, new_processor(tokenizer), items, steps=60)
    assert len(shares) == 16 and sum(shares) / 16 > 0.8
    assert all(parameter.grad is None for parameter in model.parameters())
    facts = dict(zip(inventor.topic.fields, ("Aland", "Abo", "Norden", "Swedish", "Aland Crown", "+123"), strict=True))
    others = dict(zip(inventor.topic.fields, ("Bland", "Bbo", "Suden", "Danish", "Aland Krone", "+124"), strict=True))
    told = [facts, *(facts | {field: others[field]} for field in ("capital", "region", "language"))]
    items = [MemoryItem(image=tmp_path / "0.png", text=inventor.topic.item_text(one)) for one in told]
    items.append(MemoryItem(image=tmp_path / "3.png", text=inventor.topic.item_text(facts)))
    memory = model.encode_memory(new_processor(tokenizer).process_memories([items]))
    changes = (memory[1:] - memory[0]).norm(dim=-1)
    assert changes.argmax(1).tolist() == [3, 5, 7, 0]  # the first words of capital, region and language
