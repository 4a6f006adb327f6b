"""The table of claims, for people."""

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.leaderboard.claims import ClaimResult, Comparison
from bench.leaderboard.formats import NOTHING, estimate_text, p_text
from bench.leaderboard.outlook import Outlook
from bench.leaderboard.sheet import ALWAYS, Cell, Sheet, SheetColumn, Tone, column_of
from bench.leaderboard.sides import describe_side
from bench.stats.power import POWER
from bench.words import plural

CLAIM_HEADINGS = ("claim", "answer", "comparison", "difference [95% CI]", "p", "patients")
TONES: dict[str, Tone] = {"supported": "good", "refuted": "bad", "undecided": "faint"}
LATE = "(late)"
"""Stands behind the answer to a claim that was written down when its results were known."""
BROKEN = {"comparison": 1, "answer": 2, "claim": 2.5}
KEEP = {"patients": 4, "p": 5}
"""What is broken between words in a narrow terminal, and what gives way then, the lower first."""
DIGITS = 2
"""Of a number of patients or seeds: more would pretend to be known."""


def claim_sheet(claims: Sequence[ClaimResult]) -> Sheet:
    """Returns the table of claims, a row per comparison.

    Args:
        claims: Answers.
    """
    parts = [(claim, part) for claim in claims for part in claim.comparisons]
    rows = [claim_cells(claim, part) for claim, part in parts]
    if not rows:
        return Sheet(title="Claims", lines=("The suite claims nothing.",))
    columns = [
        SheetColumn(
            title=title,
            cells=tuple(
                Cell(row[place], _tone(claim, part) if title == "answer" else "")
                for row, (claim, part) in zip(rows, parts, strict=True)
            ),
            keep=KEEP.get(title, ALWAYS),
            align="left",
            wraps=title in BROKEN,
        )
        for place, title in enumerate(CLAIM_HEADINGS)
    ]
    for title, keep in BROKEN.items():
        place = CLAIM_HEADINGS.index(title)
        columns[place] = columns[place].broken(keep)
    place = CLAIM_HEADINGS.index("difference [95% CI]")
    short = [estimate_text(part.difference, claim.decimals, True, interval=False) for claim, part in parts]
    less = column_of("difference", short, align="left")
    columns[place] = replace(columns[place], short=less, keep_full=3)
    return Sheet(title="Claims", columns=tuple(columns), lines=tuple(claim_lines(claims)))


def claim_cells(claim: ClaimResult, part: Comparison) -> list[str]:
    """Returns a comparison's cells under `CLAIM_HEADINGS`."""
    return [
        claim.id,
        _marked(part.answer, claim),
        statement(claim, part),
        estimate_text(part.difference, claim.decimals, signed=True),
        p_text(part.p),
        str(part.n) if part.unit == "patient" else plural(part.n, part.unit),
    ]


def _marked(answer: str, claim: ClaimResult) -> str:
    return f"{answer} {LATE}" if claim.late else answer


def _tone(claim: ClaimResult, part: Comparison) -> Tone:
    tone = TONES.get(part.answer, "")
    return "mark" if claim.late and tone == "good" else tone


def statement(claim: ClaimResult, part: Comparison) -> str:
    """Writes what is claimed, e.g. ``unet > resunet + 0.005 in dice on acdc-lv``."""
    margin = f" + {claim.margin:g}" if claim.margin else ""
    return f"{_sides(part)}{margin} in {claim.metric} on {part.task}"


def _sides(part: Comparison) -> str:
    return f"{describe_side(part.better)} > {describe_side(part.than)}"


def claim_lines(claims: Sequence[ClaimResult]) -> list[str]:
    """Returns the lines under the claims' table."""
    lines = [
        f"{claim.id}: {_marked(claim.answer, claim)}, since each of its "
        f"{plural(len(claim.comparisons), 'comparison')} must hold"
        for claim in claims
        if len(claim.comparisons) > 1
    ]
    for claim in claims:
        lines += [f"{claim.id}: {note}" for note in claim.notes]
        told: dict[str, list[str]] = {}
        for part in claim.comparisons:
            for text in _remarks(claim, part):
                told.setdefault(text, []).append(f"{_sides(part)} on {part.task}")
        for text, where in told.items():
            which = f" ({', '.join(where)})" if len(where) < len(claim.comparisons) else ""
            lines.append(f"{claim.id}{which}: {text}")
    return [*lines, *_footer(claims)]


