"""The code of README.md and of the how-tos, run as a reader would, each page in a folder and a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from comem_hf.default import default_path
from tests.local_hub.server import HubServer


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]


@pytest.fixture
def folder(tmp_path) -> Path:
    """What the pages take as given: a published checkpoint, with small weights, a picture, and small benchmarks."""
    shutil.copytree(ROOT / "tests" / "golden" / "qwen2_5_vl" / "merged_full", tmp_path / "CoMEM-small")
    shutil.copy(default_path("examples") / "gr.png", tmp_path / "flag.png")
    shutil.copytree(ROOT / "tests" / "golden" / "benchmarks" / "formats", tmp_path / "benchmarks")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_of_a_page_runs_and_prints_what_the_page_says(page, folder):
    with HubServer({"mine": "me"}) as hub:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": "mine",
            "HF_HOME": str(folder / "hf_home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }
        runner = Path(__file__).with_name("run_page.py")
        done = subprocess.run(
            [sys.executable, runner, page],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "block, message",
    [
        ("```python\nprint(1)  # => 2\n```", "prints ['1'], the page says ['2']"),
        ("```python\nraise ValueError('no')\n```", "ValueError: no"),
        ("```bash\nfalse | true\n```", "failed with exit code 1"),
        pytest.param(
            "```bash\ncomem info nowhere\n```", "exit code 2: Error: There is no folder", marks=pytest.mark.slow
        ),
        ("<!-- not run: too large -->\n```bash\nfalse\n```", "has no code to run"),
    ],
)
def test_page_whose_code_does_not_do_what_it_says_fails(tmp_path, block, message):
    page = tmp_path / "page.md"
    page.write_text(f"# Wrong\n\n{block}\n")
    runner = Path(__file__).with_name("run_page.py")
    done = subprocess.run([sys.executable, runner, page], capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr
