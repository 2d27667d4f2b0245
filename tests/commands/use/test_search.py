"""`comem search`."""

import io
import json
import os
import re
import subprocess
import sys

import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.commands import main
from tests.conftest import make_image, make_model


TEXT = "Zürich – 東京 🗼"


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_search_prints_the_hits(comem, default, picture, model_folder, bank_folder):
    expected = comem("search", bank_folder, "--image", picture, "--top-k", 2, "--model", model_folder)
    assert expected == comem("search", "--image", picture, "--top-k", 2)
    code, output, _ = expected
    assert code == 0
    rank, score, _, item_id, file, text = output.splitlines()[0].split("\t")[1:]
    assert (rank, item_id, file, text) == ("1", "item-2", "2.png", "Fact 2.")
    assert 0.9 < float(score) <= 1.0
    assert len(output.splitlines()) == 2


def test_search_finds_among_items_with_the_metadata_asked_for(comem, bank_folder, model_folder, picture):
    arguments = ("search", bank_folder, "--image", picture, "--model", model_folder, "--top-k", 9)
    assert len(comem(*arguments, "--where", "source=other", "--where", "source=test")[1].splitlines()) == 4
    assert comem(*arguments, "--where", "source=other")[1] == ""
    code, output, error = comem(*arguments, "--where", "source")
    assert (code, output) == (2, "") and error.endswith("or a filter as JSON, got 'source'.\n")


def test_search_compares_by_what_the_bank_stores(comem, model, tiny_processor, model_folder, picture, tmp_path):
    items = [
        MemoryItem(image=make_image(n), id=str(n), metadata={"sku": str(104 + n), "price": 1.5 * n, "tags": ["a", n]})
        for n in range(4)
    ]
    MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / "bank")
    arguments = ("search", tmp_path / "bank", "--image", picture, "--model", model_folder, "--top-k", 9, "--json")
    for conditions, expected in (
        (["sku=105"], "1"),
        (["sku!=105"], "023"),
        (["price=3"], "2"),
        (["price>=3"], "23"),
        (["price > 0", "price<=3"], "12"),
        (['{"price": {"$gte": 3}, "tags": {"$contains": 3}}'], "3"),
    ):
        given = [part for condition in conditions for part in ("--where", condition)]
        code, output, _ = comem(*arguments, *given)
        assert code == 0 and sorted(hit["id"] for hit in json.loads(output)) == list(expected), conditions
    for condition, message in (
        ("prize>=3", "No item has the metadata field 'prize'; did you mean 'price'? Items have: price, sku, tags."),
        ('{"price": {"$gtee": 3}}', "has the unknown operator '$gtee'; did you mean '$gte'?"),
    ):
        code, _, error = comem(*arguments, "--where", condition)
        assert code == 2 and message in error


def test_search_without_a_query_or_without_a_bank_is_refused(comem, default, tmp_path, picture):
    assert comem("search") == (2, "", "Error: Nothing to search for: give `--image` or `--text`.\n")
    code, _, error = comem("search", tmp_path, "--image", picture)
    assert code == 2 and error.endswith("is no memory bank: it has no bank_config.json.\n")


@pytest.fixture(scope="module")
def far_bank(model_folder, tmp_path_factory):
    """A bank of one item, whose text is in characters of many countries."""
    folder = tmp_path_factory.mktemp("far")
    make_image(2).save(folder / "tokyo.png")
    (folder / "tokyo.txt").write_text(TEXT, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["build-bank", str(folder), str(folder / ".bank"), "--model", str(model_folder)])
    return folder / ".bank"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_search_prints_texts_that_the_locale_lacks(encoding, far_bank, model_folder, picture, monkeypatch):
    said = {}
    for option in ((), ("--json",)):
        printed = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding=encoding))
        with pytest.raises(SystemExit) as exit:
            main(["search", str(far_bank), "--image", str(picture), "--model", str(model_folder), *option])
        sys.stdout.flush()
        assert exit.value.code == 0
        said[bool(option)] = printed.getvalue().decode(encoding)
    shown = TEXT if encoding == "utf-8" else TEXT.encode(encoding, "backslashreplace").decode(encoding)
    assert shown in said[False]
    assert json.loads(said[True])[0]["text"] == TEXT


