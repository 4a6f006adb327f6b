"""The table of a comparison, for people."""

from collections.abc import Sequence
from dataclasses import replace

from bench.leaderboard.claim_sheet import takes_text
from bench.leaderboard.comparison import Comparison, Difference
from bench.leaderboard.contrast import estimate
from bench.leaderboard.formats import NOTHING, estimate_text, p_text
from bench.leaderboard.sheet import ALWAYS, Align, Cell, Sheet, SheetColumn, Tone
from bench.words import plural

MEAN = "mean"
SHORT: dict[str, str] = {"no difference shown": "not shown", "same values": "same"}
TONES: dict[str, Tone] = {
    "better": "good",
    "worse": "bad",
    "kept": "good",
    "broken": "bad",
    "cannot tell": "faint",
    "not shown": "faint",
}


def compare_sheets(found: Comparison) -> list[Sheet]:
    """Returns a table per metric, a row per task, entry and label; below the last one what a reader must know."""
    metrics = list(dict.fromkeys(row.facts.name for row in found.rows))
    sheets = [_sheet(found, [row for row in found.rows if row.facts.name == metric]) for metric in metrics]
    return [*sheets[:-1], replace(sheets[-1], lines=tuple(compare_lines(found)))]


def _sheet(found: Comparison, rows: Sequence[Difference]) -> Sheet:
    columns = [
        _column("task", [row.task for row in rows], align="left"),
        _column("A → B", [_means(row) for row in rows], keep=4),
        _difference(rows),
        _column("median", [_median(row) for row in rows], keep=2),
        _column("r", [_two_digits(row) for row in rows], keep=3),
        _column("p", [p_text(row.p) for row in rows], keep=8),
        _column("n", [str(row.n) for row in rows], keep=7),
        _column("B is", [SHORT.get(row.verdict, row.verdict) for row in rows], align="left", tones=TONES),
    ]
    if any(row.label for row in rows):
        columns.insert(1, _column("label", [row.label or MEAN for row in rows], align="left"))
    if any(row.name for row in rows):
        columns.insert(1, _column("entry", [row.name for row in rows], align="left"))
    if any(row.margin is not None for row in rows):
        texts = ["" if row.margin is None else f"{row.margin:+g}" for row in rows]
        columns.append(_column("margin", texts, keep=5))
        columns.append(_column("is", [row.kept for row in rows], align="left", tones=TONES))
    title = f"{rows[0].facts.title}, A: {found.titles[0]}, B: {found.titles[1]}"
    return Sheet(title=title, columns=tuple(columns))


def _column(
    title: str,
    texts: Sequence[str],
    keep: float = ALWAYS,
    align: Align = "right",
    tones: dict[str, Tone] | None = None,
) -> SheetColumn:
    cells = tuple(Cell(text, (tones or {}).get(text, "")) for text in texts)
    if title not in ("task", "entry", "label"):
        return SheetColumn(title=title, cells=cells, keep=keep, align=align)
    return SheetColumn(title=title, cells=cells, keep=keep, align=align, wraps=True).broken(3.5)


def _difference(rows: Sequence[Difference]) -> SheetColumn:
    """Returns the column of differences: faint where they are below what could have been seen."""
    full, short = (tuple(_difference_cell(row, interval) for row in rows) for interval in (True, False))
    less = SheetColumn(title="B - A", cells=short)
    return SheetColumn(title="B - A [95% CI]", cells=full, short=less, keep_full=6)


def _difference_cell(row: Difference, interval: bool) -> Cell:
    text = estimate_text(row.difference, row.facts.decimals, signed=True, interval=interval)
    if not row.too_small:
        return Cell(text)
    return Cell(f"({text})" if text != NOTHING else text, "faint")


def _means(row: Difference) -> str:
    return f"{row.facts.text(row.first)} → {row.facts.text(row.second)}" if row.n else NOTHING


def _median(row: Difference) -> str:
    median = estimate(row.effect.median if row.effect else None)
    return estimate_text(median, row.facts.decimals, signed=True, interval=False)


def _two_digits(row: Difference) -> str:
    return f"{row.effect.rank_biserial.value:+.2f}" if row.effect else NOTHING


def compare_lines(found: Comparison) -> list[str]:
    """Returns the lines under the table: what it rests on, and what it cannot say."""
    lines = [answer_text(found)] if found.margins else []
    lines += [f"not compared: {text}" for text in found.left_out]
    lines += list(found.notes)
    told: dict[str, list[str]] = {}
    for row in found.rows:
        for text in _remarks(row):
            told.setdefault(text, []).append(row.title)
    for text, where in told.items():
        every = len(where) == len(found.rows)
        lines.append(text if every else f"{'; '.join(where)}: {text}")
    return [*lines, *_footer(found)]


def answer_text(found: Comparison) -> str:
    """Writes whether the margins are kept, in a sentence."""
    asked = ", ".join(f"{name} {margin:+g}" for name, margin in found.margins.items())
    gated = [row for row in found.rows if row.margin is not None]
    number = {word: sum(row.kept == word for row in gated) for word in ("kept", "broken", "cannot tell")}
    parts = [f"{count} {word}" for word, count in number.items() if count]
    if found.left_out:
        parts.append(f"{len(found.left_out)} not compared")
    verdict = {"kept": "kept", "broken": "broken"}.get(found.answer, "cannot tell whether it is kept")
    return f"Margin {asked}: {verdict} ({', '.join(parts) or 'nothing to compare'})."


def _remarks(row: Difference) -> list[str]:
    found = [row.why] if row.why else []
    if row.outlook is not None:
        word = "kept" if row.outlook.towards == "supported" else "broken"
        measured = f"{row.difference.mean:+.{row.facts.decimals}f}"
        what = f"margin {word}"
        found.append(takes_text(row.outlook, what, measured, "patient", row.n, row.seeds, row.facts.decimals))
    return found


def _footer(found: Comparison) -> list[str]:
    means, labels = found.comparisons
    holm = (
        f"Holm over {plural(means, 'difference')}" if means else "for which no difference has enough patients"
    )
    if labels:
        holm += f" of means over labels; the {labels} of labels are a family of their own"
    lines = [
        "B - A: mean over patients who have both; runs, images and labels averaged first; BCa bootstrap over "
        f"patients, {found.resamples} resamples.",
        "r: rank-biserial correlation, above 0 where B is better. p: signed-rank test over patients, two-sided, "
        f"{holm}. Where there are several trainings, the interval over patients and trainings must agree.",
    ]
    if found.margins:
        lines.append(
            "A margin is kept where B is shown to be worse by less: one-sided at 2.5%, each by itself, since all "
            "must be. It is broken where B is shown to be worse by more, Holm over all margins."
        )
    if any(row.too_small for row in found.rows):
        lines.append("In parentheses: less than what these patients would show with 80% power.")
    if any(row.trainings == 1 for row in found.rows):
        lines.append(
            "One training on each side: what trainings vary by is not known, and not in the intervals."
        )
    return lines
