import io

import PIL.Image
import pytest
from datasets import Dataset, DatasetDict, Features, Image, Value

from comem_hf.evaluation.benchmarks.files.dataset_table import DatasetTable, split_of
from tests.conftest import make_image


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    make_image(seed).save(buffer, format="PNG")
    return buffer.getvalue()


def dataset(pictures) -> Dataset:
    rows = [{"id": str(number), "image": picture} for number, picture in enumerate(pictures)]
    return Dataset.from_list(rows, features=Features({"id": Value("string"), "image": Image()}))


def test_pictures_that_were_pil_images_bytes_or_paths_are_found(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(2))
    table = DatasetTable(dataset([make_image(1), {"bytes": encoded(1), "path": None}, str(tmp_path / "a.png"), None]))
    pictures = [picture for _, picture in table.rows(["id"])]
    assert PIL.Image.open(io.BytesIO(pictures[0].read())).tobytes() == make_image(1).tobytes()
    assert pictures[1].read() == encoded(1)
    assert pictures[2:] == [tmp_path / "a.png", None]


def test_chosen_and_transformed_rows_are_read_as_they_are_stored():
    whole = dataset([{"bytes": encoded(number), "path": None} for number in range(4)])
    some = whole.select([3, 1]).with_transform(lambda batch: 1 / 0)
    rows = list(DatasetTable(some).rows(["id"]))
    assert [row.fields["id"] for row, _ in rows] == ["3", "1"]
    assert [picture.read() for _, picture in rows] == [encoded(3), encoded(1)]
    assert rows[1][0].where == "'the data set', row 2"


def test_a_split_goes_by_several_names():
    splits = DatasetDict({"validation": dataset([None]), "train": dataset([None, None])})
    assert len(split_of(splits, ["val", "validation"])) == 1
    assert len(split_of(splits["train"], ["val"])) == 2
    with pytest.raises(ValueError, match="has no split 'test'; it has \\['train', 'validation'\\]"):
        split_of(splits, ["test"])


def test_what_is_no_such_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got IterableDataset; a streamed data set is to be downloaded first"):
        split_of(dataset([None]).to_iterable_dataset(), ["test"])
    with pytest.raises(ValueError, match="The data set has no column `answer`; it has"):
        list(DatasetTable(dataset([None])).rows(["answer"]))
    with pytest.raises(ValueError, match="must have `bytes` and `path`, but are string"):
        list(DatasetTable(Dataset.from_list([{"id": "1", "image": "a.png"}])).rows(["id"]))
    with pytest.raises(ValueError, match="is no whole folder of `save_to_disk`"):
        split_of(tmp_path, ["test"])
