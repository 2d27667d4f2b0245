"""The table of what passes, and the rule: what the peer passes, we pass, but for the exceptions in README.md."""

import re
from collections import defaultdict
from pathlib import Path

import pytest


# Our test class: that of the peer whose passing tests it has to pass.
PEERS = {
    "CoMemAdapterOnQwen2VLTest": "Qwen2VLTest",
    "CoMemSeparateOnQwen2VLTest": "Qwen2VLTest",
    "CoMemAdapterOnQwen2_5_VLTest": "Qwen2_5_VLTest",
    "CoMemSeparateOnQwen2_5_VLTest": "Qwen2_5_VLTest",
    "CoMemProcessorTest": "Qwen2VLProcessorTest",
}
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def read_exceptions(readme: Path) -> set[str]:
    """Names of the tests in the first column of the table of exceptions, which hold for all of our classes."""
    rows = [line for line in readme.read_text().splitlines() if line.startswith("| `test_")]
    return {name for row in rows for name in re.findall(r"`(test_\w+)`", row.split("|")[1])}


class Comparison:
    """A pytest plugin. Prints the table; the exit status says whether the rule holds, whatever failed otherwise.

    Args:
        exceptions (`set[str]`): Tests that only the peer passes, and none of our classes.
    """

    def __init__(self, exceptions: set[str]):
        self.exceptions = exceptions
        self.outcomes: dict[str, dict[str, str]] = defaultdict(dict)
        self.broken_files: set[str] = set()

    def pytest_collectreport(self, report):
        if report.failed:
            self.broken_files.add(report.nodeid)

    def pytest_runtest_logreport(self, report):
        _, test_class, test = report.nodeid.split("::")
        test = test.split("[")[0]
        outcomes = self.outcomes[test_class]
        # A test has reports of its set-up, of each of its parts, and of its end; the worst counts.
        if report.failed:
            outcomes[test] = FAILED
        elif report.skipped and outcomes.get(test) != FAILED:
            outcomes[test] = SKIPPED
        elif report.when == "call":
            outcomes.setdefault(test, PASSED)

    def only_the_peer_passes(self) -> dict[str, list[str]]:
        """Tests by our classes, exceptions included."""
        return {
            ours: [
                test
                for test, outcome in self.outcomes[peer].items()
                if outcome == PASSED and self.outcomes[ours].get(test) != PASSED
            ]
            for ours, peer in PEERS.items()
            if ours in self.outcomes and peer in self.outcomes
        }

    def problems(self) -> list[str]:
        """What breaks the rule, as lines to print."""
        missed = self.only_the_peer_passes()
        lines = [f"{name} could not be imported." for name in sorted(self.broken_files)]
        for ours, tests in missed.items():
            lines += [f"{ours}: {test} is passed by the peer only." for test in tests if test not in self.exceptions]
        if missed.keys() == PEERS.keys():  # all tests were run
            needed = {test for tests in missed.values() for test in tests}
            passed = {test for ours in PEERS for test, outcome in self.outcomes[ours].items() if outcome == PASSED}
            stale = sorted(self.exceptions - needed | self.exceptions & passed)
            lines += [f"{test} is passed, but README.md lists it among the exceptions." for test in stale]
        return lines

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if self.problems() else pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section("what Qwen2-VL passes, and what we pass")
        line = "{:<32}{:>8}{:>8}{:>9}   {}".format
        terminalreporter.line(line("", PASSED, FAILED, SKIPPED, "passed by the peer only"))
        missed = self.only_the_peer_passes()
        for test_class, outcomes in sorted(self.outcomes.items(), key=lambda row: PEERS.get(row[0], row[0])):
            counts = [list(outcomes.values()).count(outcome) for outcome in (PASSED, FAILED, SKIPPED)]
            terminalreporter.line(line(test_class, *counts, len(missed[test_class]) if test_class in missed else ""))
        for problem in self.problems():
            terminalreporter.line(problem)
