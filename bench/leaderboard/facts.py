"""What a table must know of a metric."""

from dataclasses import dataclass

from bench.stats.aggregate import Worst
from medseg.errors import RegistryError, UnknownNameError
from medseg.metrics import METRICS
from medseg.metrics.spec import MetricSpec


@dataclass(frozen=True)
class MetricFacts:
    """One metric as tables show it.

    Args:
        name: Registered name.
        title: Heading, with its unit.
        unit: ``"mm"``, ``"px"`` or empty.
        higher_is_better: Direction.
        worst: What a failed value counts.
        decimals: Shown digits; ranks are made from what is shown.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    worst: Worst
    decimals: int

    def text(self, value: float) -> str:
        """Writes a value with the metric's digits."""
        return f"{value:.{self.decimals}f}"

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


def metric_facts(name: str, unit: str) -> MetricFacts:
    """Returns what a table must know of a metric.

    Results may hold a metric that is not installed here (a plugin's). Its unit then tells: a length is better
    the shorter it is, anything else the higher.

    Args:
        name: Name in the results.
        unit: Unit in the results.
    """
    title, higher, worst = name, not unit, "diagonal" if unit else "zero"
    try:
        spec: MetricSpec = METRICS.load(name)
    except (UnknownNameError, RegistryError):
        pass
    else:
        title, higher, worst = spec.title, spec.higher_is_better, spec.worst
    return MetricFacts(
        name=name,
        title=f"{title} ({unit})" if unit else title,
        unit=unit,
        higher_is_better=higher,
        worst="diagonal" if worst == "diagonal" else "zero",
        decimals=2 if unit else 3,
    )
