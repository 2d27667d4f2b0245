"""The comparison of objectives and memory encoders, on the flags that the package ships and a handful of pictures."""

import json

import pytest

from comem_hf import CoMemConfig
from comem_hf.training import MemoryTrainingArguments


pytest.importorskip("countryinfo", reason="the recipes extra is not installed")

from recipes.ablations import __main__ as command  # noqa: E402
from recipes.ablations.report import BEGIN, END, write_section  # noqa: E402
from recipes.ablations.rows import BASE, ROWS  # noqa: E402
from recipes.ablations.run import Run  # noqa: E402


def test_rows_have_names_of_their_own_and_settings_that_exist_and_differ(tmp_path):
    assert len({row.key for row in ROWS}) == len({json.dumps(row.settings()) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        MemoryTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **{**BASE, **row.arguments})
        CoMemConfig(**row.merged_config())
    (tmp_path / "recall-250x32.jsonl").write_text("{}")
    (tmp_path / "backbone").mkdir()
    run = Run(tmp_path)
    folders = {run.folder(row, seed) for row in ROWS for seed in (1, 2)} | {
        Run(tmp_path, batch_size=32).folder(ROWS[0], 1)
    }
    assert len(folders) == 2 * len(ROWS)


def test_the_section_of_a_page_is_replaced_and_the_rest_stays(tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("# Measured\n\nOthers.\n")
    for text in ("first\n", "second\n"):
        write_section(page, text)
        assert page.read_text().startswith(f"# Measured\n\nOthers.\n\n{BEGIN}\n")
        assert page.read_text().endswith(f"{text}\n{END}\n")
    page.write_text(page.read_text() + "\nMore.\n")
    write_section(page, "third\n")
    assert "second" not in page.read_text() and page.read_text().endswith(f"third\n\n{END}\n\nMore.\n")


@pytest.mark.slow
def test_rows_are_trained_asked_and_reported_and_none_twice(flags_and_pictures, monkeypatch, capsys):
    arguments = ["--work", str(flags_and_pictures), "--quick", "--threads", "1"]
    command.main(arguments)
    result = json.loads((flags_and_pictures / "ablations.json").read_text())
    assert [row["key"] for row in result["rows"]] == list(command.QUICK_ROWS)
    assert result["references"]["rag"]["1"] == 1 and result["references"]["no_items"] == 0
    for row in result["rows"]:
        assert row["results"][0]["exact_match"].keys() == {"1", "3", "10"}
    orders = json.loads((flags_and_pictures / "orders-4.json").read_text())
    assert [len(ids) for ids in orders["10"]] == [10] * 4 and len({ids.index("AM") for ids in orders["10"]}) > 2
    table = (flags_and_pictures / "table.md").read_text()
    assert "| default | " in table and (flags_and_pictures / "ablations.png").stat().st_size > 10_000
    for stage in ("train", "ask_trained"):
        monkeypatch.setattr(command, stage, lambda *arguments: pytest.fail("a stage was repeated"))
    capsys.readouterr()
    command.main(arguments)
    assert capsys.readouterr().out == table + "\n"
