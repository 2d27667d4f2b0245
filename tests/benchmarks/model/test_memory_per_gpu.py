"""The table of what fits where."""

from pathlib import Path

import pytest

import comem_hf
from benchmarks.model.memory_per_gpu import BACKBONES, bytes_per_gpu, sizes, table


def test_the_page_has_the_lines_that_the_script_prints():
    page = Path(comem_hf.__file__).parents[1] / "docs" / "how-to" / "several-gpus.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    assert set(table({"2B": BACKBONES["2B"]})) <= set(lines)


def test_sharding_divides_what_one_gpu_holds_but_not_the_states_of_its_samples():
    size = sizes(BACKBONES["2B"], "separate")
    weights = 2 * size.frozen + 16 * size.trained
    assert bytes_per_gpu(size, "DDP", 8) == bytes_per_gpu(size, "DDP", 1) == pytest.approx(weights + 2 * size.states)
    two, many = (bytes_per_gpu(size, "FSDP2, ZeRO-3", gpus) for gpus in (2, 4))
    assert two - many == pytest.approx(weights / 4)
    for way in ("DDP", "ZeRO-2", "FSDP2, ZeRO-3"):
        more = bytes_per_gpu(size, way, 2, samples=3) - bytes_per_gpu(size, way, 2)
        assert more == pytest.approx(4 * size.states)
