"""Leaderboards as Markdown, CSV and JSON. The terminal's tables are in `terminal.py`."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.leaderboard.cavities import COLUMNS, cavity_lines
from bench.leaderboard.claims import ClaimResult, Comparison
from bench.leaderboard.columns import NOTHING, columns, p_text
from bench.leaderboard.notes import footer, heading, marks
from bench.leaderboard.sides import describe_side
from bench.leaderboard.table import Estimate, TaskBoard

STYLES = ("md", "csv", "json")

CLAIM_HEADINGS = ("claim", "answer", "comparison", "difference [95% CI]", "p", "patients")
CLAIM_FOOTER = (
    "Claims were written down before the run; empty masks count as the task declares. Difference: positive as "
    "claimed. p: against the margin, Holm over all comparisons."
)


def render(
    boards: Sequence[TaskBoard], claims: Sequence[ClaimResult] = (), style: str = "md", notice: str = ""
) -> str:
    """Writes tables as text.

    CSV has one row per task and entry with plain numbers, and leaves claims and the heart's cavities out. JSON
    holds everything, NaN as null.

    Args:
        boards: Tables.
        claims: Answers to the suite's claims.
        style: ``md``, ``csv`` or ``json``.
        notice: What must stand above the tables, if anything; a column of its own in CSV.

    Raises:
        ValueError: If the format is not known.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if style == "csv":
        return _csv(boards, notice)
    return _json(boards, claims, notice) if style == "json" else _markdown(boards, claims, notice)


def claim_cells(claim: ClaimResult, part: Comparison) -> list[str]:
    """Returns a comparison's cells under `CLAIM_HEADINGS`."""
    return [
        claim.id,
        part.answer,
        _statement(claim, part),
        _signed(part.difference),
        p_text(part.p),
        str(part.n_patients),
    ]


def claim_lines(claims: Sequence[ClaimResult]) -> list[str]:
    """Returns the lines under the claims' table."""
    lines = [
        f"{claim.id}: {claim.answer}, since each of its {len(claim.comparisons)} comparisons must hold"
        for claim in claims
        if len(claim.comparisons) > 1
    ]
    for claim in claims:
        lines += [f"{claim.id}: {note}" for note in claim.notes]
        lines += [
            f"{claim.id}: {why}" for why in dict.fromkeys(part.why for part in claim.comparisons) if why
        ]
    return [*lines, CLAIM_FOOTER]


def _statement(claim: ClaimResult, part: Comparison) -> str:
    """Writes what is claimed, e.g. ``unet > resunet + 0.005 in dice on acdc-lv``."""
    margin = f" + {claim.margin:g}" if claim.margin else ""
    sides = f"{describe_side(part.better)} > {describe_side(part.than)}"
    return f"{sides}{margin} in {claim.metric} on {claim.task}"


def _signed(estimate: Estimate) -> str:
    if math.isnan(estimate.mean):
        return NOTHING
    mean = f"{estimate.mean:+.3f}"
    return mean if math.isnan(estimate.low) else f"{mean} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _markdown(boards: Sequence[TaskBoard], claims: Sequence[ClaimResult], notice: str) -> str:
    parts = [f"**{notice}**\n"] if notice else []
    for board in boards:
        parts.append(f"## {heading(board)}\n")
        if board.rows:
            shown, marked = columns(board), marks(board)[0]
            rows = [
                [*(column.text(row) for column in shown), _bracketed(marked.get(row.entry, ""))]
                for row in board.rows
            ]
            heads = [*(column.title for column in shown), ""]
            parts.append(_pipes(heads, [*(column.align for column in shown), "left"], rows))
        parts.append(_list(footer(board)))
        if board.cavities:
            rows = [[column.text(row) for column in COLUMNS] for row in board.cavities]
            parts.append(_pipes([c.title for c in COLUMNS], [c.align for c in COLUMNS], rows))
            parts.append(_list(cavity_lines(board.cavities)))
    if claims:
        rows = [claim_cells(claim, part) for claim in claims for part in claim.comparisons]
        parts += ["## Claims\n", _pipes(CLAIM_HEADINGS, ["left"] * len(CLAIM_HEADINGS), rows)]
        parts.append(_list(claim_lines(claims)))
    return "\n".join(parts)


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _bracketed(mark: str) -> str:
    return f"[{mark}]" if mark else ""


def _pipes(heads: Sequence[str], aligns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---:" if align == "right" else "---" for align in aligns]
    lines = [heads, rule, *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _csv(boards: Sequence[TaskBoard], notice: str) -> str:
    rows: list[dict[str, Any]] = []
    for board in boards:
        for row in board.rows:
            flat: dict[str, Any] = {"task": board.task, "entry": row.entry}
            for column in columns(board):
                flat |= column.value(row)
            flat |= {"verdict": row.verdict, "notes": "; ".join(row.notes)}
            rows.append(flat | ({"notice": notice} if notice else {}))
    names = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names) or ["task", "entry"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _json(boards: Sequence[TaskBoard], claims: Sequence[ClaimResult], notice: str) -> str:
    found = {
        **({"notice": notice} if notice else {}),
        "boards": [asdict(board) | {"footer": footer(board)} for board in boards],
        "claims": [asdict(claim) for claim in claims],
    }
    return json.dumps(_plain(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
