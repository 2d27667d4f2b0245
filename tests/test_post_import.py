"""Waiting for modules, on small ones that are written for it."""

import importlib
import importlib.util
import runpy
import sys
import threading

import pytest

from comem_hf.post_import import _finder, when_imported


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Writes an importable package with one module; returns the module's name. All is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules), dict(_finder.actions)

    def write(source: str = "value = 1\n", package: str = "awaited_package") -> str:
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "awaited.py").write_text(source)
        importlib.invalidate_caches()
        return f"{package}.awaited"

    yield write
    for name in set(sys.modules) - before[0]:
        if name.startswith("awaited_package"):
            del sys.modules[name]
    _finder.actions = before[1]


def test_the_action_runs_once_the_module_is_whole_and_not_before(write_module):
    name, seen = write_module(), []
    when_imported(name, lambda module: seen.append(module.value))
    assert (seen, name in sys.modules) == ([], False)
    importlib.import_module(name)
    importlib.import_module(name)
    assert seen == [1]


@pytest.mark.parametrize("module", ["awaited_package", "awaited_package.awaited"])
def test_waiting_imports_neither_the_module_nor_what_it_lies_in(write_module, module):
    write_module()
    when_imported(module, lambda module: pytest.fail("it was imported"))
    assert not any(name.startswith("awaited_package") for name in sys.modules)
    importlib.util.find_spec(module)  # which imports the package
    assert "awaited_package.awaited" not in sys.modules


def test_the_action_runs_at_once_where_the_module_is_there_already(write_module):
    name, seen = write_module(), []
    importlib.import_module(name)
    when_imported(name, lambda module: seen.append(module.value))
    assert seen == [1]


def test_an_imported_module_shows_no_trace_of_the_waiting(write_module):
    plain = importlib.import_module(write_module())
    kept = {key: type(value) for key, value in vars(plain).items()}
    loader = type(plain.__spec__.loader)
    del sys.modules[plain.__name__]
    when_imported(plain.__name__, lambda module: None)
    again = importlib.import_module(plain.__name__)
    assert again is not plain
    assert {key: type(value) for key, value in vars(again).items()} == kept
    assert type(again.__spec__.loader) is type(again.__loader__) is loader


def test_a_module_can_be_read_and_run_without_being_imported(write_module):
    name = write_module("value = 7\n")
    when_imported(name, lambda module: pytest.fail("it was imported"))
    assert importlib.util.find_spec(name).loader.get_source(name) == "value = 7\n"
    assert runpy.run_module(name)["value"] == 7


def test_a_reloaded_module_gets_its_action_again(write_module):
    name, seen = write_module(), []
    when_imported(name, seen.append)
    module = importlib.import_module(name)
    assert importlib.reload(module) is module
    assert seen == [module, module]


def test_a_module_that_fails_fails_as_ever_and_can_be_imported_later(write_module):
    name, seen = write_module("raise OSError('broken')\n"), []
    when_imported(name, seen.append)
    with pytest.raises(OSError, match="broken"):
        importlib.import_module(name)
    assert (seen, name in sys.modules) == ([], False)
    write_module("value = 'mended, and longer'\n")
    assert importlib.import_module(name).value == "mended, and longer"
    assert len(seen) == 1


def test_a_module_that_is_not_there_is_not_found(write_module):
    write_module()
    when_imported("awaited_package.missing", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match="No module named 'awaited_package.missing'"):
        importlib.import_module("awaited_package.missing")


def test_a_finder_that_wraps_all_others_makes_no_endless_loop(write_module, monkeypatch):
    class Wrapping:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, path=None, target=None):
            return self.finder.find_spec(name, path, target)

    name, seen = write_module(), []
    when_imported(name, seen.append)
    monkeypatch.setattr(sys, "meta_path", [Wrapping(finder) for finder in sys.meta_path])
    assert seen == [importlib.import_module(name)]


def test_a_module_that_waits_for_itself_is_told_at_its_next_import(write_module):
    source = (
        "import sys\nfrom comem_hf.post_import import when_imported\n"
        "when_imported(__name__, lambda module: sys.modules['awaited_package'].seen.append(module.value))\nvalue = 1\n"
    )
    name = write_module(source)
    seen = importlib.import_module("awaited_package").seen = []
    module = importlib.import_module(name)
    assert seen == []
    importlib.reload(module)
    assert set(seen) == {1}


def test_what_another_thread_is_importing_is_waited_for(write_module):
    source = "import sys\ngate = sys.modules['awaited_package'].gate\ngate[0].set()\ngate[1].wait(20)\nvalue = 1\n"
    name, seen = write_module(source), []
    started, goes_on = importlib.import_module("awaited_package").gate = threading.Event(), threading.Event()
    other = threading.Thread(target=importlib.import_module, args=(name,))
    other.start()
    assert started.wait(20)
    assert not hasattr(sys.modules[name], "value")
    waiting = threading.Thread(target=when_imported, args=(name, lambda module: seen.append(module.value)))
    waiting.start()
    goes_on.set()
    for thread in (other, waiting):
        thread.join(20)
        assert not thread.is_alive()
    assert seen == [1]
