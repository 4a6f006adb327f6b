"""What differences say of a question, by the test, the bootstrap and, where there are several, the trainings."""

import math
from collections.abc import Mapping

from bench.leaderboard.answers import Answer, Evidence, Question, Reading, Step, read_off
from bench.leaderboard.contrast import Contrast
from bench.stats.intervals import RESAMPLES
from bench.stats.paired import ALPHA, smallest_p
from bench.stats.resample import LEVEL
from bench.words import plural


def judge(
    contrast: Contrast,
    question: Question,
    evidence: Evidence,
    step: Step,
    seed: int = 0,
    resamples: int = RESAMPLES,
    words: Mapping[Answer, str] | None = None,
    sign: int = 1,
) -> tuple[Reading, str]:
    """Returns the answer to a question, and what keeps it undecided.

    The signed-rank test and the intervals of the mean over patients must agree: the bootstrap's at 95%, which readers
    see, and at the level of the step one that is as strict as it says, whatever the family. So must the interval over
    patients and trainings, where each entry was trained several times: what holds of these networks only is open.

    Args:
        contrast: Differences.
        question: What is asked of them.
        evidence: Their p-values.
        step: Place in the family.
        seed: Of the bootstrap.
        resamples: Bootstrap samples.
        words: How answers are called.
        sign: -1 where readers see the difference turned around.
    """
    units, least = plural(contrast.n, str(contrast.d.index.name)), step.factor * smallest_p(contrast.n)
    p = step.corrected(evidence.smallest)
    if math.isnan(p):
        return Reading("undecided", p), f"{units} cannot give a p-value below {smallest_p(contrast.n):.3g}"
    if p >= ALPHA:
        few = f"{units} cannot give a p-value below {least:.3g} with {plural(step.factor, 'comparison')}"
        return Reading("undecided", p), few if least >= ALPHA else ""
    shown = contrast.interval(LEVEL, seed, resamples)
    reading = read_off(question, evidence, step, lambda level: [shown, contrast.strict(level)])
    if reading.answer == "undecided":
        return reading, "the signed-rank test rejects, but the interval of the mean does not agree"
    crossed = contrast.over_trainings(step.level)
    if math.isnan(crossed.low):
        return reading, ""
    wider = read_off(
        question,
        evidence,
        step,
        lambda level: [shown, contrast.strict(level), contrast.over_trainings(level)],
    )
    if wider.answer == reading.answer:
        return wider, ""
    word, (low, high) = (words or {}).get(reading.answer, reading.answer), (crossed.low, crossed.high)
    span = f"{low:+.3g} to {high:+.3g}" if sign > 0 else f"{-high:+.3g} to {-low:+.3g}"
    return wider, f"{word} for these trainings, but over other seeds, too, the mean may be {span}"
