import pytest

from bench.run.policy import Known
from bench.run.standing import Standing


def known(status: str, attempt: int = 1) -> Known:
    return Known(status=status, value=None, stale=False, attempt=attempt, device_s=1.0)


@pytest.mark.parametrize(
    ("earlier", "later", "stands"),
    [
        (None, "infra_lost", "infra_lost"),
        ("infra_lost", "interrupted", "interrupted"),
        ("crashed", "interrupted", "crashed"),
        ("crashed", "complete", "complete"),
        ("complete", "infra_lost", "complete"),
    ],
)
def test_only_an_end_replaces_an_end_however_often_a_trial_was_lost(earlier, later, stands):
    standing = Standing({} if earlier is None else {"t": known(earlier)})
    standing.note("t", known(later, attempt=99))
    assert standing.rows["t"].status == stands


def test_each_number_counts_and_what_is_open_does_not():
    standing = Standing({"a": known("complete"), "b": known("crashed"), "c": known("infra_lost")})
    assert [standing.draw(trial, n) for n, trial in enumerate("aabc")] == [True, False, True, True]
    standing.open("b")
    assert [row.status for row in standing.tuned()] == ["complete"] * 2
    assert [row.status for row in standing.tuned(lost=True)] == ["complete", "complete", "infra_lost"]
    standing.close("b", standing.rows["b"])
    assert [row.status for row in standing.settled("bx")] == ["crashed"]
    assert (standing.tally.ended, standing.tally.failed) == (1, 1)


def test_what_was_given_up_is_remembered_beside_the_result_that_stands():
    standing = Standing({"a": known("complete")})
    for trial, status in (("a", "infra_lost"), ("b", "interrupted")):
        standing.note(trial, known(status))
        standing.close(trial, known(status))
    assert [row.status for row in standing.kept] == ["infra_lost"]
    assert standing.interrupted
    assert standing.tally.failed == 1
