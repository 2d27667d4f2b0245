"""The command line as a whole: help, errors, exit codes."""

import pytest

from comem_hf.commands import main
from comem_hf.commands.application import application


COMMANDS = [command.name for command in application.registered_commands]


def test_help_lists_every_command(comem):
    code, output, _ = comem("--help")
    assert code == 0
    assert {"ask", "build-bank", "search", "info"} <= set(COMMANDS)
    for name in COMMANDS:
        assert name in output


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("arguments", [[], ["--debug"]])
def test_comem_alone_prints_the_help_and_no_error(comem, monkeypatch, arguments, rich):
    if not rich:
        monkeypatch.setattr("typer.core.HAS_RICH", False)
    code, output, error = comem(*arguments)
    assert (code, error) == (2, "")
    assert output.count("Usage: comem") == 1
    for name in COMMANDS:
        assert name in output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_shows_an_example(comem, name):
    code, output, _ = comem(name, "--help")
    assert code == 0
    assert f"comem {name}" in output.split("Example", 1)[1]


@pytest.mark.parametrize("name", ["search", "train"])
def test_several_examples_stand_on_lines_of_their_own(comem, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = [
        line
        for line in comem(name, "--help")[1].splitlines()
        if f"comem {name} --" in line or "comem search my" in line
    ]
    assert len(lines) > 1 and all(line.count(f"comem {name} ") == 1 for line in lines)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["fly"], "Error: No such command 'fly'."),
        (["merge"], "Error: Missing argument 'model'."),
        (["ask", "--image", "a.png", "--top-k", "0", "What?"], "Error: Invalid value for '--top-k': "),
        (["info", "no-such-folder"], "Error: There is no folder 'no-such-folder'."),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(comem, arguments, message):
    code, output, error = comem(*arguments)
    assert (code, output) == (2, "")
    assert error.startswith(message)
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug", "info", "no-such-folder"], ["info", "no-such-folder", "--debug"]])
def test_debug_lets_the_traceback_through_at_any_place(arguments):
    with pytest.raises(ValueError, match="There is no folder 'no-such-folder'"):
        main(arguments)
