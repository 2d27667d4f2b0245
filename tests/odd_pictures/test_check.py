"""What `make odd-pictures` complains about."""

from tests.odd_pictures.check import unaccounted


def test_files_that_are_lost_or_counted_twice_are_named(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "sub/a.png", "sub/c.png"):
        (tmp_path / name).touch()
    reasons = [f"'{tmp_path}/b.png': bad.", f"'{tmp_path}/sub/c.png': bad.", "Item 3: bad."]
    assert unaccounted(tmp_path, ["a.png", "sub/a.png"], reasons) == []
    assert unaccounted(tmp_path, ["a.png", "b.png"], reasons) == [f"{tmp_path}/b.png", f"{tmp_path}/sub/a.png"]
