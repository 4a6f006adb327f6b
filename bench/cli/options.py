"""Options that several commands share, and how what is typed there is read."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bench.results.place import Place

F = TypeVar("F", bound=Callable[..., Any])


class PlaceType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A place of results: a folder, or a URL of an object store.

    Args:
        bundles: Take a bundle, too, which can only be read.
    """

    name = "folder|url"

    def __init__(self, bundles: bool):
        self.bundles = bundles

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> "Place":
        """See click."""
        from bench.errors import ResultsError
        from bench.results.archive import Archive
        from bench.results.place import open_place

        if not str(value).strip():
            self.fail("expected a folder or a URL, got nothing", parameter, context)
        try:
            place = open_place(value)
        except ResultsError as error:
            self.fail(str(error), parameter, context)
        expected = "expected a folder, a bundle or a URL" if self.bundles else "expected a folder or a URL"
        if place.folder is not None and place.folder.is_file():
            self.fail(f"{place} is a file; {expected}", parameter, context)
        if isinstance(place, Archive) and not self.bundles:
            self.fail(f"{place} is a bundle, which cannot be written; {expected}", parameter, context)
        return place


PLACE = PlaceType(bundles=True)
FOLDER = PlaceType(bundles=False)


def read_local(_context: click.Context, _parameter: click.Parameter, text: str) -> Path:
    """Reads a path on this machine; a URL is none."""
    from bench.results.place import is_url

    if not text.strip() or is_url(text):
        raise click.BadParameter(f"expected a folder or a file on this machine, got {text!r}")
    return Path(text)


class Positive(click.FloatRange):
    """A number above 0 that has an end: what comes after `nan` or `inf` seconds nobody can say."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """See click."""
        number = float(super().convert(value, parameter, context))
        if not math.isfinite(number):
            self.fail(f"expected a number, got {value!r}", parameter, context)
        return number


data_option = click.option(
    "--data",
    "data",
    multiple=True,
    metavar="NAME=PATH",
    help="Where a data set lies, e.g. acdc=/data/ACDC. Wins over the suite's data: block and MEDSEG_DATA.",
)

option_option = click.option(
    "--option",
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option, its value as in YAML, e.g. features=[8,16,32]. May be repeated; a.b=1 reaches into a mapping.",
)
channels_option = click.option(
    "--channels", type=click.IntRange(min=1), default=1, show_default=True, help="Channels of the images."
)
classes_option = click.option(
    "--classes",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Channels of the logits: one per class with background; 1 for a single foreground label.",
)
narrow_option = click.option(
    "--narrow", is_flag=True, help="Start from the options that make the model tiny, if it has such."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
results_option = click.option(
    "--results",
    "results_root",
    type=FOLDER,
    default="results",
    show_default=True,
    help="Where results land, a folder or e.g. s3://bucket/prefix; each suite has a folder in it.",
)
scale_option = click.option(
    "--scale",
    type=click.Choice(["full", "smoke"]),
    default="full",
    show_default=True,
    help="smoke: every model, loss and task, tiny and on generated data, in a minute or two; its results lie apart.",
)
metrics_option = click.option(
    "--metrics", metavar="NAME,...", help="What to measure, e.g. dice,hd95; `bench list metrics` lists all."
)
tolerance_option = click.option(
    "--tolerance-mm",
    "tolerance",
    metavar="MM",
    help="Distance that counts as no error in nsd, of all labels or by label: 2, or LV=2,RV=3.",
)
jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), help="Processes that measure; all cores by default."
)


def size_option(default: str) -> Callable[[F], F]:
    """Returns the option `--size`."""
    return click.option(
        "--size",
        callback=_read_size,
        default=default,
        show_default=True,
        metavar="ROWS[xCOLUMNS]",
        help="Size of the images in pixels.",
    )


def _read_size(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise click.BadParameter(f"expected pixels as 64 or as ROWSxCOLUMNS, e.g. 64x96, got {text!r}")
    return int(sides[0]), int(sides[-1])


def read_names(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    """Reads names joined by commas; none where the option is not given."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"expected names joined by commas, e.g. dice,hd95, got {text!r}")
    return names


def stripped(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what was typed without the blanks around names."""
    return {key: value.strip() if isinstance(value, str) else value for key, value in asked.items()}


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads KEY=VALUE pairs, values as in a suite.

    Raises:
        SuiteError: If a pair has no key, or its value is not YAML.
    """
    from bench.errors import SuiteError
    from bench.plan.parameter import put
    from bench.suite.document import parse_document

    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not (key and sign and all(key.split("."))):
            raise SuiteError([(None, f"--option {pair}: expected KEY=VALUE, e.g. features=[8,16,32]")])
        document = parse_document(f"value: {text}", f"--option {key}")
        if document.problems:
            raise SuiteError(document.problems)
        put(options, key, document.tree["value"])
    return options
