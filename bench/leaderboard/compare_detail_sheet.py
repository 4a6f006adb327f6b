"""The second table of a comparison: what else is known of each difference."""

import math
from collections.abc import Sequence

from bench.leaderboard.claim_sheet import needed_text
from bench.leaderboard.comparison import Comparison, Details, Difference
from bench.leaderboard.estimate import Estimate
from bench.leaderboard.formats import NOTHING, SHARES, estimate_text, p_text, shares_text
from bench.leaderboard.sheet import ALWAYS, Sheet, SheetColumn, column_of
from bench.stats.bayes import Rope

MEAN = "mean"
CHANCES = "P(worse / equal / better)"


def detail_sheets(found: Comparison) -> list[Sheet]:
    """Returns a table per metric with what else is known; none where nobody asked."""
    pairs = [(row, row.details) for row in found.rows if row.details is not None]
    metrics = dict.fromkeys(row.facts.name for row, _ in pairs)
    return [_sheet([pair for pair in pairs if pair[0].facts.name == metric]) for metric in metrics]


def _sheet(pairs: Sequence[tuple[Difference, Details]]) -> Sheet:
    rows, details = [row for row, _ in pairs], [one for _, one in pairs]
    columns = [
        column_of("sign-flip p", [p_text(one.sign_flip_p) for one in details], 8, key="sign_flip"),
        column_of(CHANCES, [rope_text(one.by_patients) for one in details], 7, key="patients"),
        column_of("by folds", [rope_text(one.by_folds) for one in details], 6, key="folds"),
        column_of("patients x trainings", [_interval(row, row.over_trainings) for row in rows], 5, key="t"),
        column_of("resampled", [_interval(row, one.resampled) for row, one in pairs], 3, key="resampled"),
        column_of(SHARES, [_shares(row, one) for row, one in pairs], 4, key="shares"),
        column_of("takes", [_takes(one) for one in details], 7.5, "left", key="takes"),
    ]
    told = [column for column in columns if any(cell.text != NOTHING for cell in column.cells)]
    return Sheet(
        title=f"{rows[0].facts.title}, details",
        columns=(*_names(rows), *told),
        about=tuple(_about(details).items()),
    )


def _names(rows: Sequence[Difference]) -> list[SheetColumn]:
    found = [column_of("task", [row.task for row in rows], ALWAYS, "left", wraps=True)]
    if any(row.name for row in rows):
        found.append(column_of("entry", [row.name for row in rows], ALWAYS, "left", wraps=True))
    if any(row.label for row in rows):
        found.append(column_of("label", [row.label or MEAN for row in rows], ALWAYS, "left", wraps=True))
    return found


def rope_text(rope: Rope | None) -> str:
    """Writes probabilities, e.g. ``0.02 / 0.90 / 0.08``."""
    if rope is None or not rope.can_tell:
        return NOTHING
    return " / ".join(f"{chance:.2f}" for chance in (rope.worse, rope.equivalent, rope.better))


def _shares(row: Difference, one: Details) -> str:
    """Writes shares of variance; nothing of a single run, which has nothing but patients."""
    return shares_text(one.shares) if row.trainings > 1 else NOTHING


def _interval(row: Difference, found: Estimate) -> str:
    if math.isnan(found.low):
        return NOTHING
    return estimate_text(found, row.facts.decimals, signed=True)


def _takes(one: Details) -> str:
    """Writes how many patients, or seeds, would show the difference."""
    if one.outlook is None:
        return NOTHING
    numbers = {"patient": one.outlook.units, "seed": one.outlook.seeds}
    enough = [needed_text(number, noun) for noun, number in numbers.items() if math.isfinite(number)]
    return " or ".join(enough) or needed_text(one.outlook.units, "patient")


def _about(details: Sequence[Details]) -> dict[str, str]:
    """Says by key what the columns are."""
    ropes = {one.rope for one in details if one.rope is not None}
    within = f"practically equal: within ±{ropes.pop():g}" if ropes else "no region of practical equivalence"
    return {
        "sign_flip": "sign-flip p: permutation test of the mean over patients, two-sided, not corrected.",
        "patients": f"{CHANCES}: Bayesian signed-rank test, {within}; of most patients, not of the mean.",
        "folds": f"by folds: the same by the correlated t-test over the folds, on validation patients, on whom "
        f"settings were chosen; {within}.",
        "t": "patients x trainings: t interval of the mean difference over both.",
        "resampled": "resampled: its bootstrap interval, both drawn.",
        "shares": f"{SHARES}: shares in the variance of the differences, run by run.",
        "takes": "takes: patients with these trainings, or seeds per fold with these patients, that show it with "
        "80% power if the difference truly is the measured one.",
    }
