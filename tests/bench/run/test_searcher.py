import copy
import json
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher

from bench.errors import EngineError
from bench.run.job import Job
from bench.run.nodes import GIB, Node, Shape
from bench.run.policy import Known
from bench.run.resume import known_of
from bench.run.searcher import SuiteSearcher
from bench.run.tracker import StudyState, Tracker
from bench.suite.schema import Resources
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrialSpec
from medseg.training.outcome import TrialResult


def make_job(study: str, trial: str) -> Job:
    spec = TrialSpec(
        task=TASKS.load("phantom-lung"), model=Component(name="unet"), loss=Component(name="ce"), phase="tune"
    )
    return Job(
        trial=trial,
        study=study,
        entry="e",
        model="unet",
        loss="ce",
        number=0,
        setting={},
        setting_id="x",
        spec=spec,
        data_fingerprint="d",
        split_hash="h",
    )


class FakeQueue:
    """A queue with a row of jobs; remembers how they ended."""

    def __init__(self, name: str, jobs: int, resources: Resources):
        self.study = SimpleNamespace(
            id=name, entry=f"entry {name}", resources=resources, tune_total=jobs, final_total=0, window=2
        )
        self.jobs = [make_job(name, f"{name}{n}") for n in range(jobs)]
        self.total, self.ends, self.running = jobs, [], 0

    @property
    def progress(self) -> float:
        return 1 - len(self.jobs) / self.total

    @property
    def exhausted(self) -> bool:
        return not self.jobs and not self.running

    def has_work(self) -> bool:
        return bool(self.jobs)

    def next_job(self) -> Job | None:
        self.running += 1
        return self.jobs.pop(0)

    def ended(self, job, known) -> None:
        self.running -= 1
        self.ends.append((job.trial, known.status, known.value))
        self.costs = dict(known.cost)

    def report(self, job, epoch, score) -> bool:
        return score < 0.5


@pytest.fixture
def make(worker):
    """Makes a searcher with a queue of each size on nodes of 4 cores."""

    def build(*sizes: int, stopping=lambda: False, nodes=None, clock=lambda: 0.0, **needs):
        resources = Resources(memory_gb=1, **needs)
        queues = [FakeQueue("abc"[i], size, resources) for i, size in enumerate(sizes)]
        states = {q.study.id: StudyState("t", "e", q.total, 0, 1, 1) for q in queues}
        losses, said = [], []

        def lost(job: Job, result: TrialResult) -> Known:
            losses.append(job)
            return known_of(
                {
                    "status": result.status,
                    "detail": result.detail,
                    "value": None,
                    "attempt": job.attempt,
                    "device_s": 7.0,
                }
            )

        searcher = SuiteSearcher(
            queues,
            dict.fromkeys(states, worker),
            Tracker(states, 1),
            stopping,
            lost,
            said.append,
            nodes=nodes or (lambda: [machine("n0", 8)]),
            clock=clock,
        )
        searcher.said = said
        return searcher, queues, losses

    return build


def machine(name: str, cpus: float, *hardware: str) -> Node:
    return Node(name, name, cpus, 0.0, 64 * GIB, frozenset(hardware))


def study_of(suggestion) -> str:
    return Job.model_validate_json(suggestion["job"]).study


def test_free_slots_go_to_the_study_that_is_furthest_behind(make):
    searcher, _, _ = make(2, 4)
    order = [study_of(searcher.suggest(str(n))) for n in range(6)]
    assert order == ["a", "b", "b", "a", "b", "b"]


def test_later_while_something_runs_and_finished_when_nothing_does(make):
    searcher, _, _ = make(1)
    searcher.suggest("t0")
    assert searcher.suggest("t1") is None
    searcher.on_trial_complete("t0", {"status": "complete", "value": 0.5, "device_s": 1.0})
    assert searcher.suggest("t1") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("result", "error", "ended"),
    [
        ({"status": "complete", "value": 0.5, "device_s": 1.0}, False, ("a0", "complete", 0.5)),
        ({"status": "diverged", "value": float("nan"), "device_s": float("nan")}, False, ("a0", "diverged", None)),
        ({"status": "running", "value": 0.5}, True, ("a0", "infra_lost", None)),
        (None, True, ("a0", "infra_lost", None)),
    ],
)  # fmt: skip
def test_how_a_job_ended_reaches_its_queue(make, result, error, ended):
    searcher, (queue,), lost = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", result, error)
    assert queue.ends == [ended]
    assert [job.trial for job in lost] == (["a0"] if ended[1] == "infra_lost" else [])


