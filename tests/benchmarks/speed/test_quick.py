"""`make bench-quick` finds counts that have changed."""

import pytest

from benchmarks.speed import quick
from benchmarks.speed.first_token import COUNTS, FIRST_TOKEN, NONE, RAG, STORED, count_ways, positions
from benchmarks.speed.shared.measuring import count_flops
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.shapes import SHAPES, random_model
from comem_hf.answering import count_positions


RECORDED = {"no memory, FLOP": 1000, "RAG, 10 items, positions": 500}


@pytest.mark.parametrize("factor", [0.98, 1, 1.02])
def test_counts_within_two_percent_pass(factor):
    found = {name: round(value * factor) for name, value in RECORDED.items()}
    assert quick.deviations(RECORDED, found) == []


@pytest.mark.parametrize("factor, shown", [(0.97, "-3.0%"), (1.03, "+3.0%")])
def test_a_count_that_differs_by_more_is_named_with_both_numbers(factor, shown):
    (line,) = quick.deviations(RECORDED, RECORDED | {"no memory, FLOP": round(1000 * factor)})
    assert line == f"no memory, FLOP: {round(1000 * factor):,}, recorded as 1,000 ({shown})"


def test_counts_without_a_counterpart_are_named():
    lines = quick.deviations(RECORDED, {"no memory, FLOP": 1000, "new": 1})
    assert lines == ["RAG, 10 items, positions: recorded as 500, but not counted any more", "new: 1, but not recorded"]


def test_the_command_fails_if_a_count_has_changed(monkeypatch, tmp_path, capsys):
    shape = SHAPES["atlas-small"]
    monkeypatch.setattr(quick, "SHAPES", {"atlas-small": shape, "qwen2-vl-2b": shape})
    monkeypatch.setattr(quick, "RECORDED", tmp_path / "recorded.json")
    for name in ("prepare_process", "use_one_thread"):  # they would change the process of other tests, too
        monkeypatch.setattr(quick, name, lambda: None)
    monkeypatch.setattr(quick, "print_times", lambda shape: None)
    monkeypatch.setattr(quick, "count", lambda shape: dict(RECORDED))
    monkeypatch.setattr("sys.argv", ["quick", "--record"])
    quick.main()
    monkeypatch.setattr("sys.argv", ["quick"])
    quick.main()
    monkeypatch.setattr(quick, "count", lambda shape: {name: 2 * value for name, value in RECORDED.items()})
    with pytest.raises(SystemExit) as stop:
        quick.main()
    assert stop.value.code == 1
    assert "no memory, FLOP: 2,000, recorded as 1,000 (+100.0%)" in capsys.readouterr().out


def test_counts_that_are_computed_are_those_of_larger_models_and_prompts():
    shape = SHAPES["atlas-small"]()
    least, two, three = (count_ways(shape.with_layers(layers, 1)) for layers in (1, 2, 3))
    assert {name: three[name] - two[name] for name in two} == {name: two[name] - least[name] for name in two}
    smallest = shape.with_layers(1, 1)
    model, prompt = random_model(smallest), Prompts(smallest).question(1, COUNTS[-1])
    assert least[RAG.format(COUNTS[-1])] == count_flops(lambda: model.generate(**prompt, **FIRST_TOKEN))


def test_positions_are_those_of_the_inputs():
    shape = SHAPES["atlas-small"]()
    prompts, counted = Prompts(shape), positions(shape)
    config = random_model(shape.with_layers(1, 1)).config
    question = prompts.question()
    assert count_positions(question, config) == counted[NONE]
    assert count_positions({**question, "memory_inputs": prompts.stored(10)}, config) == counted[STORED.format(10)]
    assert count_positions(prompts.question(1, 10), config) == counted[RAG.format(10)]
