"""Runs of a small plan without Ray and without training: what is run, kept, run again and said."""

import errno
import hashlib
import io
import json
import math
import os
import platform
import random
import re
import signal
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.errors import EngineError, ResultsError
from bench.leaderboard.load import load_tasks
from bench.plan.parameter import Parameter
from bench.plan.plan import Plan, PlannedData
from bench.plan.study import Budget, Choice, Study
from bench.results import compaction
from bench.results.lock import RunLock
from bench.results.place import open_place
from bench.results.store import Store
from bench.run import engine, launch, retries, tuner
from bench.run.choose import Chosen
from bench.run.cluster import Session
from bench.run.early import Early
from bench.run.engine import run_suite
from bench.run.history import costs
from bench.run.options import RunOptions
from bench.run.policy import FailureLimit, Policy
from bench.run.resume import known_of
from bench.run.rows import trial_row
from bench.suite.schema import Claim, Final, LossEntry, ModelEntry, Resources, Suite, TaskEntry
from bench.suite.search import PrunerSpec, SamplerSpec
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrainConfig
from medseg.training.outcome import TrialResult

TASK = TASKS.load("phantom-lung")
TRIALS, FINALS = 6, 2
PLANNED = 2 * (TRIALS + FINALS)


def make_study(model: str, budget: Budget | None) -> Study:
    return Study(
        id=hashlib.sha256(model.encode()).hexdigest()[:16],
        task=TASK,
        entry=f"{model} + ce",
        models=(Choice(model, Component(name=model), TrainConfig(epochs=4)),),
        losses=(Choice("ce", Component(name="ce"), TrainConfig(epochs=4)),),
        space=(Parameter("train.learning_rate", "train.learning_rate", 1e-3, low=1e-4, high=1e-1, log=True),),
        budget=budget,
        sampler=SamplerSpec(startup=2),
        window=2,
        seed=0,
        fold=0,
        tune_epochs=2,
        final_folds=(0,),
        final_seeds=(0, 1),
        resources=Resources(),
    )


@pytest.fixture
def plan(tmp_path) -> Plan:
    suite = Suite(
        suite="small",
        tasks=(TaskEntry(name=TASK.name),),
        models=(ModelEntry(name="unet"), ModelEntry(name="resunet")),
        losses=(LossEntry(name="ce"),),
        final=Final(seeds=(0, 1)),
    )
    split: Any = SimpleNamespace(hash="split")
    data = PlannedData(TASK, tmp_path, tmp_path, "data", split, cases=9, patients=9)
    studies = tuple(make_study(model, Budget(trials=TRIALS)) for model in ("unet", "resunet"))
    return Plan(suite, studies, {TASK.name: data}, "hash")


class FakeCluster:
    """Runs jobs in place of Tune, by default one after the other; the score is best at a learning rate of 0.01."""

    def __init__(self) -> None:
        self.slots, self.rng = 1, random.Random(0)
        self.ran: list[tuple[str, int]] = []
        self.prepared: list[str] = []
        self.sessions = 0
        self.status = lambda job: "complete"
        self.stop_after = math.inf
        self.error: Exception | None = None
        self.names: list[str] = []

    @contextmanager
    def session(self):
        self.sessions += 1
        yield Session(nodes=[])

    def fit(self, queues, workers, tracker, display, stopping, lost, scratch, signals, ending, *more) -> None:
        running: list[Any] = []
        self.names.append(signals.run)
        assert {worker.run for worker in workers.values()} == {signals.run}
        while not stopping():
            while len(running) < self.slots:
                behind = sorted(queues, key=lambda queue: queue.progress)
                found = next(((job, q) for q in behind if (job := q.next_job()) is not None), None)
                if found is None:
                    break
                tracker.job_started(found[0])
                running.append(found)
            if not running:
                assert all(queue.exhausted for queue in queues), "the run would wait for ever"
                return
            job, queue = running.pop(self.rng.randrange(len(running)))
            self._train(job, queue, workers[job.study], tracker)
            if len(self.ran) >= self.stop_after:
                os.kill(os.getpid(), signal.SIGINT)
            if self.error is not None:
                ending()
                raise self.error

    def _train(self, job, queue, worker, tracker) -> None:
        status = self.status(job)
        value = -abs(math.log10(job.spec.train.learning_rate) + 2)
        cost = {"device_s": 1800.0, "gmacs": 1e3 * job.spec.train.learning_rate}
        summary = {"value": value, **cost} if status == "complete" else {"device_s": 900.0}
        row = trial_row(job, worker, TrialResult(status, f"it {status}", summary))
        queue.report(job, 1, value)
        point = {"trial": job.trial, "epoch": 1, "step": 9, "train_loss": 1.0, "learning_rate": 0.1}
        Store(worker.results).write(row, [], [{**point, "score": value, "wall_s": 1.0}])
        self.ran.append((job.entry, job.number))
        queue.ended(job, known_of({**row, **costs(row)}))
        tracker.job_ended(job, status, value)


