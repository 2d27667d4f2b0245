"""The stages of `make self-study`; what each of them does is tested where its command is."""

import json

from comem_hf.synthesis import read_settings
from recipes.self_study import __main__ as recipe


def test_the_mixture_can_be_read_and_names_files_that_are_there():
    settings = read_settings(recipe.MIXTURE)
    assert settings.sources[0].questions.is_file() and settings.model is settings.bank is None


def test_stages_hand_their_results_on_and_none_is_repeated(monkeypatch, tmp_path, capsys):
    rows = [
        {
            "item_id": "GR",
            "question": "Where?",
            "answer": "There",
            "kind": "place",
            "origin": "verified",
            "image": "x",
        },
        {"item_id": "GR", "question": "What?", "answer": "That", "kind": "facts", "origin": "dialogue", "image": "x"},
    ]
    lines = []

    def comem(*words):
        lines.append([str(word) for word in words])
        output = lines[-1][lines[-1].index("--output-dir" if words[0] == "train" else "--output") + 1]
        name = {"synthesize": "synthesis.json", "train": "trainer_state.json"}.get(words[0])
        path = tmp_path / output / name if name else tmp_path / output
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"scores": [{"way": "RAG", "exact_match": 0.5}]}))
        if words[0] == "synthesize":
            (path.parent / "held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if words[0] == "train":
            (path.parent / "model.safetensors").touch()

    monkeypatch.setattr(recipe, "comem", comem)
    monkeypatch.setattr(recipe, "build_bank", lambda trained, output: output.mkdir())
    recipe.main(["--work", str(tmp_path), "--steps", "3"])
    assert [line[0] for line in lines] == ["synthesize", "train", "evaluate", "evaluate"]
    assert lines[1][lines[1].index("--max-steps") + 1] == "3" and str(tmp_path / "data" / "train.jsonl") in lines[1]
    assert lines[3][lines[3].index("--model") + 1] == str(tmp_path / "trained") and "--model" not in lines[2]
    questions = (tmp_path / "questions.jsonl").read_text().splitlines()
    assert [json.loads(line)["question"] for line in questions] == ["Where?"]
    files = [line.split("  ")[1] for line in (tmp_path / "checksums.txt").read_text().splitlines()]
    assert {"data/held_out.jsonl", "trained/model.safetensors", "before.json", "after.json"} <= {*files}
    assert "after: RAG 0.500" in capsys.readouterr().out
    recipe.main(["--work", str(tmp_path), "--steps", "3"])
    assert len(lines) == 4
