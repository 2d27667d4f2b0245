import pytest

from comem_hf.synthesis import read_settings, settings_of, shipped_mixtures


def test_a_file_is_read_with_paths_from_its_folder_and_given_settings_replace_its_own(tmp_path):
    (tmp_path / "bank").mkdir()
    text = "output: made\nbank: bank\nmodel: Qwen/Qwen2-VL-2B-Instruct\nseed: 3\n"
    text += "sources: [{name: a, questions: q.jsonl}]\n"
    (tmp_path / "settings.yaml").write_text(text)
    settings = read_settings(tmp_path / "settings.yaml", seed=4, top_k=None, output="elsewhere")
    assert settings.sources[0].questions == tmp_path / "q.jsonl" and str(settings.output) == "elsewhere"
    assert settings.bank == str(tmp_path / "bank") and settings.model == "Qwen/Qwen2-VL-2B-Instruct"
    assert (settings.seed, settings.top_k) == (4, 3)


def test_the_mixture_of_the_paper_has_its_counts():
    assert list(shipped_mixtures()) == ["comem-paper"]
    settings = read_settings("comem-paper", data="benchmarks", translator="mine:translate")
    assert sum(source.count for source in settings.sources) == 13_800
    assert (len(settings.languages), settings.per_language, settings.top_k) == (9, 200, 3)
    assert settings.sources[1].questions.parts[0] == "benchmarks"


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sorces": []}, "'sorces' is no key of the settings of a synthesis: did you mean 'sources'?"),
        ({"sources": [{"name": "a", "question": "q"}]}, "'question' is no key of source 1: did you mean 'questions'?"),
        ({"sources": [{"name": "a"}]}, "A source has one of `questions`, `benchmark` and `dialogues`; 'a' has none."),
        ({"sources": [{"name": "a/b", "dialogues": 1}]}, "made of letters, digits, '-' and '_', got 'a/b'"),
        ({"sources": [{"name": "a", "dialogues": -1}]}, "`dialogues` of source `a` must be 0 or a positive integer"),
        ({"sources": [{"name": "a", "dialogues": 1, "kinds": ["jokes"]}]}, "`kinds` of source 'a' must be some of"),
        ({"sources": [{"name": "a", "dialogues": 1, "scorer": "exact"}]}, "`scorer` of source 'a' must be one of"),
        ({"sources": [{"name": "a", "questions": "q", "prompt": "published"}]}, "which benchmarks alone have"),
        ({"sources": [{"name": "a", "questions": "q", "min_score": 0}]}, "must be above 0 and at most 1, got 0"),
        ({"sources": [{"name": "a", "dialogues": 1}] * 2}, "Each source needs a `name` of its own"),
        ({"held_out": 2}, "`held_out` must be a share from 0 to 1, got 2"),
        ({"languages": ["Spanish"]}, "must be an ISO 639 code, such as 'en', got 'Spanish'"),
        ({"languages": "es"}, "`languages` must be a list, got 'es'"),
        ({"shuffle_items": 1}, "`shuffle_items` must be true or false, got 1"),
        ({"translate_from": ["b"]}, "`translate_from` names 'b', which is no source"),
        ({"sources": []}, "`sources` is empty"),
        ({"output": None}, "`output` is missing"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(settings, message):
    with pytest.raises(ValueError) as error:
        settings_of({"output": "made", "sources": [{"name": "a", "dialogues": 1}], **settings})
    assert message in str(error.value)


def test_what_is_no_file_of_settings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="There is no file 'missing'; mixtures that are shipped: comem-paper"):
        read_settings("missing")
    for text, message in (
        ("a: 1\nb: [", r"wrong.yaml', line 2 cannot be read: expected the node .*>'\.$"),
        ("- a", "must be a mapping of settings, got list"),
        ("sorces: []", "'sorces' is no key of the settings of a synthesis in '.*wrong.yaml': did you mean 'sources'"),
        ("sources: [{nam: a}]", "'nam' is no key of source 1 in '.*wrong.yaml'"),
    ):
        (tmp_path / "wrong.yaml").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_settings(tmp_path / "wrong.yaml")
