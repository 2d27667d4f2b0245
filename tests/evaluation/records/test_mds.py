import json
import struct

import pytest

from comem_hf.evaluation.records.mds import MdsFolder
from tests.evaluation.benchmark_formats import FORMATS, change_json
from tests.evaluation.records.mds_writer import write_mds


ENCODINGS = {"id": "str", "n": "int", "x": "json", "b": "bytes"}


def sample(number: int) -> dict[str, bytes]:
    values = {"id": f"é{number}".encode(), "n": struct.pack("<q", -number), "x": b'{"a": [1]}', "b": bytes(number)}
    return values


@pytest.fixture
def folder(tmp_path):
    write_mds(tmp_path / "mds", ENCODINGS, [[sample(0), sample(1)], [sample(2)]])
    return tmp_path / "mds"


def test_samples_of_all_shards_are_read_and_columns_alone(folder):
    mds = MdsFolder(folder)
    assert list(mds.each("id")) == [(0, 0, "é0"), (0, 1, "é1"), (1, 0, "é2")]
    assert mds.sample(1, 0) == {"id": "é2", "n": -2, "x": {"a": [1]}, "b": b"\0\0"}
    assert mds.sample(0, 1, ["n"]) == {"n": -1}
    assert mds.where(0, 1) == f"{str(folder / 'shard.00000.mds')!r}, sample 1"


def test_a_folder_that_mosaicml_streaming_wrote_is_read():
    mds = MdsFolder(FORMATS / "comem_release/infoseek_record_base")
    assert [value for _, _, value in mds.each("data_id")] == [f"infoseek_val_0000000{number}" for number in range(4)]
    assert mds.sample(0, 1, ["answer_eval"])["answer_eval"][0]["range"] == [378.0, 462.0]


def test_a_pickled_column_is_never_read(tmp_path):
    write_mds(tmp_path, {"id": "str", "x": "pkl"}, [[{"id": b"1", "x": b"cos\nsystem\n(S'true'\ntR."}]])
    with pytest.raises(ValueError, match="the column `x` is pickled, and pickles can run code"):
        MdsFolder(tmp_path)


def test_a_column_of_an_encoding_that_is_not_read_is_named_when_it_is_asked_for(tmp_path):
    write_mds(tmp_path, {"id": "str", "x": "ndarray"}, [[{"id": b"1", "x": b"?"}]])
    assert list(MdsFolder(tmp_path).each("id")) == [(0, 0, "1")]
    with pytest.raises(ValueError, match="sample 0 cannot be read \\(the column `x` is encoded as 'ndarray'"):
        MdsFolder(tmp_path).sample(0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.pop("shards"), "lists no `shards`"),
        (lambda index: index["shards"][1].pop("samples"), "shard 1 lacks 'samples'"),
        (lambda index: index["shards"][1].update(format="json"), "shard 1 is not in the MDS format, but 'json'"),
        (lambda index: index["shards"][1]["raw_data"].update(basename="../x.mds"), "shard 1 must lie in this folder"),
        (lambda index: index["shards"][1]["raw_data"].update(basename="x.mds"), "x.mds' is missing, which"),
        (
            lambda index: index["shards"][1].update(column_sizes=[None] * 4),
            "shard.00001.mds', sample 0 cannot be read",
        ),
        (lambda index: index["shards"][0].update(samples=9), "shard.00000.mds' holds 2 samples, but should hold 9"),
    ],
)
def test_an_index_that_is_wrong_is_refused(folder, change, message):
    change_json(folder / "index.json", change)
    with pytest.raises(ValueError, match=message):
        list(MdsFolder(folder).each("n"))


def test_a_shard_that_was_cut_off_or_is_there_only_compressed_is_refused(folder):
    path = folder / "shard.00001.mds"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=f"shard.00001.mds' has {len(whole) - 1} bytes, but should have {len(whole)}"):
        MdsFolder(folder)
    path.unlink()
    change_json(folder / "index.json", lambda index: index["shards"][1].update(compression="zstd"))
    with pytest.raises(ValueError, match="there only compressed \\(zstd\\); decompress it beside"):
        MdsFolder(folder)
    path.write_bytes(whole)
    assert len(list(MdsFolder(folder).each("id"))) == 3


def test_a_sample_that_is_damaged_is_named(folder):
    path = folder / "shard.00001.mds"
    content = bytearray(path.read_bytes())
    begin = struct.unpack_from("<I", content, 4)[0]
    content[begin] ^= 1  # the size of a column
    path.write_bytes(content)
    with pytest.raises(ValueError, match="shard.00001.mds', sample 0 cannot be read \\(its columns do not fill it\\)"):
        MdsFolder(folder).sample(1, 0)


def test_shards_of_different_columns_are_refused(folder):
    change_json(folder / "index.json", lambda index: index["shards"][1]["column_names"].__setitem__(0, "other"))
    with pytest.raises(ValueError, match="shard.00001.mds' has the columns .*'other'"):
        MdsFolder(folder)


def test_no_folder_or_no_index_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no MDS folder: it has no index.json"):
        MdsFolder(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"shards": []})[:-2])
    with pytest.raises(ValueError, match="index.json', line 1 is no valid JSON"):
        MdsFolder(tmp_path)
