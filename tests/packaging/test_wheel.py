"""The built wheel, installed, instead of the checkout."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest


pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGED = {
    "comem_hf": "comem_hf",
    "modeling": "comem_hf/modeling",
    "conversion": "comem_hf/conversion",
    "model_cards": "comem_hf/model_cards",
}

LEFT_BY_TOOLS = ("__pycache__", ".*")

PROBE = """
import importlib.resources, importlib.util, json
import comem_hf, comem_hf.conversion, comem_hf.modeling, comem_hf.training
strangers = ("modeling", "conversion", "model_cards", "tests", "recipes")
print(json.dumps({
    "files": [
        *(module.__file__ for module in (comem_hf, comem_hf.conversion, comem_hf.modeling, comem_hf.training)),
        str(importlib.resources.files("comem_hf.model_cards").joinpath("model.md")),
    ],
    "strangers": [name for name in strangers if importlib.util.find_spec(name)],
}))
"""


def run(*command: str, cwd: Path) -> str:
    """The output of a command that must succeed, run outside the checkout."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy because setuptools leaves build folders beside its source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*LEFT_BY_TOOLS))
    for name in ("setup.cfg", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip_wheel = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    run(sys.executable, *pip_wheel, str(source), cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a new environment with the wheel in it, which sees the dependencies of the running one."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    run(*pip, cwd=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # A path line makes packages importable but does not follow the hook that an editable install leaves there.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_holds_every_file_of_the_packages(wheel):
    expected = {
        f"{target}/{path.relative_to(wheel.parent / 'source' / name).as_posix()}"
        for name, target in PACKAGED.items()
        for path in (wheel.parent / "source" / name).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_installed_wheel_imports_from_site_packages_and_adds_no_other_top_level_name(clean_python, tmp_path):
    found = json.loads(run(str(clean_python), "-c", PROBE, cwd=tmp_path))
    site_packages = clean_python.parents[1].resolve()
    for file in found["files"]:
        assert Path(file).resolve().is_relative_to(site_packages)
    assert found["strangers"] == []


def test_installed_command_answers_help(clean_python, tmp_path):
    assert "train" in run(str(clean_python.parent / "comem"), "--help", cwd=tmp_path)
