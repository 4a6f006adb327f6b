"""What a leaderboard is of: suite, plan, newest trial, code, and what was asked otherwise than by default."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.request import Request
from bench.results.store import Store

NO_WORD = ("resamples", "seed", "subgroups")
"""Fields of a request that are no options, or would tell where files lie."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a leaderboard is of; empty where it is not known.

    Args:
        suite: Name.
        plan: First 12 digits of the plan's hash.
        newest: Day on which the newest final trial ended, e.g. ``2026-01-31``.
        code: First 8 digits of the fingerprints of the code that made the final trials, joined by blanks.
        options: What was asked otherwise than by default, e.g. ``with --rank-by test``.
    """

    suite: str = ""
    plan: str = ""
    newest: str = ""
    code: str = ""
    options: str = ""

    @property
    def line(self) -> str:
        """All of it in one line."""
        told = {
            "suite": self.suite, "plan": self.plan, "newest final trial": self.newest, "code": self.code
        }  # fmt: skip
        known = [f"{name} {text}" for name, text in told.items() if text]
        return "Of " + ", ".join([*known, self.options] if self.options else known) if known else ""


def provenance(store: Store, cells: Sequence[TaskCells], request: Request) -> Provenance:
    """Returns what a leaderboard is of.

    Args:
        store: Results.
        cells: Test values that it shows.
        request: What was asked.
    """
    suite = store.read_suite() or {}
    finals = [entry.finals for one in cells for entry in one.entries if len(entry.finals)]
    codes = sorted({str(code)[:8] for one in finals for code in one["code"].unique()})
    names = sorted({str(name) for one in finals for name in one["suite"].unique()})
    return Provenance(
        suite=str(suite.get("suite") or " ".join(names)),
        plan=str(suite.get("plan") or "")[:12],
        newest=f"{max(one['finished_at'].max() for one in finals):%Y-%m-%d}" if finals else "",
        code=" ".join(codes),
        options=_options(request),
    )


def _options(request: Request) -> str:
    """Writes the options that differ from the defaults, as they are typed."""
    usual, words = Request(), []
    for field in fields(Request):
        value = getattr(request, field.name)
        if field.name in NO_WORD or value == getattr(usual, field.name):
            continue
        name = f"--{field.name.replace('_', '-')}"
        if field.name == "definitions":
            words += [f"--definition {metric}={one}" for metric, one in value.items()]
        elif value is True:
            words.append(name)
        else:
            words.append(f"{name} {','.join(value) if isinstance(value, tuple) else value}")
    return f"with {' '.join(words)}" if words else ""
