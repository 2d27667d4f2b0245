"""The same rows from every source."""

import io
import json
from types import SimpleNamespace

import datasets
import pytest
from accelerate.data_loader import IterableDatasetShard
from huggingface_hub import HfFileSystem
from torch.utils.data import DataLoader

from comem_hf.modeling.picture_comem import load_image
from comem_hf.training import MemoryDataset, MemoryStream, open_training_data
from tests.conftest import make_image
from tests.local_hub.repository import File, Repository
from tests.picture_forms import encode


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def rows() -> list[dict]:
    return [
        {
            "image": {"bytes": encode(make_image(i)), "path": None},
            "messages": [{"role": "user", "content": f"What is {i}?"}, {"role": "assistant", "content": str(i)}],
            "memories": [item(i)] * (i % 3),
            "entity": f"e{i}",
        }
        for i in range(6)
    ]


def item(number: int) -> dict:
    """An item with one picture, or from the third row on with two."""
    pictures = [{"bytes": encode(make_image(number + side)), "path": None} for side in range(2)]
    return {"text": f"Item {number}"} | ({"image": pictures[0]} if number < 3 else {"images": pictures})


def says(samples) -> list:
    """What samples say, with their pictures' pixels."""
    return [
        (
            sample.messages,
            [load_image(image).tobytes() for image in sample.images],
            [([picture.tobytes() for picture in item.load_images()], item.text) for item in sample.memories],
            sample.name.rpartition(", ")[2],
        )
        for sample in samples
    ]


def test_every_source_gives_the_same_samples(rows, tmp_path):
    expected = says(MemoryDataset(rows))
    table = datasets.Dataset.from_list(rows)
    folder, saved, splits, parquet = (tmp_path / name for name in ("folder", "saved", "splits", "rows.parquet"))
    folder.mkdir()
    for part, name in ((table.select(range(4)), "train-0"), (table.select(range(4, 6)), "train-1")):
        part.to_parquet(folder / f"{name}.parquet")
    table.to_parquet(parquet)
    table.save_to_disk(saved)
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(splits)
    pictures = table.cast_column("image", datasets.Image())
    for source in (rows, table, pictures, str(folder), saved, splits, parquet, str(parquet)):
        opened = open_training_data(source)
        assert says(opened) == expected, source
        assert opened.item_counts.tolist() == [0, 1, 2, 0, 1, 2]
        assert opened.entities == {"entity": {f"e{i}" for i in range(6)}}
    assert len(open_training_data(splits, split="test")) == 1
    for source in (rows, table, pictures.to_iterable_dataset(), str(folder), parquet):
        stream = open_training_data(source, streaming=True)
        assert isinstance(stream, MemoryStream)
        assert says(stream) == says(stream) == expected, source
    generated = datasets.IterableDataset.from_generator(lambda: iter(rows))
    assert says(open_training_data(generated)) == expected
    chosen = says(open_training_data(table.select([5, 1])))
    assert [sample[:3] for sample in chosen] == [expected[5][:3], expected[1][:3]]
    loader = DataLoader(open_training_data(parquet, streaming=True), batch_size=1, num_workers=2, collate_fn=list)
    assert says(sample for batch in loader for sample in batch) == expected
    with pytest.raises(ValueError, match="splits has the splits train, test; got `split='dev'`"):
        open_training_data(splits, split="dev")


def test_paths_start_from_the_file_or_folder_unless_it_is_said(data_file, tmp_path):
    expected = says(open_training_data(data_file))
    for options in ({"streaming": True}, {"base_dir": data_file.parent}, {"split": "train"}):
        assert says(open_training_data(str(data_file), **options)) == expected
    rows = [json.loads(line) for line in data_file.read_text().splitlines()]
    assert says(open_training_data(rows, base_dir=data_file.parent)) == expected
    for image in data_file.parent.glob("*.png"):
        image.rename(tmp_path / image.name)
    with pytest.raises(
        ValueError, match="train.jsonl: 4 of 4 rows .*may be left out: train.jsonl, row 1: `image` name"
    ):
        open_training_data(data_file)
    assert says(open_training_data(data_file, base_dir=tmp_path)) == expected


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("none.jsonl", {}, r"There is no training data at 'none.jsonl'"),
        ("a/b/c", {}, r"There is no training data at 'a/b/c'; give a .jsonl, .json or .parquet file, a folder"),
        ("none.parquet", {}, r"There is no training data at 'none.parquet'"),
        (5, {}, r"`source` must be a file, a folder, .* got int"),
        ([], {}, r"data set holds no rows"),
        ("empty.parquet", {}, r"empty.parquet holds no rows"),
        ([], {"streaming": True, "shuffle_buffer": -1}, r"`shuffle_buffer` must be a number of rows"),
    ],
)
def test_what_is_no_training_data_is_refused(source, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.Dataset.from_dict({"question": [], "answer": []}).to_parquet("empty.parquet")
    with pytest.raises(ValueError, match=message):
        open_training_data(source, **options)


@pytest.fixture
def publish(hub, monkeypatch):
    """Puts files into a data set of the Hub that `datasets` asks."""
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)

    def put(name: str, files: dict[str, bytes]) -> str:
        repository = hub.repositories["dataset", name] = Repository(name)
        repository.commit("main", {path: File(content) for path, content in files.items()})
        HfFileSystem.clear_instance_cache()
        return name

    yield put
    HfFileSystem.clear_instance_cache()


