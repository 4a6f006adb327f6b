"""Who is compared with whom: the entries of two runs, two entries of a run, or two versions of the code."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.errors import BenchError, NoSuchNameError, NothingInCommonError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.contrast import CODE_DIGITS, unlike_code
from bench.leaderboard.load import load_tasks
from bench.leaderboard.side_by_side import A, B, Pair, join
from bench.results.store import Store
from medseg.errors import did_you_mean


@dataclass(frozen=True)
class Match:
    """All that is compared.

    Args:
        titles: What A and B are.
        pairs: Task by task.
        left_out: What only one of them has, or what cannot be compared, and why.
        stores: Where the results of A and of B are.
        metrics: All that was measured of either.
    """

    titles: tuple[str, str]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()
    stores: tuple[Store, ...] = ()
    metrics: tuple[str, ...] = ()


class OneCode(Store):
    """A store as one version of the code left it: final trials of other code are not there."""

    def __init__(self, store: Store, code: str):
        super().__init__(store.root)
        self.code = code

    def trials(self, without: Collection[str] = ()) -> pd.DataFrame:
        """See `Store`. Tuning trials stay: which setting the finals have was decided by all of them."""
        rows = super().trials(without)
        return rows[(rows["code"] == self.code) | (rows["phase"] != "final")].reset_index(drop=True)


def match_runs(first: Store, second: Store, tasks: Sequence[str] | None = None) -> Match:
    """Pairs the entries of two runs by task and name.

    Args:
        first: Results of A.
        second: Results of B.
        tasks: Only these.

    Raises:
        ResultsError: If there are no results, or nothing that both have.
        BenchError: If both are the same trials.
    """
    if first.root.url == second.root.url:
        raise BenchError(f"{first.root} is compared with itself: name two runs")
    sides = [{cells.task: cells for cells in load_tasks(store)} for store in (first, second)]
    titles = tuple(
        f"{store.root} ({_codes(side.values())})" for store, side in zip((first, second), sides, strict=True)
    )
    found = _match(titles[0], titles[1], sides[0], sides[1], tasks)
    return replace(found, stores=(first, second))


def match_codes(store: Store, codes: tuple[str, str], tasks: Sequence[str] | None = None) -> Match:
    """Pairs what two versions of the code made of the same entries.

    Args:
        store: Results.
        codes: The beginnings of their fingerprints.
        tasks: Only these.

    Raises:
        ResultsError: If no final trial, or those of several versions, have such a fingerprint.
        BenchError: If both are the same.
    """
    trials = store.trials()
    finals = trials[trials["phase"] == "final"]
    full = [_code(store, finals, start) for start in codes]
    if full[0] == full[1]:
        raise BenchError(
            f"{store.root}: --code {codes[0]} and {codes[1]} are the same code, {full[0][:CODE_DIGITS]}"
        )
    sides = [{cells.task: cells for cells in load_tasks(OneCode(store, code), code=code)} for code in full]
    titles = [f"code {code[:CODE_DIGITS]}" for code in full]
    found = _match(titles[0], titles[1], sides[0], sides[1], tasks)
    return replace(found, stores=(store, store))


def match_entries(store: Store, names: tuple[str, str], tasks: Sequence[str] | None = None) -> Match:
    """Pairs two entries of a run on each task that has both.

    Args:
        store: Results.
        names: Their names.
        tasks: Only these.

    Raises:
        ResultsError: If the run has no such entry, or no task has both.
        BenchError: If both are the same.
    """
    loaded = load_tasks(store, tasks=tasks)
    known = sorted({entry.name for cells in loaded for entry in cells.entries})
    waiting = {name: reason for cells in loaded for name, reason in cells.pending.items()}
    for name in names:
        if name not in known:
            if name not in waiting:
                raise NoSuchNameError(f"{store.root}: '{name}': no such entry{did_you_mean(name, known)}")
            raise NothingInCommonError(f"{store.root}: '{name}': {waiting[name]}")
    if names[0] == names[1]:
        raise BenchError(f"'{names[0]}' is compared with itself: name two entries")
    pairs, left = [], []
    for cells in loaded:
        entries = {entry.name: entry for entry in cells.entries}
        lacking = [name for name in names if name not in entries]
        if lacking:
            left.append(f"{cells.task}: {lacking[0]}: {cells.pending.get(lacking[0], 'not there')}")
            continue
        two = [entries[name] for name in names]
        found = join(cells, two[0], cells, two[1], "")
        if isinstance(found, str):
            left.append(f"{cells.task}: {found}")
        else:
            code = unlike_code(two)
            pairs.append(replace(found, waits=(f"not by the same code: {code}",)) if code else found)
    metrics = _measured(loaded)
    return _checked(Match((names[0], names[1]), tuple(pairs), tuple(left), (store, store), metrics))


def _match(
    first: str,
    second: str,
    one: dict[str, TaskCells],
    other: dict[str, TaskCells],
    tasks: Sequence[str] | None,
) -> Match:
    pairs: list[Pair] = []
    left: list[str] = []
    for task in tasks or dict.fromkeys((*one, *other)):
        if task not in one or task not in other:
            if task not in one and task not in other:
                known = sorted({*one, *other})
                raise NoSuchNameError(f"no trials of task '{task}'{did_you_mean(task, known)}")
            left.append(f"{task}: only {first if task in one else second} has it")
            continue
        for found in _of_task(one[task], other[task]):
            pairs.append(found) if isinstance(found, Pair) else left.append(f"{task}: {found}")
    metrics = _measured([*one.values(), *other.values()])
    return _checked(Match((first, second), tuple(pairs), tuple(left), metrics=metrics))


def _measured(tasks: Iterable[TaskCells]) -> tuple[str, ...]:
    return tuple(sorted({metric for cells in tasks for metric in (*cells.metrics, *cells.apart)}))


def _checked(match: Match) -> Match:
    if not match.pairs:
        why = "; ".join(match.left_out[:3]) or "no entry has final trials"
        raise NothingInCommonError(f"nothing to compare of {match.titles[0]} and {match.titles[1]}: {why}")
    if all(pair.same for pair in match.pairs):
        raise BenchError(f"{match.titles[0]} and {match.titles[1]} are the same trials: name two runs")
    return match


def _of_task(one: TaskCells, other: TaskCells) -> Iterator[Pair | str]:
    sides = [{entry.name: entry for entry in cells.entries} for cells in (one, other)]
    for name in sorted({*sides[0], *sides[1], *one.pending, *other.pending}):
        lacking = [word for word, side in zip((A, B), sides, strict=True) if name not in side]
        if len(lacking) == 2:
            continue
        if lacking:
            reason = (one if lacking == [A] else other).pending.get(name, "not there")
            yield f"{name}: not in {lacking[0]} ({reason})"
        else:
            yield join(one, sides[0][name], other, sides[1][name], name)


def _codes(side: Iterable[TaskCells]) -> str:
    """Writes the code that made a side's final trials."""
    finals = [entry.finals for cells in side for entry in cells.entries if len(entry.finals)]
    codes = sorted({str(code)[:CODE_DIGITS] for rows in finals for code in rows["code"]})
    return f"code {', '.join(codes)}" if codes else "no final trials"


def _code(store: Store, finals: pd.DataFrame, start: str) -> str:
    """Returns the fingerprint of the code of final trials that begins so."""
    newest = finals.sort_values("finished_at").drop_duplicates("code", keep="last")
    found = [str(code) for code in newest["code"] if str(code).startswith(start)]
    if start and len(found) == 1:
        return found[0]
    number = finals["code"].value_counts()
    known = ", ".join(
        f"{code[:CODE_DIGITS]} ({number[code]} final trials, last {time:%Y-%m-%d})"
        for code, time in zip(newest["code"], newest["finished_at"], strict=True)
    )
    what = (
        "several versions of the code begin"
        if len(found) > 1
        else "no final trial was made by code that begins"
    )
    raise NoSuchNameError(f"{store.root}: --code {start}: {what} so (there are: {known or 'none'})")
