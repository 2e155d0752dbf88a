import pytest

from benchmarks.quality.report import ablation, standings, write_page

MACHINE = {"processor": "abacus", "system": "wood", "memory_gb": 1, "python": "3", "when": "2000-01-01", "versions": {}}


def run(contestant, rmse, dataset="houses"):
    times = {"seconds": 1.0, "cpu_seconds": 0.9, "fit_seconds": 0.5}
    return {"dataset": dataset, "contestant": contestant, "seed": 0, "n_test": 9, "scores": {"rmse": rmse}, **times}


def test_the_tables_name_the_first_first_and_say_what_is_not_there():
    tables = standings([run("a", 2.0), run("b", 1.0), run("a", 1.0, "boats")], ["a", "b", "c"], "a")
    assert tables.index("| b ") < tables.index("| a ")
    assert "-50.0%" in tables
    assert "Not measured: c." in tables
    assert "not all contestants were measured there: boats." in tables


def test_a_contestant_that_takes_few_datasets_is_not_ranked_and_leaves_the_others_theirs():
    datasets = ["houses", "boats", "cars"]
    runs = [run(name, error, one) for name, error in (("a", 2.0), ("b", 1.0)) for one in datasets]
    tables = standings([*runs, run("slow", 0.5)], ["a", "b", "slow"], "a")
    overall, each = tables.split("**houses**")
    assert "Over 3 datasets" in overall
    assert "measured on less than half of the datasets: slow." in overall
    assert "| slow " not in overall
    assert "| slow " in each


def test_a_part_that_helps_stands_above_one_that_does_harm():
    runs = [run("strong", 2.0), run("strong without good", 3.0), run("strong without bad", 1.0)]
    table = ablation(runs, "strong", ["strong without bad", "strong without good"])
    assert table.index("| without good ") < table.index("| without bad ")
    assert "+50.0%" in table


def test_a_page_keeps_its_prose_around_the_tables(tmp_path):
    page = tmp_path / "quality.md"
    write_page(page, "quality", "old", MACHINE)
    page.write_text(page.read_text() + "prose\n")
    write_page(page, "ablation", "parts", MACHINE)
    write_page(page, "quality", "new", MACHINE)
    text = page.read_text()
    assert "abacus" in text
    assert "old" not in text
    assert text.index("new") < text.index("parts") < text.index("prose")


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "quality.md"
    page.write_text("prose")
    with pytest.raises(ValueError, match="to write between"):
        write_page(page, "quality", "new", MACHINE)
    assert page.read_text() == "prose"
