"""The comparison of places of memory, on the flags that the package ships and a handful of pictures."""

import json
from dataclasses import replace

import pytest
import torch

from comem_hf.evaluation import load_questions
from tests.recipes.conftest import lay_out


pytest.importorskip("countryinfo", reason="the recipes extra is not installed")

from transformers import AutoModelForImageTextToText  # noqa: E402

from recipes.sites import __main__ as command  # noqa: E402
from recipes.sites.material import write_backbone, write_material  # noqa: E402
from recipes.sites.measures import asking  # noqa: E402
from recipes.sites.models import text_reader  # noqa: E402
from recipes.sites.run import Run  # noqa: E402
from recipes.sites.ways import WAYS  # noqa: E402


WAY = {way.key: way for way in WAYS}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose flags and pictures are there already: no npm is called, and not thousands of pictures are drawn."""
    run = Run(lay_out(tmp_path_factory.mktemp("sites")), steps=2, batch_size=2)
    write_backbone(run)
    write_material(run)
    return run


@pytest.fixture(scope="module")
def backbone(run):
    return AutoModelForImageTextToText.from_pretrained(run.backbone).eval()


@torch.no_grad()
def test_the_text_only_reader_is_the_backbone_on_text(backbone):
    input_ids = torch.randint(300, 4000, (2, 40), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(text_reader(backbone)(input_ids).logits, backbone(input_ids).logits)


def test_a_folder_is_named_after_what_decides_its_content(run):
    way = WAY["input-memory"]
    assert run.folder(replace(way, name="other", note="other")) == run.folder(way)
    others = [run.folder(replace(way, learning_rate=1.0)), replace(run, steps=3).folder(way)]
    assert len({run.folder(way), *others}) == 3


def test_keys_of_ways_differ_and_the_trained_ones_say_how_items_reach_them():
    assert len(WAY) == len(WAYS) == 9
    for way in WAYS:
        if way.config is not None:
            assert (way.config.get("num_memory_tokens") != 0) == (way.items == "vectors")
            assert (way.muon_learning_rate is not None) == (way.items == "vectors")


@pytest.mark.parametrize(
    "keys", [("no-memory", "rag", "ffn-memory", "input-and-ffn"), pytest.param(tuple(WAY), marks=pytest.mark.slow)]
)
def test_ways_are_trained_asked_measured_and_reported_and_none_twice(run, keys, monkeypatch, capsys):
    monkeypatch.setattr(asking, "load_questions", lambda path: load_questions(path)[:2])
    arguments = ["--work", str(run.work), "--steps", "2", "--batch-size", "2", "--threads", "1", "--repetitions", "1"]
    arguments += ["--ways", *keys]
    command.main(arguments)
    result = json.loads((run.work / "sites.json").read_text())
    found = {way["key"]: way for way in result["ways"]}
    assert tuple(found) == keys
    nothing, rag = found["no-memory"], found["rag"]
    expected = {
        "no-memory": (0, 0),
        "rag": (30, 100),
        "input-memory": (8, 8),
        "ffn-memory": (0, 0),
        "ffn-vision": (10, rag["added_positions"] - 16),  # two pictures of 8 to 10 positions leave
        "vision-memory": (rag["added_positions"],) * 2,
        "input-and-ffn": (-2, 0),  # eight vectors come, one picture leaves
        "input-and-vision": (8, 8),
        "text-reader": (30, 100),  # the encoded prompt comes
    }
    for key, way in found.items():
        assert expected[key][0] <= way["added_positions"] <= expected[key][1], key
    assert rag["exact_match"] == 1 and rag["exact_match_without_item"] == nothing["exact_match"] == 0
    for key, way in found.items():
        is_trained = WAY[key].config is not None
        assert [row["step"] for row in way["log"]] == ([2] if is_trained else [])
        assert (way["trainable_parameters"] > 50_000) == (way["training_seconds"] > 0) == is_trained
        assert way["prefill"] > 0 and way["per_token"] > 0
    table = (run.work / "table.md").read_text()
    assert all(f"| {WAY[key].name} |" in table for key in keys)
    assert (run.work / "sites.png").stat().st_size > 10_000

    for stage in ("train", "ask", "measure"):
        monkeypatch.setattr(command, stage, lambda *arguments, **options: pytest.fail("a stage was repeated"))
    capsys.readouterr()
    command.main(arguments)
    assert capsys.readouterr().out == table + "\n"
