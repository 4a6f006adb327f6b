import pytest

from bench.plan.study import Budget
from bench.run.budget import Spending
from bench.run.policy import Known


def known(status: str = "complete", device_s: float = 1.0) -> Known:
    return Known(status=status, value=None, stale=False, attempt=1, device_s=device_s)


def spend(budget: Budget | None, *ends: Known, running: int = 0, epochs: int = 0) -> Spending:
    spending = Spending(budget, tune_epochs=4)
    for end in ends:
        spending.begin()
        spending.end(end, epochs)
    for _ in range(running):
        spending.begin()
    return spending


def test_trials_count_however_they_ended_and_while_they_run():
    budget = Budget(trials=4)
    assert spend(budget, known(), known("crashed"), running=1).pays
    assert not spend(budget, known(), known("pruned"), known("crashed"), running=1).pays


def test_epochs_are_charged_whole_but_for_pruned_trials():
    budget = Budget(epochs=12)
    assert not spend(budget, known(), known("diverged"), running=1).pays
    pruned = spend(budget, known("pruned"), known("pruned"), epochs=2, running=1)
    assert (pruned.epochs, pruned.pays) == (4, True)


def test_epochs_that_do_not_make_a_whole_trial_are_left_over():
    assert not spend(Budget(epochs=11), known(), known()).pays


@pytest.mark.parametrize(("epochs", "charged"), [(0, 1), (3, 3), (9, 4)])
def test_a_pruned_trial_costs_at_least_one_epoch_and_at_most_all(epochs, charged):
    assert spend(Budget(epochs=40), known("pruned"), epochs=epochs).epochs == charged


def test_device_time_takes_running_trials_for_average_ones():
    budget = Budget(device_hours=0.01)  # 36 s
    assert spend(budget).pays
    assert spend(budget, known(device_s=17), known(device_s=17)).pays
    assert not spend(budget, known(device_s=17), known("crashed", 19)).pays
    assert not spend(budget, known(device_s=18), running=1).pays
    assert spend(budget, known(device_s=10), running=1).pays


def test_a_study_whose_trials_fail_at_once_ends():
    budget = Budget(device_hours=10 / 3600)
    assert spend(budget, *[known("crashed", 0.0)] * 9).pays
    assert not spend(budget, *[known("crashed", 0.0)] * 10).pays
    assert spend(budget, *[known("crashed", 0.0)] * 10).device_s == 0


def test_without_a_budget_nothing_is_paid():
    assert not spend(None).pays
    assert spend(None).share == 1


@pytest.mark.parametrize(
    ("budget", "share"),
    [(Budget(trials=4), 0.5), (Budget(epochs=16), 0.5), (Budget(device_hours=10 / 3600), 0.8)],
)
def test_the_share_counts_what_is_promised(budget, share):
    assert spend(budget, known(device_s=4), running=1).share == pytest.approx(share)
