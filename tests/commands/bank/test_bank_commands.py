"""`comem bank`: its examples run, and each command prints what it has done."""

import json
import re
import shlex
import shutil

import pytest

from comem_hf.commands.application import bank as group
from tests.conftest import make_image


COMMANDS = {(command.name or command.callback.__name__): command.callback for command in group.registered_commands}


@pytest.fixture
def place(tmp_path, monkeypatch, model_folder, bank_folder, items_file):
    """A folder with a model, a bank and the items that it was made of."""
    shutil.copytree(items_file.parent, tmp_path / "work")
    shutil.copytree(bank_folder, tmp_path / "work" / "my-bank")
    (tmp_path / "work" / "my-model").symlink_to(model_folder)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_example_runs_and_has_a_json_form(name, comem, place):
    code, output, _ = comem("bank", name, "--help")
    assert code == 0 and f"comem bank {name} my-bank" in output
    lines = re.findall(r"^ +comem (.*)$", COMMANDS[name].__doc__.split("Example:")[1], re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        if name == "remove":  # each of them would leave none of four
            (place / "more.jsonl").write_text('{"image": "pictures/0.png", "text": "More.", "id": "more"}')
            assert comem("bank", "add", "my-bank", "more.jsonl", "--model", "my-model")[0] == 0
        code, output, error = comem(*shlex.split(line), "--json")
        assert code == 0, error
        json.loads(output)


def test_items_are_added_changed_shown_removed_and_exported(comem, place):
    make_image(40).save(place / "new.png")
    row = {"image": "new.png", "text": "New.", "id": 40, "price": 10}
    (place / "new.jsonl").write_text(json.dumps(row))
    added = comem("bank", "add", "my-bank", "new.jsonl", "--model", "my-model")
    assert added == (0, "bank\titems\t5\n", added[2])
    (place / "new.jsonl").write_text(json.dumps({**row, "price": 9.5}) + "\n" + json.dumps({"id": 41}))
    code, output, error = comem("bank", "add", "my-bank", "new.jsonl", "--model", "my-model")
    assert (code, output) == (0, "bank\titems\t5\nbank\tskipped\t2\n") and "`upsert` this one" in error
    code, output, _ = comem("bank", "add", "my-bank", "new.jsonl", "--model", "my-model", "--upsert", "--json")
    assert code == 0 and json.loads(output)["skipped"] == 1
    shown = 'item\t40\tnew.png\tNew.\t{"price": 9.5}\n'
    assert comem("bank", "get", "my-bank", "40") == comem("bank", "get", "my-bank", "--where", "price<10")
    assert comem("bank", "get", "my-bank", "40") == (0, shown, "")
    changed = comem("bank", "update", "my-bank", "40", "price=8", "source=7", "new=[1]")
    assert changed == (0, 'item\t40\tnew.png\tNew.\t{"new": [1], "price": 8, "source": "7"}\n', "")
    assert comem("bank", "update", "my-bank", "40", "price=9.5", "source=null", "new=null") == (0, shown, "")
    code, output, _ = comem("bank", "get", "my-bank", "--offset", "3", "--limit", "5", "--json")
    assert [item["id"] for item in json.loads(output)] == ["item-3", "40"]
    code, output, _ = comem("search", "my-bank", "--image", "new.png", "--model", "my-model", "--top-k", "1")
    assert code == 0 and output.split("\t")[4:6] == ["40", "new.png"]
    assert (
        comem("bank", "export", "my-bank", "out", "--where", "price<10")[1]
        == "export\toutput\tout\nexport\titems\t1\n"
    )
    assert json.loads((place / "out" / "items.jsonl").read_text())["metadata"] == {"price": 9.5}
    assert comem("bank", "remove", "my-bank", "40") == (0, "bank\tremoved\t1\nbank\titems\t4\n", "")
    for words, message in (
        (("get", "my-bank", "zz"), "Error: The bank 'my-bank' has no item 'zz'.\n"),
        (("update", "my-bank", "item-1", "9.5"), "Error: A change of metadata is written FIELD=VALUE, got '9.5'.\n"),
        (
            ("remove", "my-bank"),
            "Error: Give the ids of the items to remove, or `--where` with what their metadata is.\n",
        ),
    ):
        assert comem("bank", *words) == (2, "", message)
