import json

import pytest

from comem_hf.evaluation.scoring.title_search import TitleSearch


def written(path, *lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def line(entity_id: str, title: str) -> str:
    return json.dumps({"wikidata_id": entity_id, "wikipedia_title": title})


def test_titles_are_found_with_their_ids_and_the_first_of_equal_ones_comes_first(golden_scorers, vocabulary):
    search = TitleSearch(golden_scorers / "oven_corpus.jsonl", vocabulary)
    best, second = search.search("the golden gate bridge", 2)
    assert (best.entity_id, best.title, best.tied) == ("Q900000", "Golden Gate Bridge", False)
    assert best.score > second.score
    cafe = search.search("Café", 2)
    assert [(hit.entity_id, hit.tied) for hit in cafe] == [("Q901036", True), ("Q901073", True)]


def test_a_text_that_shares_nothing_with_any_title_finds_nothing(golden_scorers, vocabulary):
    search = TitleSearch(golden_scorers / "oven_corpus.jsonl", vocabulary)
    assert search.search("") == search.search("zzz 你") == []


def test_the_names_of_both_title_files_are_read_and_empty_lines_are_passed_over(tmp_path, vocabulary):
    own = json.dumps({"id": "Q2", "content": "Leaf Huang"})
    search = TitleSearch(written(tmp_path / "t.jsonl", line("Q1", "Bob Lanois"), "", own, line("Q3", "x")), vocabulary)
    assert [search.search(text)[0].entity_id for text in ("bob", "LEAF")] == ["Q1", "Q2"]


@pytest.mark.parametrize("broken", ["{", "[]", '{"wikidata_id": "Q1"}', '{"wikidata_id": 1, "wikipedia_title": "x"}'])
def test_a_broken_line_is_named(tmp_path, vocabulary, broken):
    with pytest.raises(ValueError, match=r"Line 2 of .*t\.jsonl"):
        TitleSearch(written(tmp_path / "t.jsonl", line("Q1", "x"), broken), vocabulary)


def test_missing_files_are_named(tmp_path, golden_scorers, vocabulary):
    with pytest.raises(ValueError, match="no file of titles .*nowhere"):
        TitleSearch(tmp_path / "nowhere", vocabulary)
    with pytest.raises(ValueError, match="no vocabulary file .*nowhere"):
        TitleSearch(golden_scorers / "oven_corpus.jsonl", tmp_path / "nowhere")
