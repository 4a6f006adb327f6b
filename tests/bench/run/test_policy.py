from typing import Any

import pytest

from bench.run.policy import MOST_ATTEMPTS, Allowance, FailureLimit, Known, Policy, Tally


def known(status: str = "complete", stale: bool = False, attempt: int = 1) -> Known:
    value = 0.5 if status == "complete" else None
    return Known(status=status, value=value, stale=stale, attempt=attempt, device_s=1.0)


ROWS: dict[str, Known | None] = {
    "none": None,
    "complete": known(),
    "diverged": known("diverged"),
    "oom": known("oom"),
    "crashed": known("crashed"),
    "pruned": known("pruned"),
    "interrupted": known("interrupted"),
    "lost": known("infra_lost", attempt=MOST_ATTEMPTS - 1),
    "hopeless": known("infra_lost", attempt=MOST_ATTEMPTS),
    "stale": known(stale=True),
    "stale crashed": known("crashed", stale=True),
}


@pytest.mark.parametrize(
    ("policy", "runs"),
    [
        (Policy(), "none interrupted lost"),
        (Policy("failed"), "hopeless diverged oom crashed|stale crashed"),
        (Policy("stale"), "stale|stale crashed"),
        (Policy("all"), "|".join(ROWS)),
        (Policy(retry=("failed",)), "none interrupted lost hopeless diverged oom crashed|stale crashed"),
        (Policy(retry=("oom", "pruned")), "none interrupted lost oom pruned"),
        (Policy(retry=("infra_lost",)), "none interrupted lost hopeless"),
    ],
)
def test_which_rows_are_run(policy, runs):
    expected = {name for part in runs.split("|") for name in ([part] if part in ROWS else part.split())}
    assert {name for name, row in ROWS.items() if policy.needs_run(row)} == expected


@pytest.mark.parametrize(
    ("only", "new"), [("missing", True), ("all", True), ("failed", False), ("stale", False)]
)
def test_who_asks_for_new_trials(only: Any, new: bool):
    assert Policy(only).new is new


@pytest.mark.parametrize(
    ("text", "failed", "ended", "exceeded"),
    [
        ("0", 0, 100, False),
        ("0", 1, 1, True),
        ("3", 3, 3, False),
        ("3", 4, 100, True),
        ("50%", 9, 9, False),
        ("50%", 5, 10, False),
        ("50%", 6, 10, True),
        ("100%", 50, 50, False),
        ("0%", 1, 10, True),
    ],
)
def test_how_many_failures_are_too_many(text, failed, ended, exceeded):
    assert FailureLimit.parse(text).exceeded(Tally(ended, failed)) is exceeded


def test_a_pruned_trial_is_decided_and_no_failure():
    assert known("pruned").decided
    assert not known("pruned").failed
    assert not known("infra_lost").decided


def test_a_trial_that_was_lost_at_every_of_many_attempts_is_a_failure():
    lost = known("infra_lost", attempt=MOST_ATTEMPTS)
    assert (lost.decided, lost.failed, lost.ended) == (True, True, False)
    assert not known("interrupted", attempt=MOST_ATTEMPTS).decided


def test_an_allowance_is_spent_trial_by_trial():
    allowance = Allowance(2)
    for _ in range(2):
        assert not allowance.spent
        allowance.take()
    assert allowance.spent
    unlimited = Allowance()
    unlimited.take()
    assert not unlimited.spent
