"""`comem synthesize`, by one process and by two."""

import json

import pytest

from tests.bank.encoding.test_embedder import clip_folder  # noqa: F401 (a fixture)
from tests.conftest import make_backbone
from tests.processes.together import command_line, run_together
from tests.synthesis.test_synthesize import contents


@pytest.fixture
def settings(items_file, bank_folder, model_folder, tmp_path):
    """A file of settings with questions about the four items, and dialogues."""
    rows = [{"item_id": f"item-{n}", "question": f"What is {n}?"} for n in range(4)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = (
        f"model: {model_folder}\nbank: {bank_folder}\noutput: made\nheld_out: 0.25\nmax_new_tokens: 4\n"
        "batch_size: 2\ntop_k: 2\nsources:\n- {name: own, questions: questions.jsonl}\n"
        "- {name: study, dialogues: 3, kinds: [facts, summary]}\n"
    )
    (tmp_path / "settings.yaml").write_text(text)
    return tmp_path / "settings.yaml"


@pytest.mark.slow
def test_two_processes_make_what_one_makes(comem, settings, tmp_path):
    code, output, errors = comem("synthesize", settings)
    assert code == 0, errors
    assert "made\tanswered by the teacher\t4\t12" in output.splitlines()
    printed = run_together(command_line, "synthesize", settings, "--output", tmp_path / "two")
    assert printed == [(0, output), (0, "")]  # one process prints
    assert contents(tmp_path / "two") == contents(tmp_path / "made")


def test_a_plain_backbone_needs_a_bank_that_others_can_search(
    comem,
    settings,
    tiny_processor,
    items_file,
    model_folder,
    clip_folder,  # noqa: F811
    tmp_path,
):
    make_backbone().save_pretrained(tmp_path / "backbone")
    tiny_processor.save_pretrained(tmp_path / "backbone")
    ask = ("synthesize", settings, "--model", tmp_path / "backbone", "--questions", tmp_path / "questions.jsonl")
    code, _, errors = comem(*ask)
    assert code == 2 and "The bank is searched with the model that made it" in errors
    build = ("build-bank", items_file, tmp_path / "bank", "--model", model_folder, "--embedder", clip_folder)
    assert comem(*build)[0] == 0
    records = []
    for folder in ("once", "twice"):  # what is new on the backbone is random, but has no say
        code, output, errors = comem(*ask, "--bank", tmp_path / "bank", "--output", tmp_path / folder, "--json")
        assert code == 0, errors
        records.append(json.loads(output))
    assert records[0] == records[1] and records[0]["counts"]["questions"]["answered"] == 4
    assert records[0]["made_with"]["model"] == "backbone"


def test_what_is_not_said_or_said_wrong_is_refused(comem, settings, tmp_path):
    for arguments, message in (
        ([], "Name a YAML file of settings, or `--output` and a source"),
        (["--output", tmp_path / "x"], "Name a YAML file of settings"),
        ([settings, "--language", "es"], "`languages` need a `translator`"),
        ([settings, "--language", "es", "--translator", "translate"], "`translator` must be 'module:function'"),
        ([settings, "--license", "free"], "`license` must be an identifier of the Hub"),
    ):
        code, _, errors = comem("synthesize", *arguments)
        assert code == 2 and message in errors, errors
    assert not (tmp_path / "made").exists()
