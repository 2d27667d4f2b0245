"""The house: who imports whom, no circles, no crowded rooms. `CONTRIBUTING.md` says the rules, this holds them."""

import ast
import re
import symtable
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
TOP = ("comem_hf", "conversion", "model_cards", "modeling")
MOST_FILES = 9
# A folder that Hub repositories carry has to be flat, and so are its tests.
FLAT = ("modeling", "tests/modeling")
# accelerate: where it is installed, for layers that have its hooks.
CARRIED = {"PIL", "accelerate", "huggingface_hub", "numpy", "peft", "safetensors", "torch", "transformers"}


def module_of(path: Path) -> str:
    """Where a file lies, with its ending: `comem_hf/bank/bank`; a package is its folder."""
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    return name.removesuffix("/__init__")


def file_of(name: str) -> str:
    """Where the module of an import name lies."""
    parts = name.split(".")
    if parts[:1] == ["comem_hf"] and parts[1:2] and parts[1] in TOP:  # as setup.cfg maps it
        parts = parts[1:]
    return "/".join(parts)


@cache
def sources() -> dict[str, Path]:
    return {module_of(path): path for top in TOP for path in (ROOT / top).rglob("*.py")}


def imported_names(path: Path) -> Iterator[str]:
    """Full names of what a file imports, inside functions and for type checkers, too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition("/")[0]
    prefix = "comem_hf." if package.split("/")[0] in TOP[1:] else ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [prefix + package.replace("/", "."), base]))
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def imports() -> dict[str, set[str]]:
    """The modules of ours that each module of ours imports."""
    found = {}
    for module, path in sources().items():
        files = (file_of(name) for name in imported_names(path))
        targets = (file if file in sources() else file.rpartition("/")[0] for file in files)
        found[module] = {target for target in targets if target in sources()} - {module}
    return found


@cache
def names_of(module: str) -> set[str]:
    """What a file of ours defines or imports; a package whose names are lazy imports them for type checkers."""
    path = sources()[module]
    symbols = symtable.symtable(path.read_text(encoding="utf-8"), path.name, "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def is_there(name: str) -> bool:
    """Whether an import name is a module of ours, or what a module of ours defines."""
    base, _, last = name.rpartition(".")
    return file_of(name) in sources() or file_of(base) in sources() and last in names_of(file_of(base))


def room_of(module: str) -> str:
    """The folder of a module; the files beside `comem_hf/__init__.py` are rooms of their own."""
    if sources()[module].name == "__init__.py" or module.count("/") == 1 and module.startswith("comem_hf/"):
        return module
    return module.rpartition("/")[0]


def part_of(module: str) -> str:
    """The row of the table in CONTRIBUTING.md that a module belongs to."""
    parts = module.split("/")
    return "/".join(parts[:2]) if parts[0] == "comem_hf" else parts[0]


def test_rooms_import_each_other_one_way():
    graph = {}
    for module, targets in imports().items():
        graph.setdefault(room_of(module), set()).update(room_of(target) for target in targets)
    graph = {room: targets - {room} for room, targets in graph.items()}
    TopologicalSorter(graph).prepare()  # which names a circle


def test_files_import_each_other_one_way():
    TopologicalSorter(imports()).prepare()


def test_what_is_imported_from_our_files_is_there():
    """Of files that this machine cannot import, too: those of lmms-eval's plugin need lmms-eval."""
    paths = [path for top in (*TOP, "benchmarks", "recipes", "tests") for path in (ROOT / top).rglob("*.py")]
    ours = [(module_of(path), name) for path in paths for name in imported_names(path) if name.startswith("comem_hf.")]
    assert "comem_hf/lmms/model" in dict(ours)
    assert [(module, name) for module, name in ours if not is_there(name)] == []


def table() -> dict[str, set[str]]:
    """Parts, from the top to the bottom, and those that each may import."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace(".py`", "`")
    rows = re.findall(r"^\| `([\w/]+)` \|[^|]*\| (.*) \|$", text, re.MULTILINE)
    parts = [part for part, _ in rows]
    allowed = {}
    for number, (part, words) in enumerate(rows):
        below = set(parts[number + 1 :])
        allowed[part] = below if words == "everything below" else set(re.findall(r"`([\w/]+)`", words))
        assert allowed[part] <= below, f"{part} may import what stands above it"
    return allowed


def test_parts_import_what_the_table_allows_and_nothing_else():
    allowed, used = table(), {}
    for module, targets in imports().items():
        used.setdefault(part_of(module), set()).update(part_of(target) for target in targets)
    faces = ("comem_hf", "comem_hf/__main__")  # what the package shows; nothing imports it
    assert allowed.keys() == used.keys() - {*faces}
    for part, targets in used.items():
        if part not in faces:
            assert targets - {part} <= allowed[part], part
            assert not allowed[part] - targets - {part} or part == "comem_hf/commands", part


def test_what_hub_repositories_carry_imports_nothing_that_they_lack():
    for path in (ROOT / "modeling").glob("*.py"):
        roots = {name.split(".")[0] for name in imported_names(path)} - {"comem_hf"}
        assert roots <= CARRIED | sys.stdlib_module_names, path.name
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert all(node.level <= 1 for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), path.name


@pytest.mark.parametrize("top", [*TOP, "benchmarks", "recipes", "tests"])
def test_no_room_is_crowded(top):
    data = ("__pycache__", "comem_hf/default/", "tests/golden/", "/logs/")
    rooms = {}
    for path in (ROOT / top).rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not any(part in name for part in data):
            rooms.setdefault(path.parent.relative_to(ROOT).as_posix(), []).append(path.name)
    crowded = {room: files for room, files in rooms.items() if len(files) > MOST_FILES and room not in FLAT}
    assert crowded == {}