@pytest.fixture
def cluster(monkeypatch) -> FakeCluster:
    cluster = FakeCluster()
    monkeypatch.setattr(tuner, "fit", cluster.fit)
    monkeypatch.setattr(launch, "count_slots", lambda nodes, needs, elastic: 1)
    monkeypatch.setattr(launch.Launch, "_prepare", lambda run, tasks: cluster.prepared.extend(tasks))
    monkeypatch.setattr(engine, "Mirror", lambda target: nullcontext(None))
    return cluster


@pytest.fixture
def run(plan, cluster, tmp_path, monkeypatch):
    """Runs the plan, or another one, as `bench run` does, with the options given."""
    # The mirror is tested on its own.
    monkeypatch.setattr(engine, "journal", lambda results: None)

    def run(plan: Plan = plan, **options: Any):
        cluster.ran.clear()
        asked = RunOptions(results=open_place(tmp_path / "results"), cache=tmp_path, **options)
        console = Console(file=io.StringIO())
        with Early(cluster.session()) as ray:
            return run_suite(plan, asked, ray, console)

    return run


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(open_place(tmp_path / "results"))


def numbers(store: Store) -> dict[str, tuple[str, float, str]]:
    trials = store.trials()
    return {
        row["trial"]: (row["setting_json"], row["value"], row["status"]) for row in trials.to_dict("records")
    }


def test_every_study_spends_its_budget_and_then_retrains_its_best(run, store, cluster):
    summary = run()
    assert (summary.planned, summary.ran, summary.complete) == (PLANNED,) * 3
    assert (summary.missing, summary.exit_code, summary.idle) == (0, 0, False)
    trials = store.trials()
    for _, mine in trials.groupby("study"):
        tune = mine[mine["phase"] == "tune"]
        assert sorted(tune["number"]) == list(range(TRIALS))
        assert json.loads(tune.set_index("number").loc[0, "setting_json"]) == {"train.learning_rate": 1e-3}
        best = tune.loc[tune["value"].idxmax(), "setting"]
        assert list(mine[mine["phase"] == "final"]["setting"]) == [best] * FINALS
    assert cluster.prepared == [TASK.name]


def test_studies_take_turns(run, cluster):
    run()
    for number, (entry, _) in enumerate(cluster.ran[: 2 * TRIALS]):
        assert entry == ("unet + ce" if number % 2 == 0 else "resunet + ce")


def test_what_was_spent_is_told_per_study(run):
    for spent in run().spent:
        assert (spent.budget, spent.trials, spent.epochs) == (f"{TRIALS} trials", TRIALS, 2 * TRIALS)
        assert spent.device_s == 1800 * TRIALS


def test_running_again_starts_no_ray_and_prepares_nothing(run, cluster, store):
    run()
    before = numbers(store)
    summary = run()
    assert summary.idle
    assert (summary.planned, summary.complete, summary.exit_code) == (PLANNED, PLANNED, 0)
    assert (cluster.sessions, cluster.prepared, cluster.ran) == (1, [TASK.name], [])
    assert numbers(store) == before


@pytest.mark.parametrize("pieces", [1, 5])
def test_a_run_in_pieces_ends_with_the_same_rows_as_one_in_one_go(run, store, cluster, tmp_path, pieces):
    run()
    whole = numbers(store)
    (tmp_path / "results").rename(tmp_path / "whole")
    cluster.stop_after = pieces
    for _ in range(PLANNED):
        summary = run()
        if summary.exit_code == 0:
            break
        assert (summary.end, summary.exit_code, summary.ran) == ("interrupted", 130, pieces)
    assert numbers(store) == whole


