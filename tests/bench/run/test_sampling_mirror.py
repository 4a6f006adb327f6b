import threading

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from bench.errors import BenchError
from bench.run import sampling_mirror
from bench.run.sampling import Mirror, Outcome, Sampling, Tried
from bench.run.sampling_space import encode
from bench.run.sampling_storage import StudyImage

NAME = "phantom-cardiac/unet + ce/0123456789abcdef"
ENDS = ["complete", "pruned", "diverged", "complete", "complete"]


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "results" / "optuna.journal"


def loaded(path, name=NAME):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


def found(number):
    status = ENDS[number]
    value = 0.1 * number if status == "complete" else None
    return Outcome(status, value, {"gmacs": number + 1.0, "device_s": 2.5})


def run(sampling, numbers=range(5)):
    """Runs trials to their ends; returns them as the results store would."""
    rows = []
    for number in numbers:
        asked = sampling.ask()
        assert asked.number == number
        for epoch in (1, 2):
            sampling.report(number, epoch, 0.01 * number + epoch)
        sampling.tell(number, found(number))
        curve = {epoch: 0.01 * number + epoch for epoch in (1, 2)}
        rows.append(Tried(number, asked.setting, found(number), curve))
    return rows


def looks(study):
    """What a study shows, but for times."""
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs, t.constraints)
        for t in study.trials
    ]


def test_a_study_can_be_loaded_as_it_went(make_study, journal):
    study = make_study("random", constraints={"gmacs": 3.0})
    with Mirror(journal) as mirror:
        sampling = Sampling(study, (), mirror)
        rows = run(sampling)
        sampling.ask()
    assert mirror.problem is None
    shown = loaded(journal)
    states = [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
        TrialState.COMPLETE,
    ]
    assert [t.state for t in shown.trials] == [*states, TrialState.RUNNING]
    assert [t.params for t in shown.trials[:5]] == [encode(row.setting, study.space) for row in rows]
    assert [t.values for t in shown.trials] == [[0.0], [2.01], None, [pytest.approx(0.3)], [0.4], None]
    assert shown.trials[2].user_attrs == {"status": "diverged", "gmacs": 3.0, "device_s": 2.5}
    assert shown.trials[3].intermediate_values == {1: 1.03, 2: 2.03}
    assert [t.constraints["gmacs"] <= 0 for t in shown.trials[:5]] == [True, True, True, False, False]
    assert shown.best_trial.number == 0
    assert shown.metric_names == ["validation dice"]
    assert shown.user_attrs == {"task": "phantom-cardiac", "entry": "unet + ce"}


def test_nsga2_shows_its_front(make_study, journal):
    with Mirror(journal) as mirror:
        run(Sampling(make_study("nsga2"), (), mirror))
    shown = loaded(journal)
    assert shown.metric_names == ["validation dice", "gmacs"]
    assert [t.values for t in shown.best_trials] == [[0.0, 1.0], [pytest.approx(0.3), 4.0], [0.4, 5.0]]


def test_a_lost_journal_is_rebuilt_with_its_numbers(make_study, journal):
    study = make_study("random")
    with Mirror(journal) as mirror:
        rows = run(Sampling(study, (), mirror))
    before = looks(loaded(journal))
    journal.unlink()
    with Mirror(journal) as mirror:
        Sampling(study, [row for row in rows if row.number != 2], mirror)
    assert [t.state for t in loaded(journal).trials][2] == TrialState.RUNNING
    with Mirror(journal) as mirror:
        run(Sampling(study, [row for row in rows if row.number != 2], mirror), [2])
    assert looks(loaded(journal)) == before


def test_what_a_killed_run_left_open_is_closed(make_study, journal):
    study = make_study("random")
    with Mirror(journal) as mirror:
        sampling = Sampling(study, (), mirror)
        rows = run(sampling, range(2))
        sampling.ask()
        sampling.report(2, 1, 0.2)
    with Mirror(journal) as mirror:
        run(Sampling(study, rows, mirror), [2, 3])
    shown = loaded(journal)
    assert len(shown.trials) == 4
    assert [t.state for t in shown.trials].count(TrialState.RUNNING) == 0


def test_a_journal_that_says_something_else_is_written_anew(make_study, journal):
    study = make_study("random")
    with Mirror(journal) as mirror:
        rows = run(Sampling(study, (), mirror))
        other = make_study("random", id="fedcba9876543210")
        run(Sampling(other, (), mirror), [0])
    # The results of all but the first were deleted, and that one was run again.
    kept = Tried(0, rows[0].setting, Outcome("complete", 0.77))
    with Mirror(journal) as mirror:
        Sampling(study, [kept], mirror)
    assert [t.values for t in loaded(journal).trials] == [[0.77]]
    assert len(loaded(journal, NAME.replace("0123456789abcdef", other.id)).trials) == 1