def _remarks(claim: ClaimResult, part: Comparison) -> list[str]:
    found = [part.why] if part.why else []
    if part.outlook is not None:
        measured = f"{part.difference.mean:+.{claim.decimals}f}"
        towards = part.outlook.towards
        found.append(
            takes_text(part.outlook, towards, measured, part.unit, part.n, part.seeds, claim.decimals)
        )
    if part.answer == "supported" and part.equivalent:
        found.append(f"above the margin, yet within ±{claim.equivalence:g}: of no practical consequence")
    return found


def takes_text(
    outlook: Outlook, what: str, measured: str, unit: str, now: int, seeds: float, decimals: int
) -> str:
    """Writes what it would take to decide.

    Args:
        outlook: What it would take.
        what: What would be shown, e.g. ``supported``.
        measured: The difference.
        unit: ``patient`` or ``task``.
        now: How many of them there are.
        seeds: How many seeds per fold there are.
        decimals: Digits of a difference.
    """
    takes = _takes(outlook, unit, now, seeds)
    text = f"{what} with {POWER:.0%} power if the difference truly is {measured}: {takes}"
    if outlook.least < outlook.units:
        text += f"; if it is at the favourable end of its interval: {needed_text(outlook.least, unit)}"
    if outlook.training_share > 0.5:
        share = f"{outlook.training_share:.0%}"
        helps = ": more seeds help most" if math.isfinite(outlook.seeds) else ""
        text += f"; {share} of the uncertainty is of trainings{helps}"
    if math.isfinite(outlook.detectable):
        text += f"; as it is, {outlook.detectable:.{decimals}f} from the margin would be found"
    return text


def _takes(outlook: Outlook, unit: str, now: int, seeds: float) -> str:
    """Writes how many units, or seeds per fold, are enough."""
    if math.isinf(outlook.units) and math.isinf(outlook.seeds):
        return (
            f"neither more {unit}s nor more seeds per fold are enough alone (now {plural(now, unit)}, "
            f"{plural(seeds, 'seed')} per fold)"
        )
    takes = {
        f"{needed_text(outlook.units, unit)} (now {now})": outlook.units,
        f"{needed_text(outlook.seeds, 'seed')} per fold (now {seeds:g})": outlook.seeds,
    }
    enough = [text for text, number in takes.items() if math.isfinite(number)]
    never = [text for text, number in takes.items() if math.isinf(number)]
    return ", but ".join(filter(None, (" or ".join(enough), *never)))


def needed_text(number: float, noun: str) -> str:
    """Writes how many it takes, rounded up to two digits."""
    if math.isnan(number):
        return NOTHING
    if math.isinf(number):
        return f"no number of {noun}s"
    step = 10 ** max(0, math.floor(math.log10(number)) + 1 - DIGITS)
    return plural(math.ceil(number / step) * step, noun)


def _footer(claims: Sequence[ClaimResult]) -> list[str]:
    family = max((claim.family for claim in claims), default=0)
    holm = "for which no comparison has enough patients yet."
    if family:
        holm = f"Holm over the family of {plural(family, 'comparison')} of all claims."
    lines = [
        "Empty masks count as the task declares. Difference: positive as claimed, mean over patients, BCa bootstrap. "
        "p: signed-rank test over patients, twice the one-sided p of the answer, "
        f"{holm} An answer needs p < 0.05 and an interval of the mean, as strict, that agrees.",
    ]
    regions = dict.fromkeys(f"±{c.equivalence:g} in {c.metric}" for c in claims if c.equivalence is not None)
    if regions:
        lines.append(f"Practically equivalent: shown to be within {', '.join(regions)}.")
    if any(part.trainings > 1 for claim in claims for part in claim.comparisons):
        lines.append(
            "Where there are several trainings of each entry, the interval over patients and trainings, too."
        )
    if any(part.trainings == 1 for claim in claims for part in claim.comparisons):
        lines.append(
            "One training of each entry: the answer is about these networks, other seeds may give another."
        )
    return lines
