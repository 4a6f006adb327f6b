"""What is typed after `bench score`, read: labels, numbers, systems."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError

MOST_LABELS = 255


def parse_systems(pairs: Sequence[str]) -> dict[str, Path]:
    """Reads ``[NAME=]DIR``; a folder without a name is called as it is.

    Raises:
        BenchError: If two systems have one name.
    """
    systems: dict[str, Path] = {}
    for text in pairs:
        name, sign, folder = text.partition("=")
        named = bool(sign and name and folder) and not Path(text).expanduser().exists()
        path = Path(folder if named else text).expanduser()
        title = name if named else path.resolve().name
        if title in systems:
            raise BenchError(f"--prediction {text}: another one is called '{title}'; write NAME=DIR")
        systems[title] = path
    return systems


def parse_labels(text: str) -> dict[str, int]:
    """Reads ``RV=1,MYO=2,LV=3``.

    Raises:
        BenchError: If it is something else, or a name or value comes twice.
    """
    labels: dict[str, int] = {}
    for item in text.split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or not value.removeprefix("-").isdecimal() or int(value) == 0:
            raise BenchError(
                f"--labels {item}: expected NAME=VALUE with a whole number that is not 0, e.g. LV=3"
            )
        if name in labels or int(value) in labels.values():
            raise BenchError(f"--labels {item}: the name or the value comes twice")
        labels[name] = int(value)
    if len(labels) > MOST_LABELS or "all" in labels:
        raise BenchError(f"--labels: expected at most {MOST_LABELS}, none of them called 'all'")
    return labels


def parse_metrics(text: str) -> tuple[str, ...]:
    """Reads ``dice,hd95``.

    Raises:
        BenchError: If a name is not known, or what it stands for cannot be imported.
    """
    from medseg.errors import RegistryError, UnknownNameError
    from medseg.metrics import METRICS

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    try:
        for name in names:
            METRICS.load(name)
    except (UnknownNameError, RegistryError) as error:
        raise BenchError(f"--metrics: {error}") from error
    return names


def parse_tolerance(text: str) -> float | dict[str, float]:
    """Reads ``2``, or ``LV=2,RV=3``.

    Raises:
        BenchError: If it is something else.
    """
    expected = "expected a distance from 0, e.g. 2, or one per label, e.g. LV=2,RV=3"
    if "=" not in text:
        return _number(text, f"--tolerance-mm {text}: {expected}")
    tolerances: dict[str, float] = {}
    for item in text.split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or name in tolerances:
            raise BenchError(f"--tolerance-mm {item}: {expected}")
        tolerances[name] = _number(value, f"--tolerance-mm {item}: {expected}")
    return tolerances


def check_tolerance(tolerance: float | Mapping[str, float] | None, labels: Sequence[str]) -> None:
    """Refuses tolerances of labels that there are not.

    Raises:
        BenchError: If there is one.
    """
    strange = [name for name in tolerance if name not in labels] if isinstance(tolerance, Mapping) else []
    if strange:
        raise BenchError(f"--tolerance-mm: no label '{strange[0]}' (labels: {', '.join(labels)})")


def parse_spacing(text: str) -> tuple[float, ...]:
    """Reads ``0.5``, or one number per axis.

    Raises:
        BenchError: If it is something else.
    """
    expected = f"--spacing-mm {text}: expected one length above 0, or one per axis, e.g. 0.5 or 0.5,0.4"
    numbers = tuple(_number(item, expected) for item in text.split(","))
    if len(numbers) > 3 or not all(numbers):
        raise BenchError(expected)
    return numbers


def _number(text: str, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise BenchError(expected) from None
    if not 0 <= number < float("inf"):
        raise BenchError(expected)
    return number
