import errno
import os
import shutil
import subprocess
import sys
import threading

import pytest

from mlpcli.errors import OutputError
from mlpcli.storage.run.run_directory import RunDirectory, repair


def train(output, text=b"new", resume=False, extra=()):
    """A whole run; returns what `begin` had to say."""
    with RunDirectory(str(output)) as run:
        notes = run.begin(resume)
        run.write("config.yaml", b"seed: 0\n")
        run.append_history({"epoch": 1, "loss": 0.5})
        run.write("checkpoint.npz", text)
        run.write("weights.npz", text)
        for name in extra:
            run.write(name, text)
        run.finish()
    return notes


def interrupt(output, text=b"half"):
    """A run that ends after its first checkpoint."""
    with RunDirectory(str(output)) as run:
        run.begin(resume=False)
        run.append_history({"epoch": 1, "loss": 0.5})
        run.append_history({"epoch": 2, "loss": 0.4})
        run.write("checkpoint.npz", text)
        run.write("weights.npz", text)


def interrupt_by_a_kill(output):
    """What Ctrl-C leaves, where an older run has left something as well."""
    partial = output.with_name(output.name + ".partial")
    partial.mkdir()
    for name in ("checkpoint.npz", "weights.npz"):
        (partial / name).write_bytes(b"half")


def tree(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder)
        for root, folders, files in os.walk(folder)
        for name in [*files, *(name + "/" for name in folders if not os.listdir(os.path.join(root, name)))]
    )


RUN = ["x/checkpoint.npz", "x/config.yaml", "x/history.csv", "x/weights.npz"]


# The life of a run


def test_a_run_is_there_only_when_it_is_finished(tmp_path):
    output = tmp_path / "runs" / "x"
    with RunDirectory(str(output)) as run:
        assert run.begin(resume=False) == ()
        assert (run.final, run.partial) == (str(output), f"{output}.partial")
        run.write("weights.npz", b"new")
        assert not output.exists()
        assert run.path("weights.npz") == f"{output}.partial/weights.npz"
        run.finish()
        assert tree(tmp_path) == ["runs/x/weights.npz"]


def test_a_second_run_replaces_the_first_and_nothing_is_left_beside_it(tmp_path):
    train(tmp_path / "x", b"old")
    assert train(tmp_path / "x", b"new") == ()
    assert tree(tmp_path) == RUN
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"new"
    assert (tmp_path / "x" / "history.csv").read_bytes() == b"epoch,loss\n1,0.5\n"


def test_a_run_that_fails_leaves_the_last_good_one(tmp_path):
    train(tmp_path / "x", b"old")
    interrupt(tmp_path / "x")
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"old"
    assert tree(tmp_path) == [
        "x.partial/checkpoint.npz",
        "x.partial/history.csv",
        "x.partial/weights.npz",
        *RUN,
    ]


def test_a_run_that_fails_before_it_has_written_leaves_nothing(tmp_path):
    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=False)
    assert tree(tmp_path) == []


def test_a_fresh_run_replaces_an_unfinished_one_and_says_so(tmp_path):
    interrupt(tmp_path / "x")
    assert train(tmp_path / "x") == (
        f"An unfinished run in {tmp_path / 'x'}.partial was replaced. To continue one instead: --resume",
    )
    assert tree(tmp_path) == RUN


def test_a_resumed_run_finds_its_checkpoint_and_history(tmp_path):
    train(tmp_path / "x", b"old")
    interrupt(tmp_path / "x")
    with RunDirectory(str(tmp_path / "x")) as run:
        assert run.begin(resume=True) == ()
        with open(run.path("checkpoint.npz"), "rb") as file:
            assert file.read() == b"half"
        run.rewind_history(1)
        run.append_history({"epoch": 2, "loss": 0.25})
        run.finish()
    assert (tmp_path / "x" / "history.csv").read_bytes() == b"epoch,loss\n1,0.5\n2,0.25\n"