def test_a_damaged_journal_is_moved_away_and_rebuilt(make_study, journal):
    study = make_study("random")
    with Mirror(journal) as mirror:
        rows = run(Sampling(study, (), mirror))
    before = looks(loaded(journal))
    damaged = journal.read_bytes().replace(b"op_code", b"op\x00code", 3)
    journal.write_bytes(damaged)
    with Mirror(journal) as mirror:
        Sampling(study, rows, mirror)
    assert mirror.problem is None
    assert looks(loaded(journal)) == before
    assert journal.with_name("optuna.journal.damaged").read_bytes() == damaged


def test_half_a_line_and_the_lock_of_a_killed_run_are_dropped(make_study, journal):
    study = make_study("random")
    with Mirror(journal) as mirror:
        rows = run(Sampling(study, (), mirror), range(3))
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    journal.with_name("optuna.journal.lock").touch()
    with Mirror(journal) as mirror:
        run(Sampling(study, rows, mirror), [3, 4])
    assert mirror.problem is None
    assert len(loaded(journal).trials) == 5


def test_any_storage_of_optuna_will_do(make_study, tmp_path):
    url = f"sqlite:///{tmp_path}/search.db"
    study = make_study("tpe", {"startup": 2})
    with Mirror(url) as mirror:
        rows = run(Sampling(study, (), mirror))
    with Mirror(url) as mirror:
        Sampling(study, rows, mirror)
    assert mirror.problem is None
    shown = optuna.load_study(study_name=NAME, storage=url)
    assert [t.values for t in shown.trials] == [[0.0], [2.01], None, [pytest.approx(0.3)], [0.4]]


def test_a_storage_that_fails_costs_the_mirror_and_nothing_else(make_study, tmp_path):
    (tmp_path / "file").touch()
    with Mirror(tmp_path / "file" / "optuna.journal") as mirror:
        rows = run(Sampling(make_study(), (), mirror))
    assert len(rows) == 5
    assert "optuna.journal: cannot be opened (" in mirror.problem
    assert "\n" not in mirror.problem


def test_nobody_waits_for_a_slow_storage(make_study, journal, monkeypatch):
    opening, allowed = threading.Event(), threading.Event()
    opened = sampling_mirror.open_storage

    def slow(target):
        opening.set()
        allowed.wait(30)
        return opened(target)

    monkeypatch.setattr(sampling_mirror, "open_storage", slow)
    with Mirror(journal) as mirror:
        assert opening.wait(30)
        run(Sampling(make_study("random"), (), mirror))
        assert not journal.exists()
        allowed.set()
    assert len(loaded(journal).trials) == 5


def test_a_storage_that_takes_too_long_is_left_to_the_next_run(make_study, journal, monkeypatch):
    study = make_study("random")
    stuck, allowed = threading.Event(), threading.Event()
    written = StudyImage._write

    def slow(image, storage, number):
        done = written(image, storage, number)
        if number == 1:
            stuck.set()
            allowed.wait(30)
        return done

    monkeypatch.setattr(StudyImage, "_write", slow)
    monkeypatch.setattr(sampling_mirror, "LAST_WRITE_S", 0.01)
    with Mirror(journal) as mirror:
        rows = run(Sampling(study, (), mirror))
        mirror._closing.set()
        assert stuck.wait(30)
    assert "not written in full within 0.01 s" in mirror.problem
    allowed.set()
    mirror._thread.join(30)
    assert len(loaded(journal).trials) == 2
    monkeypatch.undo()
    with Mirror(journal) as mirror:
        Sampling(study, rows, mirror)
    assert mirror.problem is None
    assert len(loaded(journal).trials) == 5


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mysql://me:p@ss/w?rd#@host:3306/db?ssl_key=k", "mysql://host:3306/db"),
        ("redis://:secret@host/0", "redis://host/0"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_storage_is_named_without_its_password(monkeypatch, target, name):
    def refused(target):
        raise ValueError(f"cannot open {target}")

    assert sampling_mirror.shown(target) == name
    monkeypatch.setattr(sampling_mirror, "open_storage", refused)
    with Mirror(target) as mirror:
        pass
    assert mirror.problem == f"{name}: cannot be opened (ValueError: cannot open {name})"
    if "://" in target:
        with pytest.raises(BenchError) as caught:
            sampling_mirror.check_storage(target)
        assert str(caught.value) == f"--storage {name}: cannot be opened (ValueError: cannot open {name})"


def test_a_storage_that_is_lost_in_mid_run_is_a_note_of_one_line(make_study, journal, monkeypatch):
    def lost(image, storage, number):
        raise RuntimeError("connection lost\n(Background on this error at: ...)")

    monkeypatch.setattr(StudyImage, "_write", lost)
    with Mirror(journal) as mirror:
        run(Sampling(make_study("random"), (), mirror))
    assert mirror.problem == f"{journal}: not written any more (RuntimeError: connection lost)"


def test_a_storage_that_does_not_answer_is_not_waited_for(monkeypatch):
    allowed = threading.Event()
    monkeypatch.setattr(sampling_mirror, "open_storage", lambda target: allowed.wait(30))
    monkeypatch.setattr(sampling_mirror, "OPENING_S", 0.01)
    with pytest.raises(BenchError, match=r"^--storage mysql://host/db: does not answer within 0.01 s$"):
        sampling_mirror.check_storage("mysql://me:secret@host/db")
    allowed.set()
