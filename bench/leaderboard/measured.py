"""The test values of final trials as rows, read and completed by codes: millions of rows take seconds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.errors import ResultsError
from bench.leaderboard.definitions import RUN
from bench.results.store import Store
from bench.stats.codes import Codes, Combined, combine, pick

MEASURED = ["case", "patient", "label", "metric"]
READ = ["trial", "code", *MEASURED, "subgroup", "phase", "definition", "value", "status", "unit", "diagonal"]
MISSING = "missing"


def read_values(store: Store, finals: pd.DataFrame) -> pd.DataFrame:
    """Reads the test values of complete final trials.

    Args:
        store: Results.
        finals: Final trials, whatever their status.

    Returns:
        Columns entry, fold, seed, then those of `READ` but trial and code. Texts are categorical, their words
        sorted.
    """
    done = finals[finals["status"] == "complete"]
    table = store.case_table(trials=list(done["trial"]), part="test", columns=READ, known=done)
    rows = pd.DataFrame({name: _column(table[name]) for name in table.column_names}, copy=False)
    del table
    ran = combine(rows[["trial", "code"]], ["trial", "code"])
    trials = pd.MultiIndex.from_frame(done[["trial", "code"]])
    place = trials.get_indexer(pd.MultiIndex.from_frame(ran.frame()))
    known = {name: _taken(_taken(done[name], place), ran.codes) for name in RUN}
    found = pd.DataFrame(known | dict(rows.drop(columns=["trial", "code"]).items()), copy=False)
    if (place < 0).any():
        # Of other code than what speaks for the trial.
        found = found[pick(place >= 0, ran.codes)].reset_index(drop=True)
    return found


def _column(column: Any) -> pd.Series:
    """Returns an Arrow column; texts as a categorical one, its words sorted."""
    if not pa.types.is_dictionary(column.type):
        return pd.Series(column.to_numpy(), copy=False)
    parts = [chunk.indices.to_numpy() for chunk in column.chunks]
    if not parts:
        return pd.Series(pd.Categorical([], pd.Index([], dtype="str")))
    words = column.chunk(0).dictionary.to_pandas().astype("str")
    codes = parts[0] if len(parts) == 1 else np.concatenate(parts)
    order = words.argsort().to_numpy()
    if not (np.diff(order) == 1).all():
        place = np.empty(len(order), codes.dtype)
        place[order] = np.arange(len(order))
        codes = pick(place, codes)
    words = pd.Index(words.iloc[order])
    return pd.Series(pd.Categorical.from_codes(codes, words, validate=False), copy=False)


def _taken(column: pd.Series, places: Codes) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.int64)
        return pd.Series(pick(numbers.astype(_narrow(numbers)), places), copy=False)
    words = column.astype("category").cat
    codes = pick(words.codes.to_numpy(), places)
    return pd.Series(pd.Categorical.from_codes(codes, words.categories, validate=False), copy=False)


def _narrow(numbers: Codes) -> type[np.integer]:
    fits = not len(numbers) or np.abs(numbers).max() <= np.iinfo(np.int32).max
    return np.int32 if fits else np.int64


def full_grid(values: pd.DataFrame, entries: Sequence[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Adds a row with status ``missing`` for everything that some entry has and another one lacks.

    Args:
        values: As `read_values` returns them.
        entries: Names of the entries.
        runs: Columns fold and seed: what every entry must have.

    Raises:
        ResultsError: If a value comes twice, or a case belongs to two patients.
    """
    expected = pd.DataFrame({"entry": list(entries)}).merge(runs, how="cross")
    ran = combine(values, RUN)
    place = pd.MultiIndex.from_frame(expected).get_indexer(pd.MultiIndex.from_frame(ran.frame()))
    if (place < 0).any():
        values = values[pick(place >= 0, ran.codes)].reset_index(drop=True)
        return full_grid(values, entries, runs)
    measured = combine(values, ["case", "label", "metric"])
    example = _examples(values, measured)
    there = np.zeros(len(expected) * measured.number, bool)
    there[pick(place * measured.number, ran.codes) + measured.codes] = True
    if np.count_nonzero(there) != len(values):
        keys = [*RUN, "case", "label", "metric"]
        again = values.loc[values.duplicated(keys), keys].iloc[0].to_dict()
        raise ResultsError(
            f"a value must come once; twice: {', '.join(f'{k} {v}' for k, v in again.items())}"
        )
    run, what = np.divmod(np.flatnonzero(~there), max(measured.number, 1))
    if not len(run):
        return values
    missing = values.iloc[example[what]].assign(definition=None, value=np.nan, status=MISSING)
    for name in RUN:
        missing[name] = expected[name].to_numpy()[run]
    return _stacked(values, missing)


def _examples(values: pd.DataFrame, measured: Combined) -> Codes:
    """Returns a row of each case, label and metric: what does not hang on who was measured is read from it."""
    example = np.zeros(measured.number, np.int64)
    example[measured.codes] = np.arange(len(values))
    patient = values["patient"].cat.codes.to_numpy()
    other = pick(patient[example], measured.codes) != patient
    if other.any():
        raise ResultsError(
            f"a case must belong to one patient; {values['case'].iloc[int(other.argmax())]} has several"
        )
    return example


def _stacked(values: pd.DataFrame, missing: pd.DataFrame) -> pd.DataFrame:
    """Returns rows above others; by codes, as pandas would make wide ones of all rows first."""
    columns = {}
    for name in values.columns:
        above, below = values[name], missing[name]
        if isinstance(above.dtype, pd.CategoricalDtype):
            columns[name] = _stacked_words(above, below)
        else:
            columns[name] = pd.Series(np.concatenate([above, below.astype(above.dtype)]), copy=False)
    return pd.DataFrame(columns, copy=False)


def _stacked_words(above: pd.Series, below: pd.Series) -> pd.Series:
    known, new = above.cat.categories, pd.Index(below.dropna().unique())
    words = known.union(new.astype(known.dtype), sort=True)
    codes = np.empty(len(above) + len(below), np.min_scalar_type(-max(1, len(words))))
    # The last one is what a row without a word has.
    place = np.append(words.get_indexer(known), -1).astype(codes.dtype)
    codes[: len(above)] = pick(place, above.cat.codes.to_numpy())
    codes[len(above) :] = words.get_indexer(pd.Index(below))
    return pd.Series(pd.Categorical.from_codes(codes, words, validate=False), copy=False)
