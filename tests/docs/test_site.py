"""The site that `make docs` builds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page, words",
    [
        ("api/model", ("CoMemConfig", "num_memory_tokens", "encode_memory", "from_backbone", "MemoryItem")),
        ("api/bank", ("MemoryBank", "output_dir", "text_weight", "push_to_hub", "plot_calibration", "open_source")),
        ("api/pipeline", ("MemoryImageTextToTextPipeline", "top_k")),
        ("api/training", ("MemoryTrainingArguments", "train_memory_encoder")),
        ("api/conversion", ("convert_checkpoint", "resampler")),
    ],
)
def test_api_pages_hold_what_the_docstrings_say(site, page, words):
    text = (site / page / "index.html").read_text(encoding="utf-8")
    assert [word for word in words if word not in text] == []


@pytest.mark.slow
def test_pages_ask_no_other_site_for_anything(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for attribute in ('src="http', 'src="//', '<link rel="stylesheet" href="http', "fonts.googleapis"):
            assert attribute not in text, f"{page.relative_to(site)} has {attribute}"
