"""A process of a trial of several, and how they find one another, without Ray."""

import pytest

from bench.results.store import Store
from bench.run import process
from bench.run import rank as module
from bench.run.process import Limits
from bench.run.rank import LOOPBACK, Location, NoProcessesError, Rank, environments
from bench.run.rows import trial_row
from bench.run.trainable import TrialRunner
from medseg.errors import DataError
from medseg.training.outcome import TrialResult
from medseg.training.trial_data import Again, ShareMemoryError


@pytest.fixture
def two(worker):
    return worker.model_copy(update={"cpus": 2, "processes": 2})


def test_what_a_process_raises_it_says(job, two, monkeypatch):
    def fail(error):
        rank = Rank()
        rank.begin(job.model_dump_json(), two.model_dump_json(), Again(), 0.0)

        def start(*told):
            raise error

        monkeypatch.setattr(module, "start", start)
        return rank.advance(False)

    found = fail(DataError("no such case"))
    assert (found.status, found.detail, found.lost) == ("data_error", "DataError: no such case", False)
    assert found.trace.startswith("Traceback")
    assert fail(RuntimeError("x/gloo/transport/tcp/pair.cc:553] Connection closed by peer")).lost
    again = Again().with_less(8, step=1, spent_s=2.0)
    assert fail(ShareMemoryError(again)).again == again
    assert fail(MemoryError()).again is None


def test_all_but_the_first_process_leave_the_rows_to_it(job, two, monkeypatch):
    def ended(*told):
        return full
        yield

    monkeypatch.setattr(module, "start", ended)
    answers = []
    for number, status in ((0, "complete"), (1, "complete"), (1, "oom")):
        monkeypatch.setenv("RANK", str(number))
        full = TrialResult(status, "", {"steps": 3}, [{"case": "a"}])
        rank = Rank()
        rank.begin(job.model_dump_json(), two.model_dump_json(), Again(), 0.0)
        answers.append(rank.advance(False))
    assert [len(answer.cases) for answer in answers] == [1, 0, 1]
    assert [answer.status for answer in answers] == ["complete", "complete", "oom"]


def test_where_what_was_reserved_is_gone_the_trial_goes_on_elsewhere(job, two, monkeypatch):
    """No row: the worker ends, and with it its placement group."""
    monkeypatch.setattr(module, "get_current_placement_group", lambda: None)
    monkeypatch.setattr(module, "placement_group_table", lambda group: {"state": "RESCHEDULING"})
    runner = TrialRunner.__new__(TrialRunner)
    runner.setup({"job": job.model_dump_json(), "worker": two.model_dump_json()})
    with pytest.raises(NoProcessesError, match="what was reserved for 2 processes is rescheduling"):
        runner.step()
    assert Store(two.results).trials().empty


def test_what_a_trial_without_a_summary_has_cost_counts_for_each_process(job, two):
    row = trial_row(job, two, TrialResult("crashed"), elapsed_s=3.0)
    assert (row["wall_s"], row["device_s"]) == (3.0, 6.0)


def test_processes_find_one_another():
    here, there = Location("a", "10.0.0.1", 5), Location("b", "10.0.0.2", 6)
    first, second = environments([here, here], 3)
    assert first["MASTER_ADDR"] == second["MASTER_ADDR"] == LOOPBACK
    assert (first["RANK"], second["RANK"], second["LOCAL_RANK"], second["LOCAL_WORLD_SIZE"]) == (
        "0",
        "1",
        "1",
        "2",
    )
    assert first["OMP_NUM_THREADS"] == "3"
    spread = environments([here, there, here], 1)
    assert [each["LOCAL_RANK"] for each in spread] == ["0", "0", "1"]
    assert [each["LOCAL_WORLD_SIZE"] for each in spread] == ["2", "1", "2"]
    assert {(each["MASTER_ADDR"], each["MASTER_PORT"], each["WORLD_SIZE"]) for each in spread} == {
        ("10.0.0.1", "5", "3")
    }
    assert "GLOO_SOCKET_IFNAME" not in spread[0]


def test_each_process_has_its_part_of_the_cores_and_of_the_gpu(worker, monkeypatch):
    import torch

    assert process.threads(worker.model_copy(update={"cpus": 8, "processes": 4})) == 2
    told = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    card = type("Card", (), {"total_memory": 80 * 10**9})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    process.limit_gpu_memory(0.25)
    # Four such processes and what CUDA takes for each of them fit.
    assert told == [pytest.approx((20e9 - process.CUDA_CONTEXT_BYTES) / 80e9)]
    process.limit_gpu_memory(1 / 100)
    assert told[1:] == [pytest.approx(0.005)]
    process.limit_gpu_memory(1)
    process.limit_gpu_memory(0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    process.limit_gpu_memory(0.25)
    assert len(told) == 2


def test_time_that_was_spent_before_counts(job, worker):
    limited = worker.model_copy(update={"timeout_s": 100.0})
    assert Limits(job, limited, spent_s=99.0).left_s < 1
    assert Limits(job, worker).left_s is None
