"""The second topic of the embedded default: a handful of emoji, drawn from icons that stand here."""

import hashlib
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image


pytest.importorskip("countryinfo", reason="the recipes extra is not installed")

from recipes.atlas_small.data.collection import Collection  # noqa: E402
from recipes.atlas_small.data.countries.wording import FLAGS  # noqa: E402
from recipes.atlas_small.data.emoji.drawings import colours_of, emoji_drawings  # noqa: E402
from recipes.atlas_small.data.emoji.emoji import Emoji, load_emoji, split_emoji  # noqa: E402
from recipes.atlas_small.data.emoji.invention import EmojiInventor  # noqa: E402
from recipes.atlas_small.data.emoji.sources import write_emoji  # noqa: E402
from recipes.atlas_small.data.emoji.wording import EMOJI  # noqa: E402
from recipes.atlas_small.data.samples.pictures import Motif, load_motifs, make_pictures  # noqa: E402
from recipes.atlas_small.data.samples.recall import Course, RecallMaker  # noqa: E402
from recipes.atlas_small.data.samples.samples import SampleMaker  # noqa: E402
from recipes.atlas_small.data.shared import held_out  # noqa: E402
from recipes.atlas_small.data.shared.drawings import Drawings  # noqa: E402
from recipes.atlas_small.embedded import items_of, questions_of  # noqa: E402


