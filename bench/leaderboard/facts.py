"""What a table must know of a metric."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isnan, nan

from bench.stats.aggregate import Worst
from medseg.errors import RegistryError, UnknownNameError
from medseg.metrics import METRICS
from medseg.metrics.spec import TOLERANCE, MetricSpec, Quantity

DECIMALS: dict[Quantity, int] = {"ratio": 3, "length": 2, "volume": 1}


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """One metric as tables show it.

    Args:
        name: Registered name.
        title: Heading, with its unit or tolerance.
        unit: ``"mm"``, ``"px"``, ``"mL"`` or empty.
        quantity: ``"ratio"``, ``"length"`` or ``"volume"``.
        higher_is_better: Direction.
        worst: What a failed value counts: a number, NaN (left out), or ``"diagonal"``.
        agreed: What a label in neither mask counts, for policies that count it; NaN where none does.
        ranked: Whether entries may be ranked by it; else it is only reported. Never where failed values are left
            out: whoever fails on the hard cases would win.
        decimals: Shown digits; ranks are made from what is shown.
        definitions: What was measured, by label; empty where nobody asked.
        tolerances: What counted as no error, by label; empty where the metric has no tolerance.
        span: The largest difference that there can be; inf: not known.
    """

    name: str
    title: str
    unit: str
    quantity: Quantity
    higher_is_better: bool
    worst: Worst
    agreed: float
    ranked: bool
    decimals: int
    definitions: dict[str, str] = field(default_factory=dict)
    tolerances: dict[str, float] = field(default_factory=dict)
    span: float = inf

    def text(self, value: float) -> str:
        """Writes a value with the metric's digits."""
        return f"{value:.{self.decimals}f}"

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


def metric_facts(
    name: str, unit: str, definitions: Mapping[str, str] | None = None, length: str = ""
) -> MetricFacts:
    """Returns what a table must know of a metric.

    Results may hold a metric that is not installed here (a plugin's). Its unit then tells: a length is better
    the shorter it is, anything without unit the higher; of a failed volume nothing is known.

    Args:
        name: Name in the results.
        unit: Unit in the results.
        definitions: Definition ids in the results, by label.
        length: Unit of lengths, ``mm`` or ``px``, if known: that of a tolerance.
    """
    spec = known_spec(name)
    if spec is not None:
        quantity, worst = spec.quantity, spec.worst
    elif unit == "mL":
        quantity, worst = "volume", nan
    else:
        quantity, worst = ("length", "diagonal") if unit else ("ratio", 0.0)
    definitions = dict(definitions or {})
    tolerances = _tolerances(spec, definitions)
    title, note = spec.title if spec else name, unit or _range(tolerances, length)
    return MetricFacts(
        name=name,
        title=f"{title} ({note})" if note else title,
        unit=unit,
        quantity=quantity,
        higher_is_better=spec.higher_is_better if spec else not unit,
        worst=worst,
        agreed=spec.empty.agreed if spec and spec.empty else nan,
        ranked=(spec is None or spec.ranked) and (isinstance(worst, str) or not isnan(worst)),
        decimals=DECIMALS[quantity],
        definitions=definitions,
        tolerances=tolerances,
        span=spec.span if spec else inf,
    )


def _tolerances(spec: MetricSpec | None, definitions: Mapping[str, str]) -> dict[str, float]:
    """Reads the tolerances from definition ids, e.g. 2 from ``nsd/marching-cubes/tau=2/v1``."""
    if spec is None or not spec.needs_tolerance:
        return {}
    (part,) = (part for part in spec.definition.split("/") if TOLERANCE in part)
    pattern = re.escape(part).replace(re.escape(TOLERANCE), r"(\d[^/]*)")
    found = {label: re.search(f"(?:^|/){pattern}(?:/|$)", text) for label, text in definitions.items()}
    return {label: float(match[1]) for label, match in found.items() if match}


def _range(tolerances: Mapping[str, float], length: str) -> str:
    if not tolerances:
        return ""
    ends = dict.fromkeys(f"{end:g}" for end in (min(tolerances.values()), max(tolerances.values())))
    return f"{'–'.join(ends)} {length}".strip()


def known_spec(name: str) -> MetricSpec | None:
    """Returns a metric as it is defined today; none where it is not installed."""
    try:
        spec: MetricSpec = METRICS.load(name)
    except (UnknownNameError, RegistryError):
        return None
    return spec
