"""What a worker makes of the ways in which a trial ends."""

import pytest

from bench.results.store import Store
from bench.run.trainable import TrialRunner


def runner(job, worker, error):
    """A worker in the middle of a trial whose next epoch raises, without Ray around it."""

    def events():
        raise error
        yield

    found = TrialRunner.__new__(TrialRunner)
    found.setup({"job": job.model_dump_json(), "worker": worker.model_dump_json()})
    found._events = events()
    return found


@pytest.mark.parametrize("error", [SystemExit(1), ValueError("wrong")])
def test_whatever_a_trial_raises_becomes_a_row(job, worker, error):
    report = runner(job, worker, error).step()
    assert (report["done"], report["status"]) == (True, "crashed")
    (row,) = Store(worker.results).trials().to_dict("records")
    assert type(error).__name__ in row["detail"]


def test_a_worker_that_ray_ends_leaves_no_row(job, worker):
    """Ray raises this in its handler of SIGTERM; the trial goes on elsewhere, from its checkpoint."""
    from ray._raylet import raise_sys_exit_with_custom_error_message

    with pytest.raises(SystemExit) as caught:
        raise_sys_exit_with_custom_error_message("The process receives a SIGTERM.", exit_code=1)
    with pytest.raises(SystemExit):
        runner(job, worker, caught.value).step()
    assert not list(worker.results.rglob("*.parquet"))
