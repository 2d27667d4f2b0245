import gc
import re
import shutil

import pytest
from datasets import load_dataset

from comem_hf.evaluation.benchmarks import BENCHMARKS, languages_of, load_benchmark, splits_of
from comem_hf.modeling.memory_item import load_image
from tests.evaluation.benchmark_formats import FORMATS, copied


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_is_read_from_its_folder_and_its_pictures_open(name):
    found = load_benchmark(name, FORMATS / name)
    assert [benchmark.name for benchmark in found] == [name] * len(languages_of(name))
    for benchmark in found:
        assert len({question.id for question in benchmark.questions}) == len(benchmark.questions) > 0
        assert all(path.is_file() for path in benchmark.files) and benchmark.files
        for question in benchmark.questions:
            assert question.language == benchmark.language and question.reference
            picture = question.picture
            assert min(load_image(picture.read() if hasattr(picture, "read") else picture).size) > 8


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_limit_takes_the_first_questions(name):
    whole, some = load_benchmark(name, FORMATS / name), load_benchmark(name, str(FORMATS / name), limit=1)
    assert [benchmark.questions[0].id for benchmark in some] == [benchmark.questions[0].id for benchmark in whole]
    assert [len(benchmark.questions) for benchmark in some] == [1] * len(whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vqa"}, "The benchmark must be one of \\['infoseek', .*got 'vqa'"),
        ({"split": "dev"}, "`split` of 'okvqa' must be one of \\['val', 'train'\\], got 'dev'"),
        ({"languages": ["es"]}, "`languages` of 'okvqa' must be some of \\['en'\\], each once, got \\['es'\\]"),
        ({"languages": []}, "`languages` of 'okvqa' must be"),
        ({"languages": ["en", "en"]}, "`languages` of 'okvqa' must be"),
        ({"limit": 0}, "`limit` must be a whole number from 1"),
        ({"folder": FORMATS / "nowhere"}, "nowhere' is no folder"),
        ({"folder": 7}, "`datasets.DatasetDict`, got int"),
        ({"name": "infoseek", "folder": []}, "'infoseek' is read from its files: pass their folder, got list"),
    ],
)
def test_an_argument_that_is_wrong_is_refused_with_the_choices(arguments, message):
    arguments = {"name": "okvqa", "folder": FORMATS / "okvqa", **arguments}
    with pytest.raises(ValueError, match=message):
        load_benchmark(**arguments)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("name", "folder", "split"),
    [
        ("mrag", "mrag/data", "test"),
        ("okvqa", "okvqa/hf_lmms_lab/data", "val2014"),
        ("aokvqa", "aokvqa/hf_m4/data", "validation"),
        ("cvqa", "cvqa/data", "test"),
    ],
)
def test_missing_files_of_a_split_are_noted(name, folder, split, tmp_path):
    for number, path in enumerate(sorted((FORMATS / folder).glob("*.parquet"))):
        shutil.copy(path, tmp_path / f"{split}-{number:05}-of-00028.parquet")
    for benchmark in load_benchmark(name, tmp_path):
        assert re.fullmatch(
            r"Only \d+ of the 28 files of the split are there: scores are of a part only\.", *benchmark.notes
        )


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_folder_without_the_files_is_refused_by_the_name_of_what_is_missing(name, tmp_path):
    with pytest.raises(ValueError, match="infoseek_val|oven_entity_val.jsonl|Parquet files of the split"):
        load_benchmark(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "file"), [("infoseek", "infoseek_val.jsonl"), ("viquae", "test.jsonl"), ("oven", "oven_entity_val.jsonl")]
)
def test_an_empty_file_and_one_that_was_cut_off_are_refused(name, file, tmp_path):
    path = copied(name, tmp_path) / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    last = whole.count(b"\n")
    with pytest.raises(ValueError, match=f"{file}', line {last} is no valid JSON .*cut off"):
        load_benchmark(name, path.parent)
    path.write_bytes(b"\n")
    split = "entity_val" if name == "oven" else None
    with pytest.raises(ValueError, match="There are no questions of"):
        load_benchmark(name, path.parent, split=split)


@pytest.mark.parametrize(
    ("name", "files", "split"),
    [
        ("mrag", "mrag/data/*.parquet", "test"),
        ("okvqa", "okvqa/hf_lmms_lab/data/*.parquet", "val2014"),
        ("aokvqa", "aokvqa/hf_m4/data/*.parquet", "validation"),
        ("cvqa", "cvqa/data/*.parquet", "test"),
    ],
)
def test_a_data_set_and_its_saved_folder_give_what_the_files_give(name, files, split, tmp_path):
    splits = load_dataset("parquet", data_files={split: str(FORMATS / files)}, cache_dir=str(tmp_path / "cache"))
    expected = load_benchmark(name, (FORMATS / files).parent)
    splits.save_to_disk(str(tmp_path / "saved"))
    for source in (splits, splits[split], tmp_path / "saved"):
        found = load_benchmark(name, source)
        for one, other in zip(expected, found, strict=True):
            assert one.language == other.language and len(one.questions) == len(other.questions)
            for first, second in zip(one.questions, other.questions, strict=True):
                assert (first.id, first.reference, first.options) == (second.id, second.reference, second.options)
                assert first.picture.read() == second.picture.read()


def test_the_first_split_and_language_are_those_that_the_paper_scores():
    assert [splits_of(name)[0] for name in BENCHMARKS] == ["val", "val", "test", "val", "val", "test", "test", "val"]
    assert languages_of("cvqa") == languages_of("infoseek_multilingual") == ("zh", "ru", "es", "pt", "bg")
