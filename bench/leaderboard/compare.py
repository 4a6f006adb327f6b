"""Is B worse than A, better, or the same? Paired differences by task and label, against margins if there are any."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.errors import BenchError, NoSuchNameError, NothingInCommonError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.compare_details import Draws, detailed
from bench.leaderboard.compare_verdicts import Measured, judged
from bench.leaderboard.comparison import Comparison, Difference
from bench.leaderboard.contrast import contrast
from bench.leaderboard.fold_values import fold_values, read_folds
from bench.leaderboard.opponents import Match
from bench.leaderboard.side_by_side import A, B, Pair
from bench.stats.intervals import RESAMPLES
from bench.stats.resample import LEVEL
from medseg.errors import did_you_mean

DEFAULT = "dice"


def compare_match(
    match: Match,
    metrics: Sequence[str] | None = None,
    margins: Mapping[str, float] | None = None,
    each_label: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    ropes: Mapping[str, float] | None = None,
    details: bool = False,
) -> Comparison:
    """Compares B with A.

    Args:
        match: Who is compared with whom.
        metrics: Names; by default those of margins and ropes, else Dice where measured, else the first by name.
        margins: By metric, how much worse B may be, in the metric's own direction.
        each_label: Whether margins must be kept by each label, too.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        ropes: By metric, up to which difference B is practically equal; by default the margin.
        details: Whether to tell what else is known of each difference.

    Raises:
        ResultsError: If a metric was measured nowhere, or nothing can be compared.
        BenchError: If a metric is only reported, or a margin has the sign of an improvement or cannot be missed.
    """
    margins, ropes = dict(margins or {}), dict(ropes or {})
    names = list(dict.fromkeys([*(metrics or ()), *margins, *ropes])) or _default(match)
    for name in names:
        if match.metrics and name not in match.metrics:
            hint = did_you_mean(name, match.metrics)
            raise NoSuchNameError(f"no test values of metric '{name}'{hint}")
    found: list[Measured] = []
    left, notes = list(match.left_out), []
    for pair in match.pairs:
        where = f"{pair.cells.task}{f', {pair.name}' if pair.name else ''}"
        notes += [f"{where}: {note}" for note in pair.notes]
        folds = read_folds(match.stores, pair.cells) if details else pd.DataFrame()
        for name in names:
            problem = _unmeasured(pair.cells, name)
            if problem:
                left.append(f"{where}: {problem}")
                continue
            sizes = margins.get(name), ropes.get(name)
            measured = _of_metric(pair, name, sizes, each_label, seed, resamples)
            if details:
                measured = [
                    replace(one, by_fold=fold_values(folds, pair.cells, name, one.row.label))
                    for one in measured
                ]
            found += measured
    if not found:
        raise NothingInCommonError(f"nothing to compare: {'; '.join(left[:3])}")
    rows, sizes = judged(found, seed, resamples)
    if details:
        draws = Draws(seed, resamples)
        rows = [
            replace(row, details=detailed(one, row, _rope(row.facts.name, margins, ropes), draws))
            for one, row in zip(found, rows, strict=True)
        ]
    return Comparison(
        titles=match.titles,
        rows=tuple(rows),
        margins=margins,
        each_label=each_label,
        notes=tuple(dict.fromkeys(notes)),
        left_out=tuple(left),
        comparisons=sizes,
        resamples=resamples,
    )


def _rope(metric: str, margins: Mapping[str, float], ropes: Mapping[str, float]) -> float | None:
    """Returns up to which difference B is practically equal; none where nobody said."""
    return ropes.get(metric) or abs(margins.get(metric, 0.0)) or None


def _default(match: Match) -> list[str]:
    cells = [pair.cells for pair in match.pairs]
    known = sorted({name for one in cells for name in one.metrics if one.facts(name).ranked})
    return [DEFAULT] if DEFAULT in known else known[:1]


def _unmeasured(cells: TaskCells, metric: str) -> str:
    """Says why a metric cannot be compared on a task; empty where it can."""
    if metric in cells.apart:
        return "; ".join(f"{metric}: {word}: {reason}" for word, reason in cells.apart[metric].items())
    return "" if metric in cells.metrics else f"{metric} was not measured"


def _of_metric(
    pair: Pair,
    metric: str,
    sizes: tuple[float | None, float | None],
    each_label: bool,
    seed: int,
    resamples: int,
) -> list[Measured]:
    cells = pair.cells
    cells.check_ranked(metric)
    facts = cells.facts(metric)
    margin, rope = sizes
    if margin is not None and margin * facts.sign > 0:
        better, how = ("higher", "-") if facts.higher_is_better else ("lower", "+")
        raise BenchError(
            f"--margin {metric}={margin:g}: of {metric} {better} is better; say by how much B may be worse, "
            f"e.g. {metric}={how}{abs(margin):g}"
        )
    for option, size in (("margin", margin), ("rope", rope)):
        if size is not None and abs(size) >= facts.span:
            raise BenchError(
                f"--{option} {metric}={size:g}: values of {metric} differ by at most {facts.span:g}, so that it says "
                "nothing"
            )
    labels = [str(name) for name in sorted(cells.of_metric(metric)["label"].unique())]
    parts = (
        {"": cells}
        if len(labels) < 2
        else {"": cells, **{name: cells.only(labels=[name]) for name in labels}}
    )
    found = []
    for label, part in parts.items():
        gap = contrast(part, metric, [B], [A], 1)
        # As they are compared: on the patients that have both.
        pairs = part.together(metric, [A, B], part.patients(metric)).dropna(axis=1).to_numpy(float)
        row = Difference(
            task=cells.task,
            name=pair.name,
            facts=facts,
            label=label,
            first=float(pairs[0].mean()) if pairs.size else math.nan,
            second=float(pairs[1].mean()) if pairs.size else math.nan,
            effect=gap.effect(facts.sign, seed, resamples),
            over_trainings=gap.over_trainings(LEVEL),
            n=gap.n,
            trainings=gap.components.n_runs,
            seeds=gap.seeds,
            margin=margin if each_label or not label else None,
        )
        found.append(Measured(row, gap, pair.waits, part.runs_together(metric, [A, B])))
    return found