@pytest.mark.parametrize(
    ("status", "stopping", "ended"),
    [
        ("timeout", False, "timeout"),
        ("timeout", True, "timeout"),
        ("infra_lost", False, "infra_lost"),
        ("infra_lost", True, "interrupted"),
    ],
)
def test_a_worker_that_hung_is_not_lost(make, status, stopping, ended):
    stop = []
    searcher, (queue,), _ = make(1, stopping=lambda: bool(stop))
    searcher.suggest("t0")
    stop += [True] * stopping
    searcher.deaths["t0"] = TrialResult(status)
    searcher.on_trial_complete("t0", error=True)
    assert queue.ends == [("a0", ended, None)]
    assert not searcher.deaths


def test_what_a_lost_trial_cost_is_charged(make):
    searcher, (queue,), _ = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", error=True)
    assert queue.costs == {"device_s": 7.0}


def test_a_result_whose_report_did_not_arrive_counts(make):
    searcher, (queue,), _ = make(1)
    searcher.suggest("t0")
    row = {"status": "complete", "value": 0.7, "attempt": 1}
    searcher.lost = lambda job, result: known_of(row)
    searcher.on_trial_complete("t0", error=True)
    assert queue.ends == [("a0", "complete", 0.7)]
    assert searcher.tracker.studies["a"].best == 0.7


@pytest.mark.parametrize("where", ["end", "ask"])
def test_a_bug_ends_the_run_with_its_own_words(make, where, monkeypatch):
    searcher, (queue,), _ = make(3)

    def bug(*told):
        raise ValueError("the cause")

    searcher.suggest("t0")
    monkeypatch.setattr(queue, "ended" if where == "end" else "next_job", bug)
    if where == "end":
        searcher.on_trial_complete("t0", {"status": "complete", "value": 0.5})
    assert searcher.suggest("t1") == Searcher.FINISHED
    assert repr(searcher.failure) == "ValueError('the cause')"


def test_a_row_that_the_worker_wrote_is_not_written_over(make):
    searcher, (queue,), lost = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", {"status": "infra_lost", "detail": "disk full", "value": None})
    assert queue.ends == [("a0", "infra_lost", None)]
    assert not lost


@pytest.mark.parametrize("where", ["lost", "ask"])
def test_once_results_cannot_be_written_nothing_is_handed_out(make, where, monkeypatch):
    searcher, (queue,), _ = make(3)

    def full(*job):
        raise OSError(28, "No space left on device")

    searcher.suggest("t0")
    if where == "lost":
        searcher.lost = full
        searcher.on_trial_complete("t0", None, error=True)
    else:
        monkeypatch.setattr(queue, "next_job", full)
        assert searcher.suggest("t1") == Searcher.FINISHED
    assert "No space left" in str(searcher.failure)
    assert searcher.suggest("t2") == Searcher.FINISHED


def test_nothing_is_handed_out_once_the_run_is_to_stop(make):
    searcher, _, _ = make(3, stopping=lambda: True)
    assert searcher.suggest("t0") == Searcher.FINISHED


def test_tune_may_copy_and_pickle_it(make):
    searcher, _, _ = make(1)
    assert copy.deepcopy(searcher) is searcher
    pickle.loads(pickle.dumps(searcher))


def test_costs_of_a_trial_reach_its_queue(make):
    searcher, (queue,), _ = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", {"status": "complete", "value": 0.5, "device_s": 1.5, "gmacs": 2.0})
    assert queue.costs == {"device_s": 1.5, "gmacs": 2.0}


