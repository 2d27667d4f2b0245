"""Files and names that the documentation speaks of are there."""

import ast
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "benchmarks" / "RESULTS.md",
    ROOT / "tests" / "peer" / "README.md",
    ROOT / "recipes" / "atlas_small" / "README.md",
]
FOLDERS = ("comem_hf", "modeling", "conversion", "model_cards", "recipes", "benchmarks", "tests", "docs")
FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"python (benchmarks/[\w/]+\.py)")
MODULE = re.compile(r"python -m (benchmarks\.[\w.]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`([^`\n]+)`", text)
    files = [name for part in code for name in FILE.findall(part) if part.startswith(name)] + COMMAND.findall(text)
    files += [f"{name.replace('.', '/')}.py" for name in MODULE.findall(text)]
    missing = [name for name in files if not (ROOT / name).exists()]
    if page.name == "README.md" and page.parent != ROOT:  # of a folder, whose files it names as they lie in it
        missing += [name for name in code if re.fullmatch(r"[\w/]+\.py", name) and not (page.parent / name).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_how_it_works_names_the_files_that_define_what_it_speaks_of():
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == 7
    for _, _, names, files in rows:
        defined = set()
        for file in re.findall(r"`([^`]+)`", files):
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            defined |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        assert set(re.findall(r"`(\w+)`", names)) <= defined, files
