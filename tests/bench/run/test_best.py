"""The engine trains finals of the setting that tables take for the best, whatever budget and limits are today."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.plan.study import Budget
from bench.results.counting import Limits
from bench.results.select import best_trials, newest_per_trial, with_trained_epochs
from bench.run.history import tuning_trials
from bench.run.sampling import Sampling
from bench.suite.search import PrunerSpec

START = datetime(2026, 1, 2, tzinfo=UTC)
STATUSES = ["complete"] * 4 + ["pruned", "crashed"]
TRIALS = st.tuples(
    st.integers(0, 9),
    st.sampled_from(STATUSES),
    st.sampled_from([0.1, 0.5, 0.5, 0.9, float("nan")]),
    st.sampled_from([None, 1.0, 4.0, 5.0]),
    st.sampled_from([None, 0.1, 50.0, 400.0]),
    st.integers(0, 12),
)
BUDGETS = st.one_of(
    st.builds(Budget, trials=st.integers(1, 9)),
    st.builds(Budget, epochs=st.integers(10, 70)),
    st.builds(Budget, device_hours=st.sampled_from([0.01, 0.05, 0.1, 0.3])),
)


def tables(study: str, trials: list) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, curves = [], []
    for place, (number, status, value, gmacs, device_s, epochs) in enumerate(trials):
        key = {"trial": f"t{place}", "code": "c", "attempt": 1}
        row = {
            **key,
            "study": study,
            "phase": "tune",
            "number": number,
            "setting": f"s{place}",
            "setting_json": json.dumps({"train.warmup": place / 100}),
            "status": status,
            "value": value,
            "gmacs": gmacs,
            "device_s": device_s,
            "finished_at": START + timedelta(minutes=(7 * place) % 11),
        }
        rows.append(row)
        curves += [{**key, "epoch": epoch, "score": 0.5} for epoch in range(1, epochs + 1)]
    return pd.DataFrame(rows), pd.DataFrame(curves, columns=["trial", "code", "attempt", "epoch", "score"])


@settings(max_examples=60, deadline=None)
@given(
    trials=st.lists(TRIALS, min_size=1, max_size=12),
    budget=BUDGETS,
    pruner=st.sampled_from(["none", "median"]),
    constraints=st.sampled_from([{}, {"gmacs": 4.0}, {"device_s": 100.0}]),
)
def test_engine_and_tables_choose_the_same_setting(make_study, trials, budget, pruner, constraints):
    study = make_study("random", budget=budget, pruner=PrunerSpec(name=pruner), constraints=constraints)
    rows, curves = tables(study.id, trials)
    tried = tuning_trials(newest_per_trial(rows, "c"), study.id, lambda trial: False, curves)
    chosen = Sampling(study, tried).best()
    kept = json.loads(json.dumps(vars(study.limits)))
    found = best_trials(with_trained_epochs(rows, curves), "c", limits={study.id: Limits(**kept)})
    expected = [] if chosen is None else [chosen.setting]
    assert [json.loads(setting) for setting in found["setting_json"]] == expected
