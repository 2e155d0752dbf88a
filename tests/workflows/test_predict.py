"""Chunks in, chunks out."""

import pytest

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.csv import encoding, records, sniff
from mlpcli.errors import DataError
from mlpcli.workflows.predict import predict, predict_to_file
from mlpcli.workflows.predicting import chunks as predicted_chunks
from mlpcli.workflows.predicting.chunks import PredictRequest
from mlpcli.workflows.reading.tables import describe_counts
from tests.program import DATA, train, write_csv


def test_rows_are_written_while_they_are_read(iris, monkeypatch):
    asked, map_tables = [], predicted_chunks.map_tables
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 512)
    monkeypatch.setattr(records, "BATCH_SIZE", 1024)
    monkeypatch.setattr(sniff, "SAMPLE_SIZE", 512)

    def in_chunks(*arguments, **options):
        for batch in map_tables(*arguments, **options):
            asked.append(len(written))
            yield batch

    written = []
    monkeypatch.setattr(predicted_chunks, "map_tables", in_chunks)
    summary = predict(PredictRequest(str(iris), str(DATA / "iris.csv")), written.append)
    assert summary.n_rows == 150
    assert b"".join(written).count(b"\n") == 151
    assert len(asked) > 2
    assert asked == sorted(set(asked))  # each chunk was written before the next was read


def test_a_file_appears_when_it_is_whole_and_not_at_all_otherwise(folder, iris):
    write_csv(folder / "bad.csv", ["sepal_length", "sepal_width", "petal_length", "petal_width"], [(1, 2, 3, "x")])
    with pytest.raises(DataError):
        predict_to_file(PredictRequest(str(iris), "bad.csv"), "out.csv")
    assert [path.name for path in folder.iterdir()] == ["bad.csv"]


def test_a_table_without_a_header_gives_answers_without_one(folder):
    text = (DATA / "iris.csv").read_text().partition("\n")[2]
    (folder / "t.csv").write_text(text)
    weights = train(folder, {"train": "t.csv", "target": "c5", "header": False})
    written = []
    predict(PredictRequest(str(weights), "t.csv"), written.append)
    lines = b"".join(written).decode().splitlines()
    assert len(lines) == 150
    assert set(lines) <= {"setosa", "versicolor", "virginica"}


def test_what_was_odd_is_one_line():
    assert describe_counts(TransformCounts({}, {})) == ""
    assert describe_counts(TransformCounts({"age": 1}, {})) == "1 missing cell (age 1)"
    assert describe_counts(TransformCounts({"age": 2, "sex": 1}, {"island": 1})) == (
        "3 missing cells (age 2, sex 1), 1 cell unseen or rare in training (island 1)"
    )
    many = {f"c{number}": 1 for number in range(9)}
    assert describe_counts(TransformCounts(many, {})).endswith("c5 1, 3 more columns)")