def test_with_nothing_to_resume_a_run_starts_and_says_so(tmp_path):
    for output in (tmp_path / "x", tmp_path / "no" / "x"):
        with RunDirectory(str(output)) as run:
            assert run.begin(resume=True) == (
                f"No checkpoint in {output}.partial: nothing to resume, the training starts from the beginning.",
            )
            assert not run.can_resume
    assert tree(tmp_path) == ["no"]


def test_what_a_kill_has_left_without_a_checkpoint_is_not_gone_on_from(tmp_path):
    (tmp_path / "x.partial").mkdir()
    (tmp_path / "x.partial" / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=True)
        assert not os.listdir(run.partial)


def test_the_same_command_with_resume_trains_anew_where_the_run_is_complete(tmp_path):
    train(tmp_path / "x", b"old")
    assert len(train(tmp_path / "x", b"new", resume=True)) == 1
    assert tree(tmp_path) == RUN
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"new"


def test_a_run_without_weights_is_never_finished(tmp_path):
    train(tmp_path / "x", b"old")
    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=False)
        run.write("config.yaml", b"")
        with pytest.raises(ValueError, match=r"weights\.npz"):
            run.finish()
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"old"


def test_a_run_that_was_removed_before_its_last_step_is_an_output_error(tmp_path):
    train(tmp_path / "x", b"old")
    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=False)
        run.write("weights.npz", b"new")
        shutil.rmtree(run.partial)
        with pytest.raises(OutputError, match=r"x\.partial: was removed during the training"):
            run.finish()
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"old"
    assert tree(tmp_path) == RUN


def test_temporaries_of_a_killed_run_are_swept(tmp_path):
    interrupt(tmp_path / "x")
    (tmp_path / "x.partial" / ".mlp-1-ab.tmp").write_bytes(b"half")
    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=True)
        run.finish()
    assert ".mlp-1-ab.tmp" not in os.listdir(tmp_path / "x")


def test_what_the_user_keeps_in_a_run_moves_into_the_next_one(tmp_path):
    train(tmp_path / "x", b"old", extra=["roc.json"])
    (tmp_path / "x" / "notes.md").write_text("mine")
    (tmp_path / "x" / "plots").mkdir()
    (tmp_path / "x" / "plots" / "a.png").write_bytes(b"")
    train(tmp_path / "x", b"new", extra=["roc.json"])
    assert tree(tmp_path) == sorted([*RUN, "x/notes.md", "x/plots/a.png", "x/roc.1.json", "x/roc.json"])
    assert (tmp_path / "x" / "roc.json").read_bytes() == b"new"
    assert (tmp_path / "x" / "roc.1.json").read_bytes() == b"old"


def test_nothing_of_the_user_is_lost_where_names_repeat(tmp_path):
    for text in ("first", "second", "third"):
        (tmp_path / "x.partial" / "plots").mkdir(parents=True)
        (tmp_path / "x.partial" / "notes.md").write_text(text)
        (tmp_path / "x.partial" / "plots" / "a.png").write_text(text)
        train(tmp_path / "x")
    for pattern in ("*.md", "*/a.png"):
        assert sorted(path.read_text() for path in (tmp_path / "x").glob(pattern)) == ["first", "second", "third"]


# What is refused before the training


@pytest.mark.parametrize("output", [".", "..", "/", "x/..", "runs/x.partial", "x.lock", "x.replaced/", "x.complete"])
def test_a_name_that_no_run_can_have_is_refused(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError) as caught:
        RunDirectory(output)
    assert str(caught.value) == f"{output}: not a name for a run. Choose another output, such as runs/penguins."


@pytest.mark.parametrize("output", ["", "a\0b", "\ud800"])
def test_a_text_that_can_be_no_path_is_refused(output):
    with pytest.raises(OutputError, match="not a possible file name"):
        RunDirectory(output)


def test_a_slash_at_the_end_means_the_same_run(tmp_path):
    train(f"{tmp_path}/x/", b"old")
    train(tmp_path / "x")
    assert tree(tmp_path) == RUN


