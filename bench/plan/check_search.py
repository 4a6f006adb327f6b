"""Whether a sampler can search a study's space. Some of it shows only once models and losses are merged."""

from collections.abc import Iterator

from bench.plan.grid import MOST_SETTINGS
from bench.plan.study import Study
from bench.suite.findings import Finding

LEAST_RANGES = 2


def check_search(study: Study) -> Iterator[Finding]:
    """Yields why a study's sampler cannot search its space."""
    if study.budget is None:
        return
    if study.most_settings is not None and study.most_settings > MOST_SETTINGS:
        yield Finding(
            ("tune", "sampler"),
            f"{study.entry}: a grid has at most {MOST_SETTINGS:,} settings, this one has more; "
            "sampler: random tries as many of them as the budget pays for",
        )
    if study.sampler.name == "cmaes":
        ranges = [p.name for p in study.space if p.choices is None and not p.when]
        if len(ranges) < LEAST_RANGES:
            yield Finding(
                ("tune", "sampler"),
                f"{study.entry}: cmaes needs {LEAST_RANGES} ranges that are always active, got "
                f"{', '.join(ranges) or 'none'}; choices, and what depends on them, it draws at random",
            )
