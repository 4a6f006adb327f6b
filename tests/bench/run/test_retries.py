import pytest

from bench.run.retries import MAX_ATTEMPTS, Retries


@pytest.fixture
def now() -> list[float]:
    return [0.0]


def test_waits_grow_fourfold_and_end_after_so_many_attempts(job, now):
    retries = Retries(lambda: now[0])
    for wait in (1, 4, 16):
        assert retries.lost(job)
        now[0] += wait - 0.1
        assert not retries.due
        now[0] += 0.1
        assert retries.due
        again = retries.take()
        assert (again.trial, again.attempt) == (job.trial, job.attempt + 1)
        job = again
    assert not retries.lost(job)
    assert len(retries) == 0
    assert job.attempt == MAX_ATTEMPTS


def test_who_has_waited_longest_beyond_his_time_goes_first(job, now):
    retries = Retries(lambda: now[0])
    slow = job.model_copy(update={"trial": "slow"})
    retries.lost(slow)
    now[0] = 1
    retries.take()
    retries.lost(slow)
    now[0] = 2
    retries.lost(job)
    now[0] = 10
    assert [retries.take().trial, retries.take().trial] == [job.trial, "slow"]


def test_jobs_that_are_due_at_once_keep_their_order(job, now):
    retries = Retries(lambda: now[0])
    for name in "abc":
        retries.lost(job.model_copy(update={"trial": name}))
    now[0] = 1
    assert [retries.take().trial for _ in range(3)] == ["a", "b", "c"]
