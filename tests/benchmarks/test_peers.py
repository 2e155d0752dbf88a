import pandas as pd

from benchmarks.quality.contestants import CONTESTANTS
from benchmarks.quality.peers import PEERS, categorize, read, spell_out, texts_of


def test_every_peer_has_a_way_to_be_fitted():
    assert set(PEERS) == {contestant.name for contestant in CONTESTANTS.values() if contestant.needs}


def test_a_missing_text_is_a_level_where_texts_are_spelled_out_and_missing_where_they_are_categories(tmp_path):
    tables = {"train": "town,age,y\nrome,1,a\n,,b\nparis,3,a\n", "test": "town,age,y\noslo,,a\n,2,b\n"}
    files = [tmp_path / f"{name}.csv" for name in tables]
    for file, text in zip(files, tables.values(), strict=True):
        file.write_text(text)
    X, y, X_test = read(*map(str, files), "y", "classification")
    assert y.tolist() == ["a", "b", "a"]
    assert texts_of(X) == ["town"]
    spelled, spelled_test = spell_out(X, X_test)
    assert spelled["town"].tolist() == ["rome", "", "paris"]
    assert spelled_test["town"].tolist() == ["oslo", ""]
    assert spelled["age"].isna().tolist() == [False, True, False]
    categories, categories_test = categorize(X, X_test)
    assert isinstance(categories["town"].dtype, pd.CategoricalDtype)
    assert categories["town"].isna().tolist() == [False, True, False]
    assert categories_test["town"].isna().all()