def begin_fails(output):
    with RunDirectory(str(output)) as run, pytest.raises(OutputError) as caught:
        run.begin(resume=False)
    return str(caught.value)


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.yaml").write_text("mine")
    assert begin_fails(tmp_path / "x") == (
        f"{tmp_path / 'x'}: is a folder with other files, not a run of mlp (no weights.npz). Choose another output."
    )
    assert tree(tmp_path) == ["x/config.yaml"]


def test_an_empty_folder_can_become_a_run(tmp_path):
    (tmp_path / "x").mkdir()
    train(tmp_path / "x")
    assert tree(tmp_path) == RUN


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "x").write_text("mine")
    assert begin_fails(tmp_path / "x") == (
        f"{tmp_path / 'x'}: is a file, not the folder of a run. Choose another output."
    )
    assert "is not a folder" in begin_fails(tmp_path / "x" / "y") or "in the way" in begin_fails(tmp_path / "x" / "y")
    (tmp_path / "z.partial").write_text("mine")
    assert begin_fails(tmp_path / "z") == (
        f"{tmp_path / 'z.partial'}: cannot be written: a file of that name is in the way. "
        "Remove it, or choose another place."
    )
    assert tree(tmp_path) == ["x", "z.partial"]


def test_a_run_that_cannot_be_looked_into_is_refused_before_the_training(tmp_path, monkeypatch):
    train(tmp_path / "x")

    def unreadable(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", unreadable)
    with RunDirectory(str(tmp_path / "x")) as run:
        for attempt in (run.check, lambda: run.begin(resume=False)):
            with pytest.raises(OutputError, match="no permission"):
                attempt()


def test_a_mount_point_is_refused_before_the_training(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path / "x"))
    assert begin_fails(tmp_path / "x") == (
        f"{tmp_path / 'x'}: is a mount point. Choose a folder inside it: {tmp_path / 'x'}/run"
    )


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    train(tmp_path / "disk" / "x", b"old")
    os.symlink("disk/x", tmp_path / "link")
    train(tmp_path / "link", b"new")
    assert os.readlink(tmp_path / "link") == "disk/x"
    assert (tmp_path / "link" / "weights.npz").read_bytes() == b"new"
    assert os.listdir(tmp_path / "disk") == ["x"]


@pytest.mark.parametrize("call", ["makedirs", "listdir"])
def test_a_place_that_cannot_be_written_is_refused_before_the_training(tmp_path, monkeypatch, call):
    def denied(path, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, call, denied)
    message = begin_fails(tmp_path / "x")
    monkeypatch.undo()
    assert message.endswith(f"no permission. Choose another place, or change the permissions of {tmp_path}.")
    assert not os.path.exists(tmp_path / "x.lock")


