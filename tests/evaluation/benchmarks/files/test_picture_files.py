import json
import os

import pytest

from comem_hf.evaluation.benchmarks.files.picture_files import oven_pictures


def put(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".PNG", ".webp", ".JPg"])
def test_a_picture_may_have_any_ending(tmp_path, ending):
    put(tmp_path / f"oven_images/04/oven_04925731{ending}")
    put(tmp_path / "oven_images/04/oven_049257310.jpg")
    found = oven_pictures([tmp_path], ["oven_04925731", "oven_04925732"])
    assert found == {"oven_04925731": tmp_path / f"oven_images/04/oven_04925731{ending}"}


def test_a_picture_elsewhere_is_found_by_the_mapping(tmp_path):
    put(tmp_path / "elsewhere/1.jpg")
    rows = [{"image_id": f"oven_0{number}", "image_path": f"elsewhere/{number}.jpg"} for number in range(3)]
    (tmp_path / "id2image.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert oven_pictures([tmp_path], ["oven_01", "oven_02"]) == {"oven_01": tmp_path / "elsewhere/1.jpg"}
    rows[1].pop("image_path")
    (tmp_path / "id2image.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="id2image.jsonl', line 2: `image_path` is missing"):
        oven_pictures([tmp_path], ["oven_01"])


def test_the_first_folder_that_has_a_picture_gives_it(tmp_path):
    put(tmp_path / "b/oven_images/04/oven_041.jpg")
    put(tmp_path / "c/oven_images/04/oven_041.jpg")
    found = oven_pictures([tmp_path / name for name in "abc"], ["oven_041"])
    assert found == {"oven_041": tmp_path / "b/oven_images/04/oven_041.jpg"}


def test_each_folder_is_listed_once_however_many_pictures_are_missing(tmp_path, monkeypatch):
    put(tmp_path / "oven_images/04/oven_040.webp")
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert len(oven_pictures([tmp_path], [f"oven_04{number}" for number in range(100)])) == 1
    assert listed == [tmp_path / "oven_images/04"]


def test_an_id_that_is_a_path_finds_nothing(tmp_path):
    put(tmp_path / "secret.jpg")
    put(tmp_path / "secret04.jpg")
    (tmp_path / "oven_images/04").mkdir(parents=True)
    assert oven_pictures([tmp_path], ["../secret", "../../secret04", ""]) == {}
