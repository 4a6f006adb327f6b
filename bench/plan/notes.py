"""What of a plan is allowed and may still be a slip. Pure."""

from collections.abc import Iterator, Sequence

from bench.plan.study import Study
from bench.words import plural


def plan_notes(studies: Sequence[Study]) -> Iterator[str]:
    """Yields a line for each study and oddity: a default that breaks a limit, a grid smaller than the budget."""
    for study in studies:
        name = f"{study.task.name}: {study.entry}"
        most, count = study.constraints.get("parameters"), study.models[0].parameters
        if most is not None and count is not None and count > most:
            yield f"{name}: the default setting has {count:,} parameters, tune.constraints allows {most:,.15g}"
        paid = study.budget.trials if study.budget is not None else None
        if paid is not None and study.most_settings is not None and study.most_settings < paid:
            settings = plural(study.most_settings, "setting")
            yield f"{name}: the grid has {settings}, the budget pays for {plural(paid, 'trial')}"
