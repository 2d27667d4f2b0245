"""The one place that says how to install the package, and everybody who repeats it."""

import re
from pathlib import Path

import pytest

from comem_hf.modeling.installation_comem import how_to_install


ROOT = Path(__file__).parents[2]
PLACES = (
    "comem_hf",
    "conversion",
    "modeling",
    "model_cards",
    "docs",
    "recipes",
    "benchmarks",
    "README.md",
    "mkdocs.yml",
)
SUFFIXES = (".py", ".md", ".ipynb", ".yml", ".css", ".svg")
# What is on PyPI under these names, and does not belong to an extra that a hint could name.
OTHERS = {"accelerate", "datasets", "torchvision"}


def texts() -> dict[str, str]:
    """The text of every source, template and page, in one line each; strings that follow each other are joined."""
    paths = [path for place in PLACES for path in (ROOT / place, *(ROOT / place).rglob("*")) if path.is_file()]
    found = {path.relative_to(ROOT).as_posix(): path for path in paths if path.suffix in SUFFIXES}
    return {name: in_one_line(path.read_text(encoding="utf-8")) for name, path in found.items()}


def in_one_line(text: str) -> str:
    return " ".join(re.sub(r'"\s*\n\s*f?"', "", text).split())


def test_nobody_but_this_place_says_how_to_install_the_package():
    found = {name: others(text) for name, text in texts().items() if name != "modeling/installation_comem.py"}
    assert {name: commands for name, commands in found.items() if commands} == {}


def others(text: str) -> set[str]:
    """What a text tells to install, besides the one sentence and other packages."""
    left = text.replace(how_to_install(), "").replace(how_to_install("lmms"), "")
    return {what.strip("\"'.:,)") for what in re.findall(r"pip3? install (?:-\S+ )*([^\s`]+)", left)} - OTHERS


@pytest.mark.parametrize(
    "text",
    [
        "`pip install comem_hf`",
        'x: "pip install "\n    "comem_hf"',
        'pip install "comem_hf[app]"',
        "pip install -U comem",
    ],
)
def test_other_ways_are_noticed(text):
    assert others(in_one_line(text)) != set()


def test_pages_and_cards_repeat_it():
    assert how_to_install() in texts()["docs/index.md"]
    for template in ("model_cards/model.md", "model_cards/bank.md"):
        assert "{{ how_to_install }}" in texts()[template]


@pytest.mark.parametrize("extra", [None, "app", "train"])
def test_what_it_says_installs_this_package(extra):
    (what,) = re.findall(r"^`pip install (.*)` in a clone of the comem_hf repository$", how_to_install(extra))
    assert what == ("." if extra is None else f'".[{extra}]"')
    settings = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert (ROOT / "setup.py").is_file() and "\nname = comem_hf\n" in settings
    assert extra is None or f"\n{extra} =\n" in settings
