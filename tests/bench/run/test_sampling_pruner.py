"""Our pruning against Optuna's own, on the same curves."""

import random

import optuna
import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner

from bench.run.sampling import Outcome, Sampling, Tried
from bench.suite.search import PrunerSpec

EPOCHS = 16
CASES = [
    (PrunerSpec(name="asha"), lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=4)),
    (
        PrunerSpec(name="asha", min_epochs=2, reduction=2),
        lambda: SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    ),
    (PrunerSpec(name="median"), lambda: MedianPruner(n_startup_trials=5, n_warmup_steps=1)),
    (
        PrunerSpec(name="median", startup=2, min_epochs=3),
        lambda: MedianPruner(n_startup_trials=2, n_warmup_steps=3),
    ),
    (
        PrunerSpec(name="hyperband"),
        lambda: HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
    ),
]
KINDS = [f"{spec.name}-{number}" for number, (spec, _) in enumerate(CASES)]


def score(number, epoch):
    final = random.Random(number).random()
    return final * (1 - 0.7**epoch) + 0.05 * random.Random(number * 1000 + epoch).random()


def run(sampling, number, epochs=EPOCHS):
    """Trains a trial; returns the epoch after which it was pruned, or None."""
    for epoch in range(1, epochs + 1):
        if sampling.report(number, epoch, score(number, epoch)):
            sampling.tell(number, Outcome("pruned"))
            return epoch
    sampling.tell(number, Outcome("complete", score(number, epochs)))
    return None


@pytest.mark.parametrize(("spec", "make"), CASES, ids=KINDS)
def test_trials_end_where_optuna_ends_them(make_study, spec, make):
    study = make_study("random", pruner=spec, tune_epochs=EPOCHS)
    sampling = Sampling(study)
    plain = optuna.create_study(study_name=study.id, direction="maximize", pruner=make())
    ends = []
    for number in range(30):
        assert sampling.ask().number == number
        trial = plain.ask()
        ended = None
        # Optuna does not know that a trial is through with its epochs, nor that the default is always finished.
        for epoch in range(1, EPOCHS):
            trial.report(score(number, epoch), epoch)
            if trial.should_prune() and number > 0:
                ended = epoch
                break
        plain.tell(
            trial,
            None if ended else score(number, EPOCHS),
            state=optuna.trial.TrialState.PRUNED if ended else None,
        )
        ends.append(run(sampling, number))
        assert ends[-1] == ended, number
    assert ends[0] is None
    assert sum(end is not None for end in ends) > 5
    assert sum(end is None for end in ends) > 2


@pytest.mark.parametrize("spec", [spec for spec, _ in CASES], ids=KINDS)
def test_after_an_interruption_trials_end_where_they_would_have(make_study, spec):
    study = make_study("random", pruner=spec, tune_epochs=EPOCHS)
    whole = Sampling(study)
    ends, rows = [], []
    for number in range(24):
        asked = whole.ask()
        ends.append(run(whole, number))
        curve = {epoch: score(number, epoch) for epoch in range(1, (ends[-1] or EPOCHS) + 1)}
        last = None if ends[-1] else curve[EPOCHS]
        rows.append(Tried(number, asked.setting, Outcome("pruned" if ends[-1] else "complete", last), curve))
    random.Random(0).shuffle(rows)
    again = Sampling(study, [row for row in rows if row.number < 12])
    found = []
    for number in range(12, 24):
        assert again.ask().number == number
        found.append(run(again, number))
    assert found == ends[12:]


def test_epochs_that_a_resumed_trial_repeats_change_nothing(make_study):
    study = make_study("random", pruner=PrunerSpec(name="asha"), tune_epochs=EPOCHS)
    sampling = Sampling(study)
    for number in range(2):
        sampling.ask()
        for epoch in (1, 2, 3, 2, 3, 4):
            assert not sampling.report(number, epoch, 0.5 + number)
    assert sampling.ask().number == 2
    assert sampling.report(2, 1, 0.1)


def test_without_a_pruner_nothing_ends_early(make_study):
    sampling = Sampling(make_study("random"))
    for number in range(20):
        sampling.ask()
        assert run(sampling, number, epochs=4) is None


def test_a_trial_in_its_last_epoch_is_not_ended(make_study):
    study = make_study("random", pruner=PrunerSpec(name="asha", min_epochs=3), tune_epochs=3)
    sampling = Sampling(study)
    for number, value in enumerate((0.9, 0.8, 0.1)):
        sampling.ask()
        assert not sampling.report(number, 3, value)