@pytest.mark.parametrize("seed", range(3))
def test_neither_slots_nor_luck_nor_lost_workers_change_a_row(
    run, store, cluster, tmp_path, monkeypatch, seed
):
    run()
    whole = numbers(store)
    (tmp_path / "results").rename(tmp_path / "whole")
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.0)
    cluster.slots, cluster.rng, cluster.stop_after = 5, random.Random(seed), 9
    cluster.status = lambda job: (
        "infra_lost" if cluster.rng.random() < 0.3 and job.attempt < 4 else "complete"
    )
    while run().exit_code != 0:
        pass
    assert numbers(store) == whole


def test_a_row_that_was_lost_is_made_again_with_the_same_setting(run, store, tmp_path):
    run()
    whole = numbers(store)
    for part in sorted((tmp_path / "results" / "trials").glob("*.parquet"))[::3]:
        part.unlink()
    assert len(numbers(store)) < len(whole)
    assert run().exit_code == 0
    assert numbers(store) == whole


def test_a_limit_of_trials_and_where_it_goes_on(run, store):
    summary = run(limit=5)
    assert (summary.ran, summary.end, summary.exit_code, summary.missing) == (5, "limit", 5, PLANNED - 5)
    assert run(limit=PLANNED - 5).exit_code == 0


def test_time_that_is_up_before_anything_starts(run, cluster):
    summary = run(max_hours=1, started=-3600.0 * 24 * 365 * 100)
    assert (summary.ran, summary.end, summary.exit_code) == (0, "time is up", 5)


def test_only_the_studies_that_were_chosen_run_and_the_plan_is_kept_whole(run, store):
    summary = run(chosen=Chosen(models=("resunet",)))
    assert (summary.planned, summary.complete, summary.exit_code) == (8, 8, 0)
    assert set(store.trials()["entry"]) == {"resunet + ce"}
    assert len(store.read_suite()["studies"]) == 2
    assert run().ran == 8


def test_results_keep_when_each_claim_was_written_down(run, store, plan):
    claim = Claim(id="c", task=TASK.name, better={"model": "unet"}, than={"model": "resunet"})
    claimed = replace(plan, suite=plan.suite.model_copy(update={"claims": (claim,)}))
    run(limit=1)
    assert "registered" not in store.read_suite()
    run(claimed, limit=1)
    first = store.read_suite()
    run(claimed, limit=1)
    assert store.read_suite()["registered"] == first["registered"]
    (known,) = first["registered"].values()
    assert known["id"] == "c"
    # What cannot be read any more is written anew.
    store.root.write("suite.json", b"{")
    run(claimed, limit=1)
    assert [one["id"] for one in store.read_suite()["registered"].values()] == ["c"]


def fail_some(job) -> str:
    return "diverged" if job.number % 4 == 1 else "complete"


def test_failures_are_rows_told_with_their_reason(run, cluster):
    cluster.status = fail_some
    summary = run()
    assert (summary.failed, summary.exit_code, summary.missing) == ({"diverged": 4}, 1, 0)
    assert "phantom-lung: unet + ce: diverged: it diverged" in summary.reasons
    assert all(spent.failed == 2 for spent in summary.spent)
    assert run().ran == 0


def lose_one(job) -> str:
    return "infra_lost" if (job.model, job.number) == ("unet", 2) else "complete"


def test_a_trial_that_is_lost_at_every_attempt_keeps_its_study_waiting_but_not_for_ever(
    run, cluster, monkeypatch
):
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.0)
    cluster.status = lose_one
    summary = run()
    assert (summary.failed, summary.exit_code, summary.end) == ({"infra_lost": 1}, 1, None)
    assert ("unet + ce", -1) not in cluster.ran
    assert cluster.ran.count(("unet + ce", 2)) == retries.MAX_ATTEMPTS
    assert (run().ran, set(cluster.ran)) == (0, {("unet + ce", 2)})
    summary = run()
    assert (summary.missing, summary.hopeless_losses, summary.exit_code) == (0, 1, 1)
    assert ("unet + ce", -1) in cluster.ran
    assert run().idle
    cluster.status = lambda job: "complete"
    assert run(policy=Policy(retry=("infra_lost",))).exit_code == 0


