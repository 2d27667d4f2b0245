"""Metadata that the Hub would refuse is refused here, in one sentence that names the field."""

import pytest

from comem_hf.cards import check_card


METRIC = "metrics: [{type: exact_match, value: 0.5}]"
RESULT = "{task: {type: image-text-to-text}, dataset: {type: flags, name: Flags}, " + METRIC + "}"


@pytest.mark.parametrize(
    "metadata",
    [
        "license: mit",
        "license: other\nlicense_name: mine",
        "language: [en, zh-TW, multilingual]\ndatasets: [me/flags]\nbase_model: Qwen/Qwen2-VL-2B-Instruct",
        "base_model_relation: adapter\npipeline_tag: image-text-to-text\ntags: [comem]",
        f"model-index: [{{name: atlas, results: [{RESULT}]}}]",
    ],
)
def test_good_metadata_passes(metadata):
    check_card(f"---\n{metadata}\n---\n# A card\n", "card")


def test_a_card_without_metadata_passes():
    check_card("# A card\n\n---\n\nText below a line.\n", "card")


@pytest.mark.parametrize(
    "metadata, message",
    [
        ("license: [mit", "The metadata of README.md is not valid YAML in line 2: expected ',' or"),
        ("license: \x07", "not valid YAML: unacceptable character"),
        ("- mit", "must be a mapping of fields, got \\['mit'\\]"),
        ("license: apache", "`license` 'apache' is not an identifier of the Hub"),
        ("license: other", "`license` 'other' needs a `license_name`"),
        ("language: English", "`language` must hold an ISO 639 code such as 'en', got 'English'"),
        ("base_model: /home/me/qwen", "`base_model` must hold a repository, got '/home/me/qwen'"),
        ("datasets: [1]", "`datasets` must hold a repository, got 1"),
        ("pipeline_tag: Ask Me", "`pipeline_tag` must hold a task such as"),
        ("tags: [[a]]", "`tags` must hold a text, got"),
        ("base_model_relation: child", "`base_model_relation` must be one of adapter, finetune, .* got 'child'"),
        ("model-index: [{results: []}]", "an entry of `model-index` must have a `name`"),
        ("model-index: [{name: atlas}]", "a result in `model-index` must have a `task` with type"),
        (
            "model-index: [{name: a, results: [" + RESULT.replace("name: Flags", "split: test") + "]}]",
            "must have a `dataset` with type and name",
        ),
        (
            "model-index: [{name: a, results: [" + RESULT.replace(", value: 0.5", "") + "]}]",
            "a metric in `model-index` must have a `type` and a `value`, got {'type': 'exact_match'}",
        ),
        ("model-index: [{name: a, results: [" + RESULT.replace(METRIC, "a: b") + "]}]", "a metric in `model-index`"),
    ],
)
def test_bad_metadata_is_refused_by_name(metadata, message):
    with pytest.raises(ValueError, match=message):
        check_card(f"---\n{metadata}\n---\n# A card\n", "README.md")


def test_metadata_without_an_end_is_refused():
    with pytest.raises(ValueError, match="The metadata of README.md has no end: add a second line of `---`"):
        check_card("---\nlicense: mit\n", "README.md")