NAMES = {
    "groups": {"1": "people-body", "3": "animals-nature", "7": "objects"},
    "subgroups": {"2": "person", "34": "animal-mammal", "40": "plant-flower", "72": "book-paper"},
}
ENTRIES = [  # id, group, kind, and names in English, German, Spanish and French
    ("1F415", 3, 34, "dog", "Hund", "perro", "chien"),
    ("1F339", 3, 40, "rose", "Rose", "rosa", "rose"),
    ("1F4D5", 7, 72, "red book", "rotes Buch", "libro rojo", "livre rouge"),
    ("1F4D7", 7, 72, "green book", "grünes Buch", "libro verde", "livre vert"),
    ("1F4D9", 7, 72, "other book", "anderes Buch", "otro libro", "autre livre"),  # looks like the red one
    ("1F436", 3, 34, "dog face", "Hundegesicht", "cara de perro", "tête de chien"),  # three words
    ("1F987", 3, 34, "bat", "Fledermaus", "murciélago", "chauve-souris"),  # has no icon
    ("1F9D1", 1, 2, "person", "Person", "persona", "personne"),  # another group
]
BOOK = '<path fill="{}" d="M8 24h112v80H8z"/>'
ICONS = {
    "1f415": '<defs><linearGradient id="a"><stop offset="0" stop-color="#804000"/><stop offset="1" '
    'stop-color="#ffc080"/></linearGradient><clipPath id="b"><path d="M0 0h64v128H0z"/></clipPath></defs>'
    '<circle cx="64" cy="64" r="60" fill="url(#a)" clip-path="url(#b)"/>',
    "1f339": '<circle cx="64" cy="40" r="30" fill="#f06090"/><path fill="#208040" d="M60 70h8v58h-8z"/>',
    "1f4d5": BOOK.format("#d02020"),
    "1f4d7": BOOK.format("#20d020"),
    "1f4d9": BOOK.format("#d02028"),
    "1f436": BOOK.format("#000"),
    "1f9d1": BOOK.format("#000"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that `fetch_emoji` makes."""
    folder = tmp_path_factory.mktemp("emoji") / "emoji"
    languages = {
        code: [
            {"hexcode": key, "group": group, "subgroup": kind, "label": labels[column]}
            for key, group, kind, *labels in ENTRIES
        ]
        for column, code in enumerate(("en", "de", "es", "fr"))
    }
    icons = {"width": 128, "height": 128, "icons": {f"icon-{key}": {"body": body} for key, body in ICONS.items()}}
    write_emoji(folder, languages, NAMES, icons, {key: f"icon-{key}" for key in ICONS})
    return folder


@pytest.fixture(scope="module")
def emoji(folder):
    return load_emoji(folder)


class FlagFacts:
    """Facts of flags that depend on no version of the packages with the real ones."""

    topic = FLAGS

    def facts(self, rng):
        return {field: f"{field}{rng.randrange(1000)}" for field in FLAGS.fields}


class EmojiFacts(FlagFacts):
    topic = EMOJI

    def facts(self, rng):
        return {field: f"{field}{rng.randrange(1000)}" for field in EMOJI.fields}


def test_emoji_have_short_names_in_all_languages_an_icon_and_a_look_of_their_own(folder, emoji):
    assert [one.name for one in emoji] == ["rose", "dog", "red book", "green book"]
    assert emoji[1] == Emoji("1F415", "dog", "mammals", "animals and nature", "Hund", "perro", "chien")
    with Image.open(folder / "1f415.png") as image:
        assert image.mode == "P" and image.size == (128, 128)
        left, middle, cut, corner = (image.convert("RGB").getpixel((x, 64)) for x in (8, 60, 68, 0))
    assert left[0] < middle[0] and cut == corner == (255, 255, 255)  # a gradient, a clip path, the background


def test_emoji_that_are_recoloured_others_stay_on_the_same_side(folder, emoji, monkeypatch):
    monkeypatch.setattr(held_out, "NUM_HELD_OUT", 1)
    sides = [split_emoji(emoji, folder, seed) for seed in range(12)]
    assert len({one.name for _, apart in sides for one in apart}) == 4
    for train, apart in sides:
        assert sorted(one.id for one in train + apart) == [one.id for one in emoji]
        assert {one.name for one in apart} in ({"rose"}, {"dog"}, {"red book", "green book"})


def test_invented_emoji_never_have_two_facts_of_a_held_out_one(emoji):
    inventor, rng = EmojiInventor(emoji[:2], emoji[2:]), random.Random(0)
    known = {value for one in emoji for value in one.facts().values()}
    rows = [inventor.facts(rng) for _ in range(600)]
    for one in emoji[2:]:
        own = set(one.facts().values()) - {value for other in emoji[:2] for value in other.facts().values()}
        assert max(sum(value in own for value in row.values()) for row in rows) == 1
    strange = [row for row in rows if not known.issuperset(row.values())]
    assert len(rows) / 4 < len(strange) < len(rows)
    assert all(row["german"][0].isupper() for row in rows if " " not in row["german"])


def test_pictures_of_a_second_topic_leave_the_first_as_they_are(folder, emoji, tmp_path):
    flag = Image.new("RGB", (160, 100), "red")
    flags = Drawings("flags", [flag], lambda number, rng: flag, lambda image: ["red"], 2, 1, variants_of_real=2)
    drawn = emoji_drawings(emoji, folder, invented=9, variants=2)
    make_pictures(tmp_path / "one", [flags])
    make_pictures(tmp_path / "two", [flags, drawn])
    motifs = load_motifs(tmp_path / "two")
    assert motifs[:3] == load_motifs(tmp_path / "one") and {motif.topic for motif in motifs[3:]} == {"emoji"}
    for name in [name for motif in motifs[:3] for name in motif.files]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert [len(motif.files) for motif in motifs[3:]] == [16] * 4 + [2] * 9
    assert all((tmp_path / "two" / name).is_file() for motif in motifs for name in motif.files)
    images = [np.asarray(image).tobytes() for image in drawn.real]
    images += [np.asarray(drawn.invent(number, random.Random(number))).tobytes() for number in range(9)]
    assert len(set(images)) == 13
    assert colours_of(drawn.real[0]) == ["pink", "green"] and colours_of(drawn.real[3]) == ["green"]


def test_samples_of_flags_alone_are_those_of_the_recipe_before_emoji():
    motifs = [Motif((f"{number}-a", f"{number}-b"), ("red", "white")) for number in range(40)]
    near = torch.tensor([[(row + step) % 40 for step in range(1, 13)] for row in range(40)])
    full = {"alike": 0.4, "follow": 0.15, "look": 0.1, "repeat": 0.1}
    courses = [
        Course(samples=64, items=(1, 2, 3, 4), facts=(1, 2), plain=True),
        Course(items=(1, 3, 10), facts=(1, 3, 6), **full),
    ]
    recall = RecallMaker([FlagFacts()], motifs, courses, near)
    samples = SampleMaker(FlagFacts(), motifs, several=0.5, partial=0.4)
    text = json.dumps([repr(maker(index)) for maker in (recall, samples) for index in range(160)])
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "fdae5e050dca09e77c8aa4bf1c929ca5fa24f61efcc60efc2dd8484f2b7dd345"


def test_items_of_a_sample_are_of_one_topic_unless_it_is_mixed_and_are_asked_about_as_such():
    motifs = [Motif((f"{number}-a", f"{number}-b"), ("red",), ("flags", "emoji")[number % 2]) for number in range(40)]
    topic_of = {name: motif.topic for motif in motifs for name in motif.files}
    near = torch.tensor([[(row + step) % 40 for step in (1, 2, 3)] for row in range(40)])  # one is of the topic
    words = {"flags": FLAGS, "emoji": EMOJI}

    def topics(mixed: float, facts: int, shares: tuple[float, ...] = ()) -> list[set[str]]:
        course = Course(items=(3,), facts=(facts,), alike=0.5, look=0.2, repeat=0.2, mixed=mixed, shares=shares)
        maker, found = RecallMaker([FlagFacts(), EmojiFacts()], motifs, [course], near), []
        for index in range(60):
            sample = maker(index)
            assert sample == maker(index) and len({item.picture.split("-")[0] for item in sample.items}) == 3
            found.append({topic_of[item.picture] for item in sample.items})
            for turn in sample.turns:
                topic = words[topic_of[turn.picture]]
                asked = [question for wordings in topic.questions.values() for question in wordings]
                assert turn.question in (*asked, *topic.colours, *topic.repeat)
        return found

    assert all(len(one) == 1 for one in topics(mixed=0.0, facts=6) + topics(mixed=1.0, facts=1))
    assert {"flags", "emoji"} in topics(mixed=1.0, facts=6)
    assert topics(mixed=0.0, facts=6, shares=(0.0, 1.0)) == [{"emoji"}] * 60
    with pytest.raises(ValueError, match="'emoji': 20"):
        RecallMaker([FlagFacts()], motifs, [Course()])


def test_the_bank_says_the_topic_of_its_items_and_questions_have_kinds_of_their_own(folder, emoji):
    collection = Collection(emoji, emoji[:1], SimpleNamespace(topic=EMOJI), folder, lambda: None)
    items = items_of(collection)
    assert items[0].metadata == {"topic": "emoji", "held_out": True} and not items[1].metadata["held_out"]
    assert items[1].text.startswith("This emoji is called dog. Its kind is mammals.") and items[1].image.mode == "P"
    rows = questions_of(collection, random.Random(0))
    assert [(row["kind"], row["answer"]) for row in rows[:2]] == [("emoji name", "rose"), ("emoji kind", "flowers")]
    assert {row["item_id"] for row in rows} == {"1F339"} and len(rows) == 6
