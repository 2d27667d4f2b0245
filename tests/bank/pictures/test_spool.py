"""Encoded pictures that wait in a file."""

from concurrent.futures import ThreadPoolExecutor

from comem_hf.bank.pictures import spool
from comem_hf.bank.pictures.spool import PictureSpool


def test_pictures_come_back_whole_from_memory_and_from_the_file_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 3000)
    contents = [bytes([number]) * (100 + number) for number in range(100)]
    with PictureSpool(tmp_path) as kept:
        pictures = []
        for content in contents:
            pictures.append(kept.put(content))
            assert pictures[0].read() == contents[0] and len(pictures[-1]) == len(content)
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda picture: picture.read(), pictures * 5)) == contents * 5
    assert not list(tmp_path.iterdir())
