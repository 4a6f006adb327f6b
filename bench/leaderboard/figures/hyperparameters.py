"""Which hyper-parameters mattered in tuning, entry by entry, against what chance gives."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from bench.leaderboard.figures.canvas import SMALL, Drawing, text_width
from bench.leaderboard.figures.grid import grid_figure
from bench.leaderboard.importance import LEAST_TRIALS, TOP, Importance
from bench.leaderboard.palette import Palette

NAME = "importance"
ROW = 0.19
MOST_ROWS = 12
"""Hyper-parameters that are shown; of more, those that are most important somewhere."""


def draw_importance(found: Sequence[Importance], task: str, palette: Palette, entries: int = 0) -> Drawing:
    """Draws the importance of each hyper-parameter, a panel per study.

    Args:
        found: Studies of a task, best entry first.
        task: Name.
        palette: Colours.
        entries: How many there are, where only the best were looked at.
    """
    title = f"{task}: what mattered in tuning"
    shown = [one for one in found if not one.why]
    if not shown:
        why = _joined(found) or "nothing was tuned"
        return Drawing(name=NAME, of=task, title=title, why=why)
    names = _names(shown)
    left = 0.16 + max(text_width(_short(name, names), SMALL) for name in names)
    heads = [f"{one.entry} (n\u00a0=\u00a0{one.n_trials})" for one in shown]
    figure, panels = grid_figure(heads, palette, title, panel=ROW * len(names), left=left, most=3,
                                 sides=("bottom",), grid="x")  # fmt: skip
    across = min(3, max(2, len(shown)))
    for number, (one, axes) in enumerate(zip(shown, panels, strict=True)):
        _bars(axes, one, names, palette)
        if number % across == 0:
            axes.tick_params(labelleft=True, pad=4)
            axes.set_yticks(range(len(names)), [_short(name, names) for name in names], color=palette.ink)
    left_out = [one for one in found if one.why]
    said = f" Not shown: {_joined(left_out)}." if left_out else ""
    if entries > len(found):
        said += f" Of {entries} entries those of the best that were tuned."
    return Drawing(
        name=NAME,
        of=task,
        title=title,
        caption=_caption() + said,
        alt="; ".join(_told(one) for one in shown) + ".",
        figure=figure,
    )


def _joined(left_out: Sequence[Importance]) -> str:
    names: dict[str, list[str]] = {}
    for one in left_out:
        names.setdefault(one.why, []).append(one.entry)
    return "; ".join(f"{', '.join(those)}: {why}" for why, those in names.items())


def _names(shown: Sequence[Importance]) -> list[str]:
    """Returns the hyper-parameters of all studies, those first that matter most in the mean."""
    total: dict[str, float] = {}
    for one in shown:
        for name, share in zip(one.names, one.shares, strict=True):
            total[name] = total.get(name, 0.0) + share
    return sorted(total, key=lambda name: -total[name])[:MOST_ROWS]


def _short(name: str, names: Sequence[str]) -> str:
    """Returns a dotted name's last part where that is enough to know it by."""
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in names) == 1 else name


def _bars(axes: Axes, one: Importance, names: Sequence[str], palette: Palette) -> None:
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(0, 1.04)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    for name, share, chance in zip(one.names, one.shares, one.chance, strict=True):
        if name not in names:
            continue
        row, clear = names.index(name), share > chance
        axes.barh(row, share, height=0.56, linewidth=1.0, edgecolor=palette.accent,
                  color=palette.accent if clear else "none", zorder=2)  # fmt: skip
        axes.plot(
            [min(chance, 1.03)] * 2, [row - 0.42, row + 0.42], color=palette.second, linewidth=1.5, zorder=3
        )
    for row, name in enumerate(names):
        if name not in one.names:
            axes.text(0.01, row, "not searched", ha="left", va="center", size=SMALL - 1.5, color=palette.soft)


def _caption() -> str:
    return (
        "Share of each hyper-parameter in what set the best trials apart from the rest (PED-ANOVA; best: a tenth of "
        f"the complete trials, at least {TOP}; {LEAST_TRIALS} trials or more). Mark: what chance exceeds in one of "
        "twenty studies, from the same settings with shuffled scores. Filled: beyond chance. It tells of the values "
        "that were tried, not of others. n: complete tuning trials."
    )


def _told(one: Importance) -> str:
    parts = [
        f"{name} {share:.0%}{'' if share > chance else ' (not beyond chance)'}"
        for name, share, chance in zip(one.names, one.shares, one.chance, strict=True)
    ]
    return f"{one.entry}: {', '.join(parts)}"