def test_a_trial_that_is_lost_when_it_runs_again_keeps_its_result_and_the_run_says_so(
    run, store, cluster, monkeypatch
):
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.0)
    run()
    before, cluster.status = numbers(store), lose_one
    summary = run(policy=Policy("all"))
    assert (summary.complete, summary.kept, summary.exit_code) == (PLANNED, 1, 1)
    assert "phantom-lung: unet + ce: infra_lost: it infra_lost" in summary.reasons
    assert numbers(store) == before


def test_only_failed_runs_them_and_no_other(run, cluster):
    cluster.status = fail_some
    run(limit=6)
    cluster.status = lambda job: "complete"
    summary = run(policy=Policy("failed"))
    assert all(number % 4 == 1 for _, number in cluster.ran)
    assert (len(cluster.ran), summary.failed, summary.exit_code) == (2, {}, 0)
    assert summary.missing == PLANNED - 6


def test_retry_runs_one_kind_beside_what_is_missing(run, cluster, store):
    cluster.status = fail_some
    run(limit=6)
    cluster.status = lambda job: "complete"
    assert run(policy=Policy(retry=("oom",))).failed == {"diverged": 2}
    assert run(policy=Policy(retry=("diverged",))).failed == {}
    assert run().idle


def test_only_all_trains_the_same_trials_again(run, store, cluster):
    run()
    before = numbers(store)
    summary = run(policy=Policy("all"))
    assert (summary.ran, summary.complete) == (PLANNED, PLANNED)
    assert numbers(store) == before


def test_only_stale_runs_what_other_code_made(run, store, cluster, monkeypatch):
    monkeypatch.setattr(engine, "code_fingerprint", lambda: "a" * 64)
    run(limit=4)
    monkeypatch.setattr(engine, "code_fingerprint", lambda: "b" * 64)
    summary = run()
    assert (summary.stale, summary.ran) == (4, PLANNED - 4)
    assert run(policy=Policy("stale")).stale == 0
    assert len(cluster.ran) == 4


def test_a_study_with_too_many_failures_stops_and_the_other_goes_on(run, cluster):
    cluster.status = lambda job: "crashed" if job.model == "unet" else "complete"
    summary = run(policy=Policy(failures=FailureLimit(count=2)))
    assert summary.stopped == ("phantom-lung: unet + ce: 3 of 3 trials failed",)
    assert (summary.complete, summary.failed, summary.exit_code) == (8, {"crashed": 3}, 1)
    assert run(policy=Policy(failures=FailureLimit(count=2))).stopped == summary.stopped
    cluster.status = lambda job: "complete"
    assert run(policy=Policy(retry=("failed",), failures=FailureLimit(count=2))).exit_code == 0


def test_a_study_without_a_complete_trial_has_no_finals(run, cluster):
    cluster.status = lambda job: "crashed"
    summary = run(policy=Policy(failures=FailureLimit(share=1.0)))
    assert len(summary.hopeless) == 2
    assert summary.exit_code == 1


def test_pruned_trials_count_and_are_no_failures(run, cluster):
    cluster.status = lambda job: "pruned" if job.number in (1, 3) else "complete"
    summary = run()
    assert (summary.pruned, summary.failed, summary.exit_code, summary.missing) == (4, {}, 0, 0)
    assert run().idle
    cluster.status = lambda job: "complete"
    assert run(policy=Policy(retry=("pruned",))).pruned == 0


def test_device_hours_count_what_failures_cost(run, cluster, plan):
    by_time = replace(plan, studies=tuple(replace(s, budget=Budget(device_hours=2)) for s in plan.studies))
    cluster.status = fail_some
    summary = run(by_time)
    # 0.5 h for a complete trial, 0.25 h for one that diverged: 0, 1, 2, 3 and one more pay for 2 h.
    assert [spent.trials for spent in summary.spent] == [5, 5]
    assert [spent.device_s for spent in summary.spent] == [4 * 1800 + 900] * 2
    assert run(by_time).idle


