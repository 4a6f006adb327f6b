"""Says so where all of a table is of other code than today's, and what it takes to change that."""

import json
from collections.abc import Sequence

import pandas as pd

from bench.leaderboard.entries import Entry
from bench.results.schema import UNDECIDED
from bench.results.select import newest_per_trial
from bench.words import plural

DIGITS = 8


def whole_table_stale(entries: Sequence[Entry], code: str) -> list[str]:
    """Returns a note if every final trial was made by other code; else what is stale is noted entry by entry.

    Args:
        entries: Of the table, with their tuning trials.
        code: Fingerprint of today's code.
    """
    finals = [entry.finals for entry in entries if len(entry.finals)]
    if not finals or not all(rows["stale"].all() for rows in finals):
        return []
    made = pd.concat(finals)
    count, tuning = len(made), sum(_stale_tuning(entry.tuning, code) for entry in entries)
    beside = f" and {plural(tuning, 'tuning trial')}" if tuning else ""
    after = (
        "; a study that then has another best setting gets its final trials from the next `bench run SUITE`"
        if tuning
        else ""
    )
    which = f"all {count:,} final trials were" if count > 1 else "the only final trial was"
    them = "them" if count > 1 else "it"
    return [
        f"stale: {which} made by other code ({_codes(made)}), none by today's ({code[:DIGITS]}): the numbers are "
        f"those of that code. `bench run SUITE --only stale` runs {them}{beside} again{after}"
    ]


def _stale_tuning(trials: pd.DataFrame, code: str) -> int:
    if trials.empty:
        return 0
    newest = newest_per_trial(trials, code)
    return int((newest["stale"] & ~newest["status"].isin(UNDECIDED)).sum())


def _codes(trials: pd.DataFrame) -> str:
    """Names versions of the code, with those of the package where trials tell, e.g. ``1a2b3c4d of 0.1.0``."""
    named = dict(zip(trials["code"], trials["versions_json"], strict=True))
    found = []
    for code, text in sorted(named.items()):
        version = _version(text)
        found.append(f"{code[:DIGITS]} of medseg-bench {version}" if version else code[:DIGITS])
    return ", ".join(found)


def _version(text: str) -> str:
    try:
        return str(json.loads(text).get("medseg-bench", ""))
    except (ValueError, AttributeError):
        return ""
