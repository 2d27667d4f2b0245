"""What is printed."""

import pytest

from comem_hf.commands.common.output import print_table


@pytest.mark.parametrize("terminal", [True, False])
def test_texts_of_strangers_cannot_control_the_terminal(capsys, monkeypatch, terminal):
    monkeypatch.setattr("comem_hf.commands.common.output.on_terminal", lambda: terminal)
    print_table("title", ("a", "b"), [("\x1b[31mred\x07", "two\nlines [bold]")])
    output = capsys.readouterr().out
    assert "\x1b[31m" not in output and "\x07" not in output
    assert "red" in output and "two lines [bold]" in output