def test_epochs_that_pruned_trials_leave_over_pay_for_others(run, cluster, plan):
    pruner = PrunerSpec(name="asha")
    budget = Budget(epochs=12)
    studies = tuple(replace(s, budget=budget, pruner=pruner) for s in plan.studies)
    by_epochs = replace(plan, studies=studies)
    cluster.status = lambda job: "pruned" if job.number in (1, 3) else "complete"
    spent = run(by_epochs).spent
    # 2 epochs each, but for two trials of 1.
    assert [(study.trials, study.pruned, study.epochs) for study in spent] == [(7, 2, 12)] * 2
    again = run(by_epochs)
    assert again.idle
    assert again.spent == spent


def test_a_larger_budget_goes_on_and_a_smaller_one_leaves_out(run, plan, store):
    def with_trials(trials: int) -> Plan:
        return replace(plan, studies=tuple(replace(s, budget=Budget(trials=trials)) for s in plan.studies))

    run(with_trials(TRIALS))
    whole = numbers(store)
    assert run(with_trials(4)).planned == 2 * (4 + FINALS)
    assert run(with_trials(TRIALS)).idle
    assert {**numbers(store), **whole} == numbers(store)


@pytest.mark.parametrize(
    ("changes", "count", "most"),
    [
        ({"budget": Budget(trials=3)}, 3, math.inf),
        ({"budget": Budget(device_hours=1)}, 2, math.inf),
        ({"budget": Budget(epochs=8), "pruner": PrunerSpec(name="asha")}, 4, math.inf),
        ({"constraints": {"gmacs": 2.0}}, TRIALS, 2.0),
    ],
)
def test_tables_show_the_finals_of_the_setting_that_the_engine_chose(run, plan, store, changes, count, most):
    """Also where another budget, or none of the constraints, was in force before and its finals are there."""
    run()
    run(replace(plan, studies=tuple(replace(study, **changes) for study in plan.studies)))
    tuned = store.trials().query("phase == 'tune' and number < @count and gmacs <= @most")
    best = tuned.sort_values("value").drop_duplicates("entry", keep="last").set_index("entry")["setting"]
    (task,) = load_tasks(store)
    assert {entry.name: set(entry.finals["setting"]) for entry in task.entries} == {
        name: {setting} for name, setting in best.items()
    }
    assert not [note for entry in task.entries for note in entry.notes if "outdated" in note]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), ResultsError("damaged"), EngineError("Ray is gone")],
)
def test_what_ends_a_run_is_raised_and_the_next_one_goes_on(run, cluster, tmp_path, error):
    cluster.error = error
    with pytest.raises(type(error)) as caught:
        run()
    if isinstance(error, OSError):
        assert caught.value.filename == str(tmp_path / "results")
    assert not list((tmp_path / "results" / "signals").glob("*"))
    cluster.error = None
    assert run().exit_code == 0


def test_a_second_run_is_told_who_holds_the_results(run, tmp_path):
    with RunLock(open_place(tmp_path / "results")), pytest.raises(ResultsError, match=str(os.getpid())):
        run()


def test_a_run_leaves_a_row_of_itself_and_of_what_it_ran_on(run, store, plan, cluster):
    run(limit=3, command="bench run quick.yaml --limit 3")
    first, trials = run(), store.trials()
    cluster.error = EngineError("Ray is gone")
    with pytest.raises(EngineError):
        run(policy=Policy("all"))
    runs = store.runs()
    assert runs["end"].tolist() == ["limit", "done", "error"]
    assert runs["exit_code"].tolist() == [5, 0, 6]
    assert runs["command"].tolist() == ["bench run quick.yaml --limit 3", "", ""]
    counts = runs.loc[1, ["planned", "ran", "complete", "failed", "missing", "stale"]].tolist()
    assert counts == [PLANNED, first.ran, PLANNED, 0, 0, 0]
    assert (runs.loc[2, "detail"], runs["plan"].unique().tolist()) == ("Ray is gone", [plan.hash])
    assert (runs["finished_at"] >= runs["started_at"]).all()
    made = trials["run"].value_counts()
    assert made.to_dict() == {runs.loc[0, "run"]: 3, runs.loc[1, "run"]: PLANNED - 3}
    env = store.env().set_index("run").loc[runs.loc[0, "run"]]
    assert json.loads(env["packages_json"])["numpy"] == np.__version__
    assert (env["python"], env["cores"] > 0) == (platform.python_version(), True)


