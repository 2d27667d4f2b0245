"""Items of a JSONL file."""

import base64
import json
import operator

from comem_hf.bank.sources import (
    UnreadableItem,
    read_jsonl,
)
from tests.conftest import make_image
from tests.picture_forms import encode


def test_jsonl_lines_become_items_and_bad_lines_say_where_they_are(tmp_path):
    lines = ['\ufeff{"text": "One.", "id": "1", "n": 1}', "", "{", '{"image": "x.png"}', '{"id": "3"}', '{"text": 4}']
    (tmp_path / "items.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff"}')
    source = read_jsonl(tmp_path / "items.jsonl")
    items = list(source)
    assert (items[0].text, items[0].id, items[0].metadata) == ("One.", "1", {"n": 1})
    bad = [items[number] for number in (1, 2, 3, 4, 5)]
    assert all(isinstance(item, UnreadableItem) for item in bad)
    assert [item.reason.partition("items.jsonl', ")[2].partition(":")[0] for item in bad] == [
        f"line {number}" for number in (3, 4, 5, 6, 7)
    ]
    assert bad[2].id == "3" and bad[1].reason.partition(": ")[2] == (
        f"`image` names '{tmp_path}/x.png', and there is no such file; `images=` names another folder that paths "
        "start from."
    )
    assert list(source)[0].text == "One." and operator.length_hint(source) > 0


def test_the_reason_of_a_bad_line_names_one_line(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "One."}\n{"text": }\n{\n')
    reasons = [item.reason for item in read_jsonl(path) if isinstance(item, UnreadableItem)]
    assert reasons[0] == f"'{path}', line 2: Expecting value at column 10: it is no valid JSON."
    assert all(reason.count("line ") == 1 for reason in reasons) and len(reasons) == 2


def test_pictures_of_lines_are_paths_or_the_pictures_themselves_and_never_a_long_message(tmp_path):
    content = encode(make_image(1))
    (tmp_path / "a.png").write_bytes(content)
    text = base64.b64encode(content).decode()
    good = ["a.png", text, f"data:image/png;base64,{text}", {"bytes": None, "path": "a.png"}, {"bytes": text}]
    bad = [5, ["a.png"], "A" * 9000, "data:image/png;base64," + "!" * 9000]
    lines = [json.dumps({"image": image, "text": "x"}) for image in good + bad]
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    items = list(read_jsonl(tmp_path / "items.jsonl"))
    assert all(item.load_image().tobytes() == make_image(1).tobytes() for item in items[: len(good)])
    for item in items[len(good) : len(good) + 2]:
        assert "`image` must be a path or a picture in base64, got" in item.reason
    assert all(len(item.reason) < 500 for item in items[len(good) + 2 :])


def test_captions_and_names_of_files_are_found_under_the_names_that_others_use(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    lines = ['{"file_name": "a.png", "caption": "A."}', '{"image": "b.png", "description": "B.", "price": NaN}']
    (tmp_path / "items.jsonl").write_text("\n".join([*lines, '{"image": "c.png", "text": NaN, "id": 3}']))
    first, second, third = read_jsonl(tmp_path / "items.jsonl")
    assert (first.image, first.text, first.metadata) == (tmp_path / "a.png", "A.", {"file_name": "a.png"})
    assert (second.image, second.text, second.metadata) == (tmp_path / "b.png", "B.", {"price": None})
    assert (third.text, third.id) == (None, "3")