def test_no_more_is_handed_out_than_there_is_room_for(make):
    searcher, _, _ = make(9, cpus=4)
    assert [searcher.suggest(f"t{n}") is None for n in range(4)] == [False, False, True, True]
    assert json.loads(searcher.suggest("t5") or "null") is None
    searcher.leave("t0")
    searcher.on_trial_complete("t0", {"status": "complete", "value": 0.5})
    assert json.loads(searcher.suggest("t6")["slot"])["nodes"] == ["n0"]
    assert searcher.tracker.slots == 2


def test_a_pin_is_kept(make):
    nodes = [machine("plain", 64), machine("special", 2, "a100")]
    searcher, _, _ = make(3, hardware="A100", nodes=lambda: nodes)
    found = [searcher.suggest(f"t{n}") for n in range(3)]
    assert [json.loads(each["slot"])["nodes"] for each in found[:2]] == [["special"]] * 2
    assert found[2] is None


def test_a_study_with_a_warm_worker_goes_first_but_not_for_long(make):
    searcher, _, _ = make(60, 60, cpus=8)
    searcher._shapes["b"] = replace(searcher._shapes["b"], memory=2 * GIB)
    order = []
    for n in range(24):
        order.append(study_of(searcher.suggest(f"t{n}")))
        searcher.leave(f"t{n}")
        searcher.idle.cache_object(None, f"actor {n}")
        searcher.on_trial_complete(f"t{n}", {"status": "complete", "value": 0.5})
    assert "".join(order) == "a" * 7 + "b" * 14 + "a" * 3


def test_a_job_that_never_started_is_no_attempt_and_comes_first(make):
    there = [machine("n0", 1)]
    now = [0.0]
    searcher, (queue,), lost = make(2, nodes=lambda: there, clock=lambda: now[0])
    searcher.suggest("t0")
    there[:] = [machine("n1", 1)]
    now[0] = 2.0
    assert searcher.suggest("t1")["slot"] != ""
    assert not searcher.can_start("t0")
    assert searcher.can_start("t1")
    searcher.leave("t0")
    searcher.on_trial_complete("t0")
    assert not queue.ends
    assert not lost
    searcher.leave("t1")
    searcher.on_trial_complete("t1", {"status": "complete", "value": 0.5})
    again = searcher.suggest("t2")
    assert Job.model_validate_json(again["job"]).trial == "a0"
    assert json.loads(again["slot"])["nodes"] == ["n1"]


def test_a_run_waits_for_a_node_and_gives_up_in_the_end(make):
    now = [0.0]
    searcher, _, _ = make(1, cpus=16, clock=lambda: now[0])
    assert searcher.suggest("t0") is None
    assert searcher.suggest("t1") is None
    assert len(searcher.said) == 1
    assert "waiting up to 15 min for a node: a trial of entry a needs 16 CPU cores" in searcher.said[0]
    now[0] = 1000.0
    assert searcher.suggest("t2") == Searcher.FINISHED
    with pytest.raises(EngineError, match="no node has that: n0: 8 CPU cores"):
        raise searcher.failure


def test_a_node_that_joins_in_time_is_used(make):
    now, there = [0.0], [machine("n0", 8)]
    searcher, _, _ = make(1, cpus=16, nodes=lambda: there, clock=lambda: now[0])
    assert searcher.suggest("t0") is None
    there.append(machine("n1", 16))
    now[0] = 100.0
    assert json.loads(searcher.suggest("t1")["slot"])["nodes"] == ["n1"]


def test_ray_that_is_gone_ends_the_run(make):
    def gone():
        raise EngineError("Ray does not answer any more")

    searcher, _, _ = make(1, nodes=gone)
    assert searcher.suggest("t0") == Searcher.FINISHED
    assert "does not answer" in str(searcher.failure)


def test_an_autoscaler_is_told_what_runs_and_what_could(make):
    asked = []
    searcher, _, _ = make(9, 1, cpus=8)
    searcher._demand = asked.append
    one = Shape(1, 8.0, 0.0, GIB)
    searcher.suggest("t0")
    assert asked == [[one] * 3]
    searcher._asked = searcher._looked = -100.0
    searcher.suggest("t1")
    # One runs; of the study with eight left two could, of the other one.
    assert asked[1] == [one] * 4
