"""The benchmarks of the golden files, and a vocabulary beside OVEN's."""

import shutil
from pathlib import Path

import pytest

from comem_hf.lmms.benchmark_files import FOLDER, VOCABULARY, open_benchmark, scorers_for


GOLDEN = Path(__file__).parents[1] / "golden" / "benchmarks"


@pytest.fixture(scope="session")
def benchmark_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "formats"
    shutil.copytree(GOLDEN / "formats", folder)
    shutil.copy(GOLDEN / "scorers" / "bert_base_uncased_vocab.txt", folder / "oven" / VOCABULARY)
    return folder


@pytest.fixture
def benchmarks(benchmark_folder, monkeypatch):
    """Sets the folder of benchmarks and that of lmms-eval's copies, and forgets what was read of another one."""
    monkeypatch.setenv(FOLDER, str(benchmark_folder))
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(benchmark_folder.parent / "copies"))
    yield benchmark_folder
    open_benchmark.cache_clear()
    scorers_for.cache_clear()
