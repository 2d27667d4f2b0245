"""Items of tar files of webdataset."""

import io
import tarfile

import pytest

from comem_hf import MemoryItem
from comem_hf.bank.sources import Columns, read_tar
from tests.conftest import make_image
from tests.picture_forms import encode


PICTURE = encode(make_image(1))


def write(path, members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members:
            head = tarfile.TarInfo(name)
            if content is None:
                head.type, head.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(head)
            else:
                head.size = len(content)
                archive.addfile(head, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_members_of_one_name_are_an_item(name, tmp_path):
    members = [
        ("x/1.jpg", PICTURE),
        ("x/1.txt", "Öl\n".encode()),
        ("x/1.json", b'{"caption": "other", "price": 3, "title": "T"}'),
        ("y/1.PNG", PICTURE),
        ("y/1.json", b'{"id": 7, "text": "Two.", "title": "Z"}'),
        ("y/1.cls", b"5"),
    ]
    path = write(tmp_path / name, members)
    first, second = read_tar([path])
    assert (first.id, first.text, first.image) == ("x/1", "Öl", PICTURE)
    assert first.metadata == {"price": 3, "title": "T"}
    assert (second.id, second.text, second.metadata) == ("7", "Two.", {"title": "Z", "label": 5})
    first, second = read_tar([path], Columns(text="title", id="price"))
    assert (first.text, first.id, second.text, second.id) == ("T", "3", "Z", "y/1")


def test_members_without_a_picture_and_of_other_kinds_are_named_and_end_nothing(tmp_path):
    members = [
        ("1.txt", b"no picture"),
        ("2.jpg", PICTURE),
        ("2.txt", b"\xff"),
        ("3.jpg", PICTURE),
        ("3.json", b"{"),
        ("4.jpg", PICTURE),
        ("4.seg.png", PICTURE),
        ("4.png", PICTURE),
        ("5.jpg", None),
        (".hidden/6.jpg", PICTURE),
        ("7.jpg", PICTURE),
    ]
    found = list(read_tar([write(tmp_path / "a.tar", members)]))
    assert [item.id for item in found if isinstance(item, MemoryItem)] == ["4", "7"]
    bad = [(item.reason.partition("a.tar', ")[2], item.is_error) for item in found if not isinstance(item, MemoryItem)]
    assert [each for each, _ in bad[:3]] == [
        "sample '1': it has no picture beside 1.txt; the members of a sample must stand next to each other.",
        "sample '2': a text in it is not UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start "
        "byte.",
        "sample '3': its .json is no valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1).",
    ]
    assert bad[3:] == [
        ("member '4.seg.png': it is not read, as it ends with '.seg.png'.", False),
        ("sample '4': 4.png is not read: it is a second picture.", False),
        ("member '5.jpg': it is no regular file.", True),
    ]


def test_a_file_that_is_no_whole_tar_file_is_refused(tmp_path):
    (tmp_path / "no.tar").write_bytes(b"x" * 2000)
    with pytest.raises(ValueError, match="Cannot read '.*no.tar': it is no tar file"):
        read_tar([tmp_path / "no.tar"])
    whole = write(tmp_path / "a.tar.gz", [(f"{number}.jpg", PICTURE) for number in range(50)])
    (tmp_path / "cut.tar.gz").write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(ValueError, match="Cannot read '.*cut.tar.gz': Compressed file ended"):
        read_tar([tmp_path / "cut.tar.gz"])
    whole = write(tmp_path / "a.tar", [("1.jpg", PICTURE), ("2.jpg", PICTURE * 50)])
    whole.write_bytes(whole.read_bytes()[: len(PICTURE) + 2000])
    with pytest.raises(ValueError, match="a.tar', after member '1.jpg': the file is damaged: unexpected end of data"):
        list(read_tar([whole]))