def test_a_run_that_was_interrupted_says_so(run, store, cluster):
    cluster.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run()
    cluster.error, cluster.stop_after = None, 2
    run()
    assert store.runs()[["end", "exit_code"]].to_numpy().tolist() == [["interrupted", 130]] * 2


def test_studies_are_written_down_and_again_only_where_they_changed(run, store, plan, tmp_path):
    run()
    studies = store.studies().set_index("study")
    for study in plan.studies:
        row = studies.loc[study.id]
        assert (row["entry"], row["model"], row["metric"]) == (study.entry, study.models[0].label, "dice")
        assert [one["name"] for one in json.loads(row["space_json"])] == [one.name for one in study.space]
        assert json.loads(row["budget_json"])["trials"] == TRIALS
        assert json.loads(row["labels_json"]) == list(TASK.labels)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "results" / "studies").iterdir()}
    run()
    first, second = plan.studies
    run(replace(plan, studies=(replace(first, window=9), second)))
    changed = [path.stem for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert changed == [first.id]
    (tmp_path / "results" / "studies" / f"{first.id}.parquet").write_bytes(b"PAR1 rubbish")
    assert run().exit_code == 0
    assert len(store.studies()) == len(plan.studies)


def test_many_files_become_few_when_a_run_ends(run, store, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "DUE", PLANNED)
    run(limit=2)
    folder = tmp_path / "results" / "trials"
    assert len(list(folder.iterdir())) == 2
    cluster.stop_after = 2
    run()
    cluster.stop_after = math.inf
    run()
    before = numbers(store)
    assert [path.name[:8] for path in folder.iterdir()] == ["compact-"]
    summary = run()
    assert (summary.idle, summary.complete, len(before)) == (True, PLANNED, PLANNED)
    # What runs again takes the place of what was gathered.
    run(policy=Policy("all"))
    assert [path.name[:8] for path in folder.iterdir()] == ["compact-"]
    assert numbers(store) == before
    assert store.trials()["attempt"].unique().tolist() == [2]
    assert len(store.curves()) == PLANNED


def test_where_the_search_is_shown(tmp_path):
    assert engine.journal(open_place(tmp_path)) == tmp_path / "optuna.journal"
    assert engine.journal(open_place("s3://bucket/prefix")) is None


def test_each_run_speaks_to_its_own_workers(run, cluster):
    cluster.stop_after = 3
    run()
    cluster.stop_after = math.inf
    run()
    assert len(set(cluster.names)) == 2


def test_a_constraint_that_no_setting_keeps_to_is_named(run, store, plan):
    studies = tuple(replace(study, constraints={"gmacs": 0.01}) for study in plan.studies)
    summary = run(replace(plan, studies=studies))
    said = r"phantom-lung: unet \+ ce \(gmacs must be at most 0.01, the least seen is [0-9.]+\)"
    assert re.fullmatch(said, summary.hopeless[0])
    assert summary.exit_code == 1
    (task,) = load_tasks(store)
    assert re.fullmatch(r"no final trials: gmacs must .* seen is [0-9.]+", task.pending["unet + ce"])


@pytest.mark.parametrize("folder", ["trials", "cases", "curves"])
def test_trials_whose_parts_are_gone_or_damaged_are_made_again(run, store, tmp_path, cluster, folder):
    run()
    whole = numbers(store)
    for number, part in enumerate(sorted((tmp_path / "results" / folder).glob("*.parquet"))[::3]):
        if folder == "trials":
            part.write_bytes(b"PAR1" if number % 2 else b"")
        else:
            part.unlink()
    summary = run()
    assert (summary.ran, summary.exit_code, len(cluster.ran)) == (number + 1, 0, number + 1)
    assert numbers(store) == whole
    assert len(list((tmp_path / "results" / "damaged" / "trials").iterdir())) == number + 1
    assert len(store.curves()) == len(whole)
