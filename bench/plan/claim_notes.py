"""Which claims a plan cannot answer, told before its budget is spent. Pure."""

from collections.abc import Iterator
from math import prod

from bench.plan.plan import Plan
from bench.suite.schema import AXES, Claim
from bench.words import plural

ALPHA = 0.05


def claim_notes(plan: Plan) -> Iterator[str]:
    """Yields a line for each claim and task with too few test patients, and one if no entry is trained twice.

    n patients cannot give a two-sided signed-rank p below 2^(1 - n), and Holm multiplies the smallest p of a family
    by the number of its comparisons.

    Args:
        plan: The plan.
    """
    claims, names = plan.suite.claims, list(plan.data)
    family = sum(len(claim.tasks(names)) ** (claim.unit == "patient") * _pairs(claim) for claim in claims)
    for claim in claims:
        for task in claim.tasks(names) if claim.unit == "patient" else ():
            patients = len(plan.data[task].split.test)
            alone = 2.0 ** (1 - patients)
            if alone >= ALPHA:
                yield (
                    f"claim {claim.id}: {plural(patients, 'test patient')} of {task} cannot give a p-value below "
                    f"{alone:.3g}: it will stay undecided"
                )
            elif family * alone >= ALPHA:
                yield (
                    f"claim {claim.id}: {plural(patients, 'test patient')} of {task} cannot give a p-value below "
                    f"{family * alone:.3g} if it is the first of {family} comparisons: it may stay undecided"
                )
    if claims and all(study.final_total == 1 for study in plan.studies):
        yield (
            "claims rest on one training of each entry: with several final.seeds or final.folds they would say "
            "whether other seeds give another answer"
        )


def _pairs(claim: Claim) -> int:
    return prod(max(1, len(side.labels(axis))) for side in (claim.better, claim.than) for axis in AXES)
