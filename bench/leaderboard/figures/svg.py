"""Figures as SVG in a page: text that can be read and searched, colours of the page, no id twice."""

import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.palette import as_variables

_NOTHING_ELSE = {"Creator": None, "Date": None, "Format": None, "Type": None}
_SHAPES = re.compile(r' (d|x|y|transform)="([^"]*)"')
_LONG = re.compile(r"(-?\d+\.\d\d)\d+")
# The page's own font: ours may not be there. Ours is a wide one, so that others fit.
_FONT = re.compile(r"\s?font-family:[^;\"]*;?")
_UPRIGHT = re.compile(r' transform="rotate\(-0 [^"]*\)"')
_REFERENCES = re.compile(r'(\bid="|xlink:href="#|url\(#)')


def _svg(figure: Figure, salt: str) -> str:
    """Returns a figure as an SVG file that is the same each time."""
    out = io.StringIO()
    with style(), matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg", metadata=_NOTHING_ELSE)
    return out.getvalue()


def inline_svg(drawing: Drawing, prefix: str) -> str:
    """Returns a drawing in the light palette as an element for a page that has the variables of `Palette.css`.

    Args:
        drawing: With a figure.
        prefix: What makes its ids unique in the page: letters, digits and hyphens.

    Raises:
        ValueError: If it has no figure.
    """
    if drawing.figure is None:
        raise ValueError(f"{drawing.title}: there is no figure ({drawing.why})")
    whole = _svg(drawing.figure, prefix)
    body = whole[whole.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    head, body = body.split(">", 1)
    view = re.search(r'viewBox="([^"]*)"', head)
    assert view is not None
    body = _UPRIGHT.sub("", _FONT.sub("", body))
    body = _SHAPES.sub(lambda found: f' {found[1]}="{_LONG.sub(_short, found[2])}"', body)
    body = _REFERENCES.sub(lambda found: f"{found[1]}{prefix}-", as_variables(body))
    body = re.sub(r"\s*\n\s*", "\n", body)
    words = (
        f'<title id="{prefix}-title">{escape(drawing.title)}</title>'
        f'<desc id="{prefix}-desc">{escape(drawing.alt)}</desc>'
    )
    return (
        f'<svg viewBox="{view[1]}" role="img" aria-labelledby="{prefix}-title {prefix}-desc" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{words}{body}'
    )


def _short(number: re.Match[str]) -> str:
    return number[1]
