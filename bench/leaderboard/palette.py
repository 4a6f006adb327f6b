"""Colours of figures and pages: few, safe for the colour-blind, and never the only sign.

Accent and second are the blue and vermilion of Okabe, Ito (2008), Color Universal Design, darkened on white and
lightened on black until they stand out.
"""

from dataclasses import asdict, dataclass
from typing import Literal

Theme = Literal["light", "dark"]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours by what they are for, as ``#rrggbb`` in small letters; no two are the same.

    Args:
        paper: Background.
        ink: Text and what is measured.
        soft: Text that explains.
        muted: What is not in the foreground: single values, other entries.
        faint: Lines of the grid.
        accent: What matters.
        second: What must not be taken for it.
    """

    paper: str
    ink: str
    soft: str
    muted: str
    faint: str
    accent: str
    second: str

    def css(self) -> str:
        """Returns the colours as CSS variables, e.g. ``--ink: #1b1c1e;``."""
        return " ".join(f"--{role}: {colour};" for role, colour in asdict(self).items())


LIGHT = Palette(
    paper="#ffffff",
    ink="#1b1c1e",
    soft="#595e63",
    muted="#84898e",
    faint="#dcdfe2",
    accent="#0068a6",
    second="#b84a00",
)
DARK = Palette(
    paper="#15181b",
    ink="#e9e9e6",
    soft="#a9afb5",
    muted="#7f868d",
    faint="#363b41",
    accent="#5cb8ee",
    second="#f0954d",
)
PALETTES: dict[Theme, Palette] = {"light": LIGHT, "dark": DARK}


def as_variables(text: str) -> str:
    """Replaces the light palette's colours by the CSS variables of `Palette.css`: one drawing for both themes."""
    for role, colour in asdict(LIGHT).items():
        text = text.replace(colour, f"var(--{role})")
    return text
