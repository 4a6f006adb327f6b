import math

import pytest

from medseg.training.outcome import DivergedError
from medseg.training.progress import Progress


def progress(losses, constant=10):
    curves = [{"train_loss": loss} for loss in losses]
    return Progress(step=5 * len(losses), curves=curves, constant_epochs=constant)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_loss_that_is_not_finite_is_named(bad):
    with pytest.raises(DivergedError, match="not finite at step 12") as caught:
        Progress(step=14, losses=[1.0, 0.5, bad, bad]).check_finite()
    assert caught.value.step == 12
    Progress(step=14, losses=[1.0, 0.5]).check_finite()


def test_constant_predictions_with_a_loss_that_stays_are_no_learning():
    with pytest.raises(
        DivergedError, match=r"no learning: for 10 epochs up to step 60.* from 0\.7 to 0\.695"
    ):
        progress([0.9, 0.8, *[0.7] * 9, 0.695]).check_learning(10)


def test_a_loss_below_zero_that_stays_is_no_learning_either():
    with pytest.raises(DivergedError, match="no learning"):
        progress([-0.5] * 12).check_learning(10)


@pytest.mark.parametrize(
    ("losses", "constant", "patience"),
    [
        ([0.7] * 12, 9, 10),  # Predictions changed within the last ten epochs.
        ([0.7 * 0.99**n for n in range(12)], 12, 10),  # Slow, but on its way.
        ([-0.5 * 1.01**n for n in range(12)], 12, 10),
        ([0.7] * 12, 12, None),  # Turned off.
        ([0.7] * 5, 5, 10),  # Too early to tell.
    ],
)
def test_what_may_still_learn_goes_on(losses, constant, patience):
    progress(losses, constant).check_learning(patience)
