"""The table of private names that we use of other libraries is whole, and the tests that it names are there."""

import ast
import re
from pathlib import Path

from comem_hf import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryImageTextToTextPipeline


ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("comem_hf", "conversion", "modeling") for path in (ROOT / top).rglob("*.py")]
CLASSES = (CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryImageTextToTextPipeline)
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| `([\w/.]+)::(\w+)` \|$", re.MULTILINE)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith(("__", "_abc_"))


def used_names() -> set[str]:
    """Private attributes that our files read, and define nowhere."""
    defined, used = set(), set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
            elif isinstance(node, ast.Attribute):
                own = isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
                (defined if own else used).add(node.attr)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GETTERS:
                used |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {name for name in used - defined if isinstance(name, str) and is_private(name)}


GETTERS = ("getattr", "hasattr", "setattr")


def overridden_names() -> set[str]:
    """Private names of our classes that a class of transformers has, too."""
    names = set()
    for cls in CLASSES:
        ours = {name for base in cls.__mro__ if base.__module__.startswith("comem_hf.") for name in vars(base)}
        theirs = {name for base in cls.__mro__ if base.__module__.startswith("transformers.") for name in vars(base)}
        names |= {name for name in ours & theirs if is_private(name)}
    return names


def test_the_table_holds_all_private_names_and_their_tests_are_there():
    rows = ROW.findall((ROOT / "docs" / "private-apis.md").read_text(encoding="utf-8"))
    assert {name for name, _, _ in rows} == used_names() | overridden_names()
    assert [name for name, _, _ in rows] == sorted(name for name, _, _ in rows)
    for _, file, test in rows:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"
