import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, copied


FILE = "data/test-00000-of-00010.parquet"


def change_rows(folder, change) -> None:
    table = pq.read_table(folder / FILE)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / FILE)


def test_each_of_the_papers_subsets_is_a_benchmark_and_others_are_left_out():
    found = load_benchmark("cvqa", FORMATS / "cvqa")
    assert [benchmark.language for benchmark in found] == ["zh", "ru", "es", "pt", "bg"]
    assert [len(benchmark.questions) for benchmark in found] == [1] * 5  # a sixth row is Japanese
    (question,) = found[0].questions
    assert question.options == ("长江", "珠江", "黄河", "黑龙江")
    assert question.reference == {"Options": [*question.options], "Label": 2, "Subset": "('Chinese', 'China')"}
    assert (question.language, question.kind) == ("zh", "Geography / Buildings / Landmarks")
    assert len(question.picture.read()) == 909


def test_the_limit_counts_for_each_language(tmp_path):
    folder = copied("cvqa", tmp_path)
    change_rows(
        folder, lambda rows: rows.extend([{**rows[0], "ID": "7"}, {**rows[0], "ID": "8"}, {**rows[1], "ID": "9"}])
    )
    found = load_benchmark("cvqa", folder, languages=["es", "zh"], limit=2)
    assert [[question.id[:1] for question in benchmark.questions] for benchmark in found] == [["5", "9"], ["5", "7"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1].update(Label=4), "row 2: `Label` must be a whole number from 0 to 3, got 4"),
        (lambda rows: rows[1].update(Options=[]), "row 2: `Options` must be a list of strings"),
        (
            lambda rows: rows[1].update(ID=rows[0]["ID"]),
            "row 2: `ID` '5900000000000000000_0' is that of row 1 already",
        ),
        (lambda rows: rows[1].update(Question=None), "row 2: `Question` must be a string, got None"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_file_and_row(tmp_path, change, message):
    folder = copied("cvqa", tmp_path)
    change_rows(folder, change)
    with pytest.raises(ValueError, match=f"test-00000-of-00010.parquet', {message}"):
        load_benchmark("cvqa", folder)


def test_a_language_without_rows_is_left_out_unless_it_was_asked_for(tmp_path):
    folder = copied("cvqa", tmp_path)
    change_rows(folder, lambda rows: rows.pop(2))
    assert [benchmark.language for benchmark in load_benchmark("cvqa", folder)] == ["zh", "es", "pt", "bg"]
    with pytest.raises(ValueError, match="no questions of the language 'ru'"):
        load_benchmark("cvqa", folder, languages=["zh", "ru"])


def test_rows_without_labels_can_be_read(tmp_path):
    folder = copied("cvqa", tmp_path)
    change_rows(folder, lambda rows: [row.update(Label=None) for row in rows])
    assert load_benchmark("cvqa", folder, languages=["es"])[0].questions[0].reference is None
