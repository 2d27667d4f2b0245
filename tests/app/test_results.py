"""What is shown of a comparison."""

from html.parser import HTMLParser

from comem_hf import MemoryItem
from comem_hf.answering import WITHOUT_BANK
from comem_hf.app.comparison import Answer, Comparison
from comem_hf.app.results import ABOUT_SHARES, NO_SHARES, problem, results
from comem_hf.bank import MemoryHit
from tests.conftest import make_image


class Page(HTMLParser):
    """Tags, pictures and texts of a piece of HTML."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.pictures, self.texts = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag == "img":
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        self.texts.append(data)


def compare(*items: MemoryItem, answer: str = "Euro", shares=None) -> Comparison:
    hits = [MemoryHit(item, 0.9 - rank / 10, rank) for rank, item in enumerate(items)]
    return Comparison("What?", Answer("no idea", 51, 0.1), Answer(answer, 59, 0.2), hits, 101, shares=shares)


def test_answers_positions_times_and_items_are_shown():
    page = Page(results(compare(MemoryItem(image=make_image(), text="A fact.", id="item-1"))))
    text = " ".join(" ".join(page.texts).split())
    for shown in ("no idea", "Euro", "51 positions, 0.10 s", "59 positions, 0.20 s", "101", "A fact.", "score 0.900"):
        assert shown in text
    assert [picture["alt"] for picture in page.pictures] == ["Picture of item item-1"]
    assert all(picture["src"].startswith("data:image/jpeg;base64,") for picture in page.pictures)


def test_an_answer_without_the_bank_stands_alone_and_says_why():
    html = results(Comparison("What?", Answer("no idea", 51, 0.1), None, [], 51))
    text = " ".join(Page(html).texts)
    assert "no idea" in text and WITHOUT_BANK in text and "With memory" not in text and "Retrieved" not in text


def test_a_probability_is_shown_and_nothing_found_is_said():
    hit = MemoryHit(MemoryItem(text="A fact.", id="a"), 0.9, 0, probability=0.256)
    text = " ".join(Page(results(Comparison("What?", Answer("a", 5, 0.1), Answer("b", 6, 0.1), [hit], 7))).texts)
    assert "score 0.900, probability 0.26" in text
    text = " ".join(Page(results(Comparison("What?", Answer("a", 5, 0.1), None, [], 5, "Nothing <found>."))).texts)
    assert "Nothing <found>." in text and WITHOUT_BANK not in text


def test_texts_of_strangers_are_text():
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    page = Page(
        results(compare(MemoryItem(image=make_image(), text=evil, id=f'"{evil}'), answer=evil)) + problem(evil)
    )
    assert "script" not in page.tags
    assert len(page.pictures) == 1
    assert " ".join(page.texts).count("<script>") == 4


def test_an_item_without_picture_or_text_and_an_empty_answer_say_so():
    page = Page(results(compare(MemoryItem(text="A fact."), MemoryItem(image=make_image(), id="b"), answer="")))
    assert "no picture" in page.texts and "(no words)" in page.texts


def test_each_item_has_its_share_in_the_answer_or_no_item_decided():
    items = [MemoryItem(text="A fact.", id=name) for name in "ab"]
    html = results(compare(*items, shares=[0.825, 0.175]))
    text = " ".join(" ".join(Page(html).texts).split())
    assert text.index("a score 0.900 decided 82%") < text.index("b score 0.800 decided 18%")
    assert "width:82%" in html and ABOUT_SHARES in text and NO_SHARES not in text
    text = " ".join(Page(results(compare(*items, shares=[0.0, 0.0]))).texts)
    assert NO_SHARES in text and ABOUT_SHARES not in text and text.count("decided 0%") == 2
    assert "decided" not in results(compare(*items))  # as they were not computed


def test_a_long_text_is_cut():
    html = results(compare(MemoryItem(text="long " * 1000, id="a")))
    assert html.count("long") < 90 and "…" in html