def test_search_works_in_a_process_without_a_language(far_bank, model_folder, picture):
    command = [sys.executable, "-m", "comem_hf", "search", far_bank, "--image", picture, "--model", model_folder]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run(command, env={**os.environ, **locale}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("ascii").endswith("Z\\xfcrich \\u2013 \\u6771\\u4eac \\U0001f5fc\n")


def test_a_text_is_searched_for_by_its_words(comem, default, picture, far_bank, monkeypatch):
    code, output, error = comem("search", "--text", "FACT 1", "--top-k", 2)
    lines = [line.split("\t") for line in output.splitlines()]
    assert (code, error) == (0, "") and [line[3:5] for line in lines] == [["words", "item-1"], ["words", "item-0"]]
    both = json.loads(comem("search", "--text", "fact 1", "--image", picture, "--json")[1])
    assert {(hit["found_by"], hit["probability"]) for hit in both} == {("picture and words", None)}
    assert json.loads(comem("search", far_bank, "--text", "zurich 京", "--json")[1])[0]["text"] == TEXT
    nothing = "Nothing found: no item's text has a word of the text to look for.\n"
    assert comem("search", "--text", "a flag") == (0, "", nothing)
    monkeypatch.setattr(MemoryBank, "searches_text", False)
    message = "Error: The memory bank finds items by their picture only: give `--image` instead of `--text`.\n"
    assert comem("search", "--text", "a flag") == (2, "", message)


def test_an_address_on_the_web_and_a_narrow_picture_are_named_as_they_were_given(comem, default, tmp_path):
    make_image(0).resize((4000, 10)).save(tmp_path / "narrow.png")
    for command in (("search",), ("ask", "What is it?")):
        code, _, error = comem(*command, "--image", "http://a.org/b.png")
        assert code == 2 and "'http://a.org/b.png' is an address on the web" in error
        code, _, error = comem(*command, "--image", tmp_path / "narrow.png")
        assert code == 2 and f"Error: '{tmp_path / 'narrow.png'}' is 4000 x 10 pixels" in error


def test_min_score_leaves_out_what_probably_is_another_thing_and_says_when_nothing_is_left(
    comem, model, tiny_processor, model_folder, bank_folder, picture, tmp_path
):
    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=str(n)) for n in range(12)]
    MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / "bank")
    make_image(99).save(tmp_path / "unknown.png")
    arguments = ("search", tmp_path / "bank", "--model", model_folder, "--min-score", "0.5", "--image")
    code, output, error = comem(*arguments, picture)
    (line,) = output.splitlines()
    assert (code, error) == (0, "") and line.split("\t")[4] == "2" and float(line.split("\t")[3]) >= 0.5
    (hit,) = json.loads(comem(*arguments, picture, "--json")[1])
    assert hit["id"] == "2" and 0.5 <= hit["probability"] <= 1
    sentence = "Nothing found: no item of the bank shows the same thing with a probability of at least 0.5."
    for more, output in (([], ""), (["--json"], "[]\n")):
        code, found, error = comem(*arguments, tmp_path / "unknown.png", *more)
        assert (code, found) == (0, output) and re.fullmatch(
            f"{sentence} The nearest is .+, with 0\\.[0-4]\\d\\.\n", error
        )
    code, output, error = comem("search", bank_folder, "--model", model_folder, "--image", picture, "--min-score", 0.5)
    assert (code, output) == (2, "") and error.endswith("that needs at least 8 items, and it has 4.\n")
    assert comem(*arguments[:-2], "1.5", "--image", picture)[0] == 2
