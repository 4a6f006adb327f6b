"""Where a trial's files go: straight into a folder, by way of a scratch folder to an object store."""

import os
import time
from contextlib import suppress

import pytest

from bench.errors import ResultsError
from bench.results.folder import Folder
from bench.results.place import open_place
from bench.results.store import Store
from bench.run import courier, places
from bench.run.courier import Courier
from bench.run.places import TrialPlace
from bench.run.rows import case_rows, curve_rows, trial_row
from bench.run.scratch import deliver_all, scratch_of
from medseg.training.outcome import Epoch, InterruptedTrialError, StorageError, TrialResult

URL = "s3://bucket/results"
CURVE = {"epoch": 1, "step": 2, "train_loss": 0.5, "learning_rate": 0.1, "score": 0.9, "wall_s": 1.0}
EPOCH = Epoch(1, 2, 0.5, 0.1, 0.9, 0.9, 1.0)
DONE = TrialResult("complete", summary={"steps": 2, "value": 0.9}, curves=[CURVE])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(courier, "LOOK_S", 0.01)


@pytest.fixture
def remote(s3, worker):
    return worker.model_copy(update={"results": open_place(URL), "keep_predictions": True})


@pytest.fixture
def final(job):
    return job.model_copy(update={"number": -1})


def soon(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def save(path, text):
    """Writes as checkpoints are written: in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(".draft")
    draft.write_text(text)
    os.replace(draft, path)


def trial(states, end, seen):
    """A trial that saves its state, reports an epoch, and ends; notes what it started from."""

    def begin(files, should_stop):
        seen.append(files.checkpoint.read_text() if files.checkpoint.exists() else None)
        for state in states:
            save(files.checkpoint, state)
            yield EPOCH
        if isinstance(end, Exception):
            raise end
        if files.weights is not None:
            save(files.weights, "weights")
            for name in ("case.png", "index.json"):
                save(files.predictions / name, name)
        return end

    return begin


def run(place, begin, should_stop=lambda: False):
    """Runs a trial to its end, and returns what it left."""
    events = place.train(begin, should_stop)
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def rows(job, worker, result):
    return trial_row(job, worker, result), case_rows(job, result), curve_rows(job, result)


def test_in_a_folder_files_are_where_they_stay(final, worker, tmp_path):
    place, seen = TrialPlace(final, worker.model_copy(update={"keep_predictions": True})), []
    assert place.files.checkpoint == tmp_path / "checkpoints" / f"{final.trial}-cccccccc.safetensors"
    assert run(place, trial(["one"], DONE, seen)) is DONE
    assert (tmp_path / "weights" / f"{final.trial}.safetensors").read_text() == "weights"
    assert place.files.checkpoint.exists()
    place.keep(*rows(final, worker, DONE))
    assert not place.files.checkpoint.exists()
    assert place.keep_log("why") == f"logs/{final.trial}.txt"
    assert (tmp_path / "logs" / f"{final.trial}.txt").read_text() == "why"
    assert place.deliver() is None


def test_what_a_trial_leaves_is_brought_to_an_object_store(final, remote, s3):
    place = TrialPlace(final, remote)
    assert run(place, trial(["one"], DONE, [])) is DONE
    place.keep(*rows(final, remote, DONE))
    names = {name.removeprefix("results/") for name in s3.names() if not name.endswith("/")}
    assert {name for name in names if not name.endswith(".parquet")} == {
        f"weights/{final.trial}.safetensors",
        f"predictions/{final.trial}/case.png",
        f"predictions/{final.trial}/index.json",
    }
    (row,) = Store(URL).trials().to_dict("records")
    assert (row["status"], row["steps"]) == ("complete", 2)
    assert len(Store(URL).curves()) == 1
    # Nothing waits here.
    assert not [path for path in scratch_of(open_place(URL), remote.cache).rglob("*") if path.is_file()]
    assert place.keep_log("why") == f"logs/{final.trial}.txt"
    assert s3.get(f"results/logs/{final.trial}.txt") == b"why"


def test_predictions_end_with_their_index(final, remote, s3):
    run(TrialPlace(final, remote), trial([], DONE, []))
    s3.requests.clear()
    run(TrialPlace(final, remote), trial([], DONE, []))
    kept = [
        (method, key.rpartition("/")[2])
        for method, key in s3.requests
        if "predictions" in key and method in ("PUT", "DELETE")
    ]
    kept = [one for one in kept if one[1]]
    assert kept == [("DELETE", "index.json"), ("PUT", "case.png"), ("PUT", "index.json")]


def test_each_checkpoint_is_brought_while_the_trial_goes_on(job, remote, s3):
    place = TrialPlace(job, remote)
    name = f"results/checkpoints/{job.trial}-cccccccc.safetensors"
    events = place.train(trial(["one", "two"], DONE, []), lambda: False)
    for state in (b"one", b"two"):
        next(events)
        soon(lambda state=state: name in s3.names() and s3.get(name) == state)
    with pytest.raises(StopIteration):
        next(events)
    place.keep(*rows(job, remote, DONE))
    assert name not in s3.names()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_trial_that_was_stopped_goes_on_here_and_elsewhere(job, remote, s3, tmp_path, elsewhere):
    with pytest.raises(InterruptedTrialError):
        run(TrialPlace(job, remote), trial(["one"], InterruptedTrialError("stopped"), []))
    assert s3.get(f"results/checkpoints/{job.trial}-cccccccc.safetensors") == b"one"
    if elsewhere:
        remote = remote.model_copy(update={"cache": tmp_path / "elsewhere"})
    seen = []
    run(TrialPlace(job, remote), trial([], DONE, seen))
    assert seen == ["one"]


def test_the_newer_checkpoint_wins(job, remote, s3):
    name, seen = f"results/checkpoints/{job.trial}-cccccccc.safetensors", []
    place = TrialPlace(job, remote)
    save(place.files.checkpoint, "here")
    s3.put(name, b"there", age_s=100)
    run(place, trial([], TrialResult("oom"), seen))
    # What was newer here is there by now.
    assert s3.get(name) == b"here"
    s3.put(name, b"there", age_s=-100)
    run(place, trial([], TrialResult("oom"), seen))
    assert seen == ["here", "there"]


def test_processes_of_one_trial_all_start_from_the_one_in_the_store(job, remote, s3, monkeypatch):
    remote, seen = remote.model_copy(update={"processes": 2}), []
    place = TrialPlace(job, remote)
    save(place.files.checkpoint, "here")
    run(place, trial([], TrialResult("oom"), seen))
    s3.put(f"results/checkpoints/{job.trial}-cccccccc.safetensors", b"there", age_s=100)
    save(place.files.checkpoint, "here")
    run(place, trial([], TrialResult("oom"), seen))
    assert seen == [None, "there"]
    monkeypatch.setattr(places, "rank", lambda: 1)
    s3.requests.clear()
    run(TrialPlace(job, remote), trial(["mine"], DONE, seen))
    assert seen[-1] == "there"
    assert not [method for method, _ in s3.requests if method == "PUT"]


def test_a_store_that_is_lost_in_mid_run_stops_the_trial_and_loses_nothing(job, remote, s3):
    place = TrialPlace(job, remote)

    def begin(files, should_stop):
        save(files.checkpoint, "one")
        s3.fault = lambda method, key: 503
        save(files.checkpoint, "two")
        soon(should_stop)
        save(files.checkpoint, "three")
        raise InterruptedTrialError("stopped")
        yield EPOCH

    with pytest.raises(
        StorageError, match=r"cannot write s3://.*; what was computed waits on .* in .*/scratch/"
    ):
        run(place, begin)
    s3.fault = lambda method, key: None
    seen = []
    run(TrialPlace(job, remote), trial([], TrialResult("oom"), seen))
    assert seen == ["three"]
    assert s3.get(f"results/checkpoints/{job.trial}-cccccccc.safetensors") == b"three"


@pytest.mark.parametrize("by", ["worker", "driver"])
def test_a_result_that_cannot_be_brought_waits_and_is_brought_later(final, remote, s3, by):
    place = TrialPlace(final, remote)

    def begin(files, should_stop):
        s3.fault = lambda method, key: 503
        return (yield from trial([], DONE, [])(files, should_stop))

    result = run(place, begin)
    assert result.status == "complete"
    assert "what was computed waits on" in result.detail
    with pytest.raises(
        StorageError, match=r"cannot read s3://bucket/results/trials/.*; what was computed waits"
    ):
        place.keep(*rows(final, remote, result))
    with pytest.raises(StorageError, match="what was computed waits"):
        TrialPlace(final, remote).deliver()
    assert "scratch" in place.keep_log("why")
    s3.fault = lambda method, key: None
    if by == "worker":
        row = TrialPlace(final, remote).deliver()
        assert (row["status"], row["value"]) == ("complete", 0.9)
        assert TrialPlace(final, remote).deliver() is None
    else:
        assert deliver_all(open_place(URL), remote.cache) == 1
        assert deliver_all(open_place(URL), remote.cache) == 0
    store = Store(URL)
    assert (store.trials()["status"].tolist(), len(store.curves())) == (["complete"], 1)
    assert {
        f"results/weights/{final.trial}.safetensors",
        f"results/predictions/{final.trial}/index.json",
    } <= set(s3.names())


def test_a_result_that_came_another_way_is_not_written_over(final, remote, s3):
    scratch = Store(scratch_of(open_place(URL), remote.cache))
    scratch.write(*rows(final, remote, DONE))
    there = TrialResult("complete", summary={"steps": 3})
    Store(URL).write(*rows(final, remote, there))
    assert deliver_all(open_place(URL), remote.cache) == 1
    assert Store(URL).trials()["steps"].tolist() == [3]
    assert not scratch.parts()


@pytest.mark.parametrize("where", ["store", "scratch"])
def test_what_waits_does_not_wait_behind_a_damaged_file(final, remote, s3, where):
    scratch = Store(scratch_of(open_place(URL), remote.cache))
    scratch.write(*rows(final, remote, DONE))
    (part,) = scratch.parts()
    damaged = Store(URL) if where == "store" else scratch
    damaged.root.write(f"trials/{part}.parquet", b"PAR1")
    said = []
    assert deliver_all(open_place(URL), remote.cache, said.append) == (where == "store")
    assert len(said) == 1
    assert "1 trial is damaged" in said[0]
    assert damaged.root.read(f"damaged/trials/{part}.parquet") == b"PAR1"
    assert Store(URL).trials()["status"].tolist() == ["complete"] * (where == "store")


def test_a_trial_that_can_go_on_leaves_no_row_behind(job, remote, s3):
    s3.fault = lambda method, key: 503
    with pytest.raises(StorageError):
        TrialPlace(job, remote).keep(*rows(job, remote, TrialResult("interrupted")))
    assert not Store(scratch_of(open_place(URL), remote.cache)).parts()


def test_a_folder_has_no_scratch_folder(tmp_path):
    assert scratch_of(Folder(tmp_path), tmp_path) is None
    assert deliver_all(Folder(tmp_path), tmp_path) == 0


def test_a_courier_gives_up_once(tmp_path, s3):
    s3.fault = lambda method, key: 403
    save(tmp_path / "a", "one")
    one = Courier(tmp_path / "a", open_place(URL), "a", known=False)
    soon(lambda: one.failure)
    one.close()
    asked = len(s3.requests)
    one.bring()
    assert len(s3.requests) == asked
    with pytest.raises(ResultsError):
        open_place(URL).bring(tmp_path / "a", "a")


@pytest.mark.parametrize("end", [DONE, InterruptedTrialError("stopped")])
def test_a_process_that_brings_nothing_keeps_no_copy_of_the_checkpoint(job, remote, s3, monkeypatch, end):
    remote = remote.model_copy(update={"processes": 2})
    s3.put(f"results/checkpoints/{job.trial}-cccccccc.safetensors", b"there")
    first = TrialPlace(job, remote)
    # What the first one has not brought yet is not touched, if both are on one machine.
    save(first.files.checkpoint, "newer")
    monkeypatch.setattr(places, "rank", lambda: 1)
    other, seen, left = TrialPlace(job, remote), [], []

    def begin(files, should_stop):
        seen.append(files.checkpoint.read_text())
        yield EPOCH
        left.append(files.checkpoint.exists())
        if isinstance(end, Exception):
            raise end
        return end

    with suppress(InterruptedTrialError):
        assert run(other, begin) is DONE
    assert (seen, left) == (["there"], [False])
    assert first.files.checkpoint.read_text() == "newer"


def test_a_process_that_ends_at_once_keeps_no_copy_either(job, remote, s3, monkeypatch):
    s3.put(f"results/checkpoints/{job.trial}-cccccccc.safetensors", b"there")
    monkeypatch.setattr(places, "rank", lambda: 1)
    place, seen = TrialPlace(job, remote.model_copy(update={"processes": 2})), []
    assert run(place, trial([], DONE, seen)) is DONE
    assert seen == ["there"]
    assert not place.files.checkpoint.exists()
