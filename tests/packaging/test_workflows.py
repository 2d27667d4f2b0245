"""The workflows of GitHub run what the repository has, on versions of Python that the package takes."""

import configparser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def steps(workflow: Path) -> list[dict]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_a_change_is_checked_as_ci_run_does_on_versions_that_the_package_takes():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    versions = SpecifierSet(SETUP["options"]["python_requires"])
    for entry in job["strategy"]["matrix"]["include"]:
        assert entry["python"] in versions and (ROOT / entry["constraints"]).is_file()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_uses_an_action_with_a_version_or_runs_something(workflow):
    for step in steps(workflow):
        assert "run" in step or "@" in step["uses"]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-3.10.txt"])
def test_constraints_are_above_the_floors(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line and line[0] != "#")
    for line in SETUP["options"]["install_requires"].strip().splitlines():
        floor = Requirement(line)
        assert pins[floor.name.replace("_", "-")] in floor.specifier


def test_a_reported_problem_comes_with_what_comem_info_says():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8"))["body"]
    (info,) = (field for field in form if "comem info" in field["attributes"]["label"])
    assert info["validations"]["required"]
