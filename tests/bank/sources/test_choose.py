"""Which source a name means."""

import datasets
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.sources import (
    open_source,
    read_image_folder,
    read_wit,
)
from tests.bank.sources.conftest import write_wit


def test_a_source_is_chosen_by_what_it_is(folder, tmp_path, monkeypatch):
    (tmp_path / "items.jsonl").write_text('{"text": "One."}')
    assert [item.text for item in open_source(tmp_path / "items.jsonl")] == ["One."]
    assert sum(isinstance(item, MemoryItem) for item in open_source(str(folder))) == 3
    assert len(list(open_source(write_wit(tmp_path / "x.tsv.gz")))) == 5
    asked = []

    class Builder:
        config = datasets.BuilderConfig()

        def as_streaming_dataset(self, split):
            asked.append(split)
            return datasets.Dataset.from_dict({"title": ["A"]}).to_iterable_dataset()

    def load_dataset_builder(*arguments, **options):
        asked.append((arguments, options))
        return Builder()

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    assert [item.text for item in open_source("hf://datasets/me/flags@v2", split="test", text_column="title")] == ["A"]
    assert asked == [(("me/flags",), {"revision": "v2"}), "test"]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("me/flags", {}, "'me/flags' is no source of items: give a .jsonl file"),
        ("gone.jsonl", {}, "Cannot read items from 'gone.jsonl': No such file or directory"),
        ("gone.tsv", {}, "Cannot read items from 'gone.tsv': No such file or directory"),
        ("gone.jsonl", {"images": "."}, "`images` is for WIT files, not for 'gone.jsonl'"),
        ("gone.tsv", {"images": "nowhere"}, "`images` must be a folder, got 'nowhere'"),
        ("gone.jsonl", {"text_column": "x"}, "Split and columns can be chosen for hf://datasets/USER/NAME"),
    ],
)
def test_a_source_that_is_none_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        open_source(name, **options)


def test_files_and_folders_of_another_kind_are_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tpage_title\n")
    with pytest.raises(ValueError, match="no WIT file: it has no column 'context_section_description'"):
        read_wit(tmp_path / "x.tsv")
    (tmp_path / "x.tsv.gz").write_text("not compressed")
    with pytest.raises(ValueError, match="Cannot read items from .*Not a gzipped file"):
        read_wit(tmp_path / "x.tsv.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no metadata.csv, metadata.jsonl or metadata.parquet and no image is in it"):
        read_image_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="there is no such folder"):
        read_image_folder(tmp_path / "gone")
