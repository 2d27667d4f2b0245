"""The recipe of the embedded default, run on the flags and facts that the package ships."""

import random

import pytest

from comem_hf import MemoryBank
from comem_hf.default import default_path


pytest.importorskip("countryinfo", reason="the recipes extra is not installed")

from recipes.atlas_small.data.countries.countries import (  # noqa: E402
    NEAR_FLAG,
    flag_distance,
    load_countries,
    split_countries,
    thumbnail,
)
from recipes.atlas_small.data.countries.flags import colours_of, invent, recolour  # noqa: E402
from recipes.atlas_small.data.countries.invention import Inventor  # noqa: E402
from recipes.atlas_small.data.countries.wording import FLAGS  # noqa: E402
from recipes.atlas_small.data.emoji.wording import EMOJI  # noqa: E402
from recipes.atlas_small.data.samples.memory_data import as_row  # noqa: E402
from recipes.atlas_small.data.samples.pictures import Motif  # noqa: E402
from recipes.atlas_small.data.samples.samples import BLOCK, SampleMaker  # noqa: E402
from recipes.atlas_small.data.shared.held_out import NUM_HELD_OUT  # noqa: E402
from recipes.atlas_small.data.shared.photographs import disturb  # noqa: E402
from recipes.atlas_small.tokenizer import SPECIAL_TOKENS, train_tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def bank():
    return MemoryBank.from_pretrained(default_path("bank"))


@pytest.fixture(scope="module")
def flags(bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flags")
    for item_id in bank.ids:
        bank[item_id].load_image().save(folder / f"{item_id.lower()}.png")
    return folder


@pytest.fixture(scope="module")
def split(flags):
    return split_countries(load_countries(flags), flags)


@pytest.fixture(scope="module")
def inventor(split):
    return Inventor(*split)


@pytest.fixture(scope="module")
def maker(inventor):
    motifs = [Motif((f"{number}-a.jpg", f"{number}-b.jpg"), ("red", "white")) for number in range(50)]
    return SampleMaker(inventor, motifs, single_until=BLOCK)


def test_the_shipped_bank_is_what_the_recipe_makes_of_its_sources(bank, split):
    train, held_out = split
    assert len(held_out) >= NUM_HELD_OUT
    for country in (*train, *held_out):
        item = bank[country.id]
        assert item.text == FLAGS.item_text(country.facts())
        assert item.metadata["held_out"] == (country in held_out)
    assert len(train) + len(held_out) == len(bank)


def test_near_identical_flags_are_on_the_same_side(split, flags):
    train, held_out = ([thumbnail(flags / f"{country.id.lower()}.png") for country in side] for side in split)
    assert min(flag_distance(one, other) for one in train for other in held_out) >= NEAR_FLAG


def test_invented_countries_share_words_with_held_out_ones_but_never_two_of_their_facts(split, inventor):
    train, held_out = split
    shared = {value for country in train for value in country.facts().values()}
    rng = random.Random(0)
    invented = [set(inventor.facts(rng).values()) for _ in range(3000)]
    for country in held_out:
        own = set(country.facts().values()) - shared
        together = max(len(own & values) for values in invented)
        assert together == 1, f"{together} facts of {country.name}"


def test_samples_are_the_same_in_every_run_and_differ_from_each_other(maker):
    assert maker(70) == maker(70)
    assert len({tuple(maker(index).texts()) for index in range(200)}) == 200


def test_answers_stand_in_the_first_item(maker):
    asked = {question: name for name, wordings in FLAGS.questions.items() for question in wordings}
    several = 0
    for index in range(1000):
        sample = maker(index)
        several += len(sample.items) > 1
        assert index >= BLOCK or len(sample.items) == 1
        for question, answer in sample.turns:
            if question in asked:
                assert answer in sample.items[0].text
    assert several > 100


def test_items_hold_one_fact_at_first_and_all_six_later(inventor, maker):
    maker = SampleMaker(inventor, maker.motifs, one_fact_until=50, repeat=0.0, look=0.0)
    assert [len(maker(index).turns) for index in range(45, 55)] == [1] * 5 + [len(FLAGS.fields)] * 5
    endings = tuple(wording.rsplit("}", 1)[1] for wordings in FLAGS.sentences.values() for wording in wordings)
    assert all(maker(index).items[0].text.endswith(endings) for index in range(50))


def test_partial_items_hold_what_is_asked_and_no_more(inventor, maker):
    maker = SampleMaker(inventor, maker.motifs, partial=1.0, repeat=0.0, look=0.0)
    lengths = {len(maker(index).turns) for index in range(100)}
    assert lengths == set(range(1, len(FLAGS.fields) + 1))
    assert all(maker(index).items[0].text.count(". ") == len(maker(index).turns) - 1 for index in range(100))


def test_every_field_has_at_least_five_wordings_and_no_question_is_about_two_topics(split):
    assert FLAGS.fields == tuple(split[0][0].facts())
    for topic in (FLAGS, EMOJI):
        assert all(len(set(wordings)) >= 5 for wordings in topic.questions.values())
        questions = [question for wordings in topic.questions.values() for question in wordings]
        questions += [*topic.repeat, *topic.colours]
        assert len(set(questions)) == len(questions)
        assert all(("emoji" in question) == (topic is EMOJI) for question in questions)


def test_rows_for_training_keep_the_conversation(maker):
    sample = maker(40)
    row = as_row(sample, "pictures")
    assert row["image"] == f"pictures/{sample.picture}"
    assert [turn["value"] for turn in row["conversations"]][1::2] == [answer for _, answer in sample.turns]
    assert row["conversations"][0]["value"].startswith("<image>\n")
    assert [item["text"] for item in row["memories"]] == [item.text for item in sample.items]


def test_the_tokenizer_gives_text_back_and_keeps_special_tokens_whole(maker):
    tokenizer = train_tokenizer((text for index in range(300) for text in maker(index).texts()), vocab_size=600)
    for text in ("São Tomé and Príncipe: +239.", "N'Djamena", "中"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert [len(tokenizer(token)["input_ids"]) for token in SPECIAL_TOKENS] == [1] * len(SPECIAL_TOKENS)


def test_invented_and_recoloured_flags_are_new_and_disturbed_ones_keep_their_colours(bank):
    rng = random.Random(0)
    flag = bank["ID"].load_image()
    assert colours_of(flag) == ["red", "white"]
    assert set(colours_of(disturb(flag, rng))) == {"red", "white"}
    assert len({invent(rng).tobytes() for _ in range(20)}) == 20
    assert any(recolour(flag, rng).tobytes() != flag.tobytes() for _ in range(5))