def test_a_full_disk_is_noticed_before_the_training(tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert "the disk is full" in begin_fails(tmp_path / "x")
    monkeypatch.undo()
    train(tmp_path / "x")


def test_two_trainings_at_once_are_refused_and_the_first_is_not_disturbed(tmp_path):
    with RunDirectory(str(tmp_path / "x")) as first:
        first.begin(resume=False)
        first.write("weights.npz", b"first")
        for resume in (False, True):
            with RunDirectory(str(tmp_path / "x")) as second, pytest.raises(OutputError, match="another training"):
                second.begin(resume)
        first.finish()
    assert tree(tmp_path) == ["x/weights.npz"]


# Crashes


CRASHING = """
import os, sys
from mlpcli.storage.run.run_directory import RunDirectory

output, call, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
run = RunDirectory(output)
run.begin(resume=False)
run.write("config.yaml", sys.argv[4].encode())
for name in ("checkpoint.npz", "weights.npz"):
    run.write(name, b"new")
run.append_history({"epoch": 1})
real, made = getattr(os, call), []

def crash(*args):
    made.append(1)
    if len(made) == nth:
        os._exit(9)  # as a kill or a power cut: nothing is tidied up
    return real(*args)

setattr(os, call, crash)
run.finish()
"""
# Before, between and after the three renames, and in the middle of clearing the old run.
CRASHES = [("rename", 1), ("rename", 2), ("rename", 3), ("unlink", 1), ("unlink", 3), ("rename", 4), ("rmdir", 1)]


def crash(output, call, nth, config="seed: 0\n"):
    train(output, b"old")
    (output / "notes.md").write_text("mine")
    arguments = [sys.executable, "-c", CRASHING, str(output), call, str(nth), config]
    done = subprocess.run(arguments, check=False, timeout=60)
    assert done.returncode == 9


@pytest.mark.parametrize(("call", "nth"), CRASHES)
def test_a_crash_in_the_last_step_is_repaired_at_the_next_begin(tmp_path, call, nth):
    output = tmp_path / "x"
    crash(output, call, nth)
    with RunDirectory(str(output)) as run:
        notes = run.begin(resume=False)
        was_complete = (call, nth) != ("rename", 1)
        assert (output / "weights.npz").read_bytes() == (b"new" if was_complete else b"old")
        assert bool(notes) is not was_complete
        assert (output / "notes.md").read_text() == "mine"
    assert tree(tmp_path) == sorted([*RUN, "x/notes.md"])


@pytest.mark.parametrize(("call", "nth"), CRASHES)
def test_a_reader_finds_a_complete_run_whatever_the_crash(tmp_path, call, nth):
    output = tmp_path / "x"
    crash(output, call, nth)
    assert repair(str(output))
    assert (output / "weights.npz").read_bytes() == (
        b"old" if (call, nth) in (("rename", 1), ("rename", 2)) else b"new"
    )


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("next_step", ["read", "train"])
def test_an_old_run_of_another_config_survives_a_crash_at_every_rename(tmp_path, nth, next_step):
    output = tmp_path / "x"
    crash(output, "rename", nth, "seed: 1\n")
    if next_step == "read":
        assert repair(str(output))
    else:
        with RunDirectory(str(output)) as run:
            run.begin(resume=False)
    runs = {name: (tmp_path / name / "weights.npz").read_bytes() for name in ("x", "x.1") if (tmp_path / name).exists()}
    is_published = nth == 3 or (nth == 2 and next_step == "train")
    assert runs == ({"x": b"new", "x.1": b"old"} if is_published else {"x": b"old"})
    assert [path.parent.name in ("x", "x.1") for path in tmp_path.glob("*/notes.md")] == [True]


def test_a_run_of_another_config_is_kept_under_the_next_number_with_all_that_is_its_own(tmp_path):
    output = tmp_path / "x"
    for n, text in enumerate(("seed: 1\n", "seed: 2\n", "seed: 3\noutput: x\n")):
        with RunDirectory(str(output)) as run:
            run.begin(resume=False)
            run.write("config.yaml", text.encode())
            run.write("weights.npz", text.encode())
            run.finish()
            assert run.kept == (f"{output}.{n}" if n else "")
        (output / f"notes{n}.md").write_text("mine")
    assert tree(tmp_path) == sorted(
        f"{name}/{file}"
        for n, name in enumerate(("x.1", "x.2", "x"))
        for file in ("config.yaml", "weights.npz", f"notes{n}.md")
    )
    assert (tmp_path / "x.1" / "weights.npz").read_text() == "seed: 1\n"


@pytest.mark.parametrize("old", ["seed: 3\n", "output: elsewhere\nseed: 3\n", 'seed: 3\noutput: "a long\n  name"\n'])
def test_a_run_of_the_same_config_is_replaced(tmp_path, old):
    assert kept_after(tmp_path, old) == ""


@pytest.mark.parametrize("old", ["seed: 4\n", "{", "text", "", None])
def test_a_run_of_another_or_of_no_readable_config_is_kept_unless_all_may_be_replaced(tmp_path, old):
    assert kept_after(tmp_path / "a", old) == str(tmp_path / "a" / "x.1")
    assert kept_after(tmp_path / "b", old, replaces_any=True) == ""


def kept_after(folder, old, replaces_any=False):
    """Where an old run with the given config.yaml is after a run of `seed: 3`."""
    train(folder / "x")
    if old is None:
        (folder / "x" / "config.yaml").unlink()
    else:
        (folder / "x" / "config.yaml").write_text(old)
    with RunDirectory(str(folder / "x"), replaces_any) as run:
        run.begin(resume=False)
        run.write("config.yaml", b"seed: 3\n")
        run.write("weights.npz", b"new")
        run.finish()
    assert (folder / "x" / "weights.npz").read_bytes() == b"new"
    assert sorted(path.name for path in folder.iterdir()) == (["x", "x.1"] if run.kept else ["x"])
    return run.kept


def test_what_was_interrupted_is_never_taken_for_a_run_whatever_older_runs_have_left(tmp_path):
    output = tmp_path / "x"
    crash(output, "unlink", 1)
    shutil.rmtree(output)
    interrupt_by_a_kill(output)
    assert not repair(str(output))
    assert not output.exists()
    with RunDirectory(str(output)) as run:
        run.begin(resume=True)
        assert run.can_resume
        assert not output.exists()


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_rename_that_fails_leaves_the_old_run_and_the_new_one_can_be_resumed(tmp_path, monkeypatch, nth):
    output = tmp_path / "x"
    train(output, b"old")
    real, made = os.rename, []

    def faulty(old, new):
        made.append(1)
        if len(made) == nth:
            raise OSError(errno.EIO, "Input/output error")
        real(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", faulty)
        with pytest.raises(OutputError) as caught:
            train(output, b"new")
    assert str(caught.value) == f"{output}: cannot be written: Input/output error. Choose another place."
    assert (output / "weights.npz").read_bytes() == b"old"
    with RunDirectory(str(output)) as run:
        run.begin(resume=True)
        run.finish()
    assert (output / "weights.npz").read_bytes() == b"new"
    assert tree(tmp_path) == RUN


def test_an_old_run_that_cannot_be_cleared_does_not_cost_the_new_one(tmp_path, monkeypatch):
    train(tmp_path / "x", b"old")

    def denied(path):
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", denied)
        train(tmp_path / "x", b"new")
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"new"
    assert os.path.isdir(tmp_path / "x.replaced")
    train(tmp_path / "x", b"newer")
    assert tree(tmp_path) == RUN


def test_a_disk_that_fills_up_leaves_the_old_run_and_the_last_checkpoint(tmp_path, monkeypatch):
    train(tmp_path / "x", b"old")

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunDirectory(str(tmp_path / "x")) as run:
        run.begin(resume=False)
        run.write("checkpoint.npz", b"first")
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match=r"x.partial/checkpoint.npz: cannot be written: the disk is full"):
            run.write("checkpoint.npz", b"second")
    assert (tmp_path / "x.partial" / "checkpoint.npz").read_bytes() == b"first"
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"old"


# Readers


def test_a_reader_of_what_was_never_there_changes_nothing(tmp_path):
    interrupt(tmp_path / "y")
    before = tree(tmp_path)
    assert not repair(str(tmp_path / "x"))
    assert not repair(str(tmp_path / "y"))
    assert repair(str(tmp_path))
    assert not repair("")
    assert repair(".")
    assert tree(tmp_path) == before


def test_a_reader_waits_for_a_training_that_is_between_its_two_renames(tmp_path, monkeypatch):
    output = str(tmp_path / "x")
    train(output, b"old")
    real, found, readers = os.rename, [], []

    def slow(old, new):
        if str(old).endswith(".partial"):
            readers.append(threading.Thread(target=lambda: found.append(repair(output))))
            readers[0].start()
            readers[0].join(0.1)
        real(old, new)

    monkeypatch.setattr(os, "rename", slow)
    train(output, b"new")
    readers[0].join(10)
    assert found == [True]
    assert (tmp_path / "x" / "weights.npz").read_bytes() == b"new"
    assert tree(tmp_path) == RUN


def test_a_folder_of_the_users_own_never_takes_the_name_of_a_run(tmp_path):
    own = tmp_path / "x.complete"
    own.mkdir()
    (own / "notes.md").write_text("mine")
    assert not repair(str(tmp_path / "x"))
    with pytest.raises(OutputError, match=r"x\.complete: exists and is not a run"):
        train(tmp_path / "x")
    assert tree(tmp_path) == ["x.complete/notes.md"]