def test_a_data_set_of_the_hub_holds_its_pictures_and_reads_no_file_of_this_machine(
    publish, rows, data_file, monkeypatch
):
    buffer = io.BytesIO()
    datasets.Dataset.from_list(rows).cast_column("image", datasets.Image()).to_parquet(buffer)
    name = publish("ann/rows", {"data/train-0.parquet": buffer.getvalue()})
    expected = says(MemoryDataset(rows))
    for options in ({}, {"streaming": True}, {"revision": "main", "split": "train"}):
        assert says(open_training_data(name, **options)) == expected
    with pytest.raises(ValueError, match="'ann/none' cannot be opened: .*ann/none"):
        open_training_data("ann/none")

    lines = publish("ann/lines", {"train.jsonl": data_file.read_bytes()})
    for streaming in (False, True):
        with pytest.raises(ValueError, match=r"^ann/lines, row 1: `image` names a file .*give `base_dir`"):
            list(open_training_data(f"hf://datasets/{lines}@main", streaming=streaming))
    assert len(open_training_data(lines, base_dir=data_file.parent)) == 4

    builder = SimpleNamespace(config=SimpleNamespace(data_files={"train": ["/private.jsonl"]}))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *arguments, **options: builder)
    with pytest.raises(ValueError, match="'ann/lines' is refused: it names '/private.jsonl', a file outside it"):
        open_training_data(lines)  # before version 5 `datasets` did not mind
    monkeypatch.chdir(data_file.parents[1])
    with pytest.raises(ValueError, match="cannot be read where a folder 'data' exists"):
        open_training_data("hf://datasets/data")


def test_a_file_that_changes_is_not_read_on(data_file):
    opened = open_training_data(data_file)
    data_file.write_text(data_file.read_text() + "\n")
    with pytest.raises(ValueError, match="has changed since it was opened"):
        opened[0]


# Streams


def test_workers_and_passes_of_a_stream():
    rows = [{"question": "?", "answer": str(i)} for i in range(23)]
    stream = open_training_data(rows, streaming=True, shuffle_buffer=5).in_blocks(2)

    def answers(workers: int = 0) -> list[str]:
        loader = DataLoader(stream, batch_size=2, num_workers=workers, collate_fn=list)
        return [sample.messages[1]["content"][0]["text"] for batch in loader for sample in batch]

    first = answers()
    assert sorted(first, key=int) == [str(i) for i in range(23)] != first
    assert answers() == first
    assert answers(workers=2) == first
    for workers in (0, 2):  # of each of two processes, as `accelerate` divides a stream
        shares = [
            DataLoader(
                IterableDatasetShard(stream.in_blocks(4), batch_size=2, num_processes=2, process_index=process),
                batch_size=2,
                num_workers=workers,
                collate_fn=lambda samples: [sample.messages[1]["content"][0]["text"] for sample in samples],
            )
            for process in range(2)
        ]
        together = [answer for batches in zip(*shares, strict=True) for batch in batches for answer in batch]
        assert together[:23] == first
    stream.set_epoch(1)
    assert sorted(answers()) == sorted(first) != answers()


def test_a_stream_leaves_out_missing_pictures_and_refuses_many(data_file):
    good = json.loads(data_file.read_text().splitlines()[0])
    bad = {**good, "image": "none.png"}
    few = open_training_data([*[good] * 30, bad], base_dir=data_file.parent, streaming=True)
    assert len(list(few)) == 30
    many = open_training_data([*[good] * 10, bad], base_dir=data_file.parent, streaming=True)
    with pytest.raises(ValueError, match=r"1 of 11 rows \(9.1%\) cannot be used.*none.png"):
        list(many)
    with pytest.raises(ValueError, match=r"^data set, row 2: `answer` must be a text"):
        list(open_training_data([good, {"question": "?"}], base_dir=data_file.parent, streaming=True))
