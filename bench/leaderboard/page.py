"""The frame of a report: head, style for screen (light and dark) and paper, and the order of its parts."""

import re
from collections.abc import Sequence
from html import escape

from bench.leaderboard.palette import DARK, LIGHT

# Nothing is fetched and nothing is run: browsers hold the page to it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

STYLE = (
    f"""
:root {{ {LIGHT.css()} color-scheme: light dark; }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK.css()} }} }}
"""
    + """
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 0; }
h3 { font-size: 1.05rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; }
a { color: var(--accent); }
a:focus-visible { outline: 2px solid var(--second); outline-offset: 2px; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1rem 0 0; padding: 0; }
.soft, .notes, figcaption, caption { color: var(--soft); font-size: .875rem; }
.notice { border-left: .25rem solid var(--second); padding: .25rem .75rem; font-weight: 600; }
.notes { margin: .5rem 0 1rem; padding-left: 1.1rem; max-width: 60rem; }
.table, .drawing { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: baseline; white-space: nowrap; }
thead th { border-bottom: 1px solid var(--muted); color: var(--soft); font-weight: 600; white-space: normal;
  vertical-align: bottom; }
tbody th { font-weight: inherit; }
tbody tr:nth-child(5n) > * { border-bottom: 1px solid var(--faint); }
tbody tr:hover > * { background: color-mix(in srgb, var(--faint) 50%, transparent); }
.number { text-align: right; }
.best { font-weight: 700; }
.faint, .mark { color: var(--soft); }
.good { color: var(--accent); font-weight: 600; }
.bad { color: var(--second); font-weight: 600; }
figure { margin: 2rem 0; }
figcaption { max-width: 48rem; margin-top: .25rem; }
svg { display: block; width: 100%; min-width: 40rem; max-width: 54rem; height: auto; stroke-linejoin: round;
  stroke-linecap: butt; }
details { margin: 3rem 0 0; }
summary { cursor: pointer; font-weight: 600; }
@media print {
"""
    + f"  :root {{ {LIGHT.css()} color-scheme: light; }}\n"
    + """
  @page { margin: 15mm; }
  html { font-size: 62.5%; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  .table, .drawing { overflow: visible; }
  th, td { padding-right: .5rem; }
  svg { min-width: 0; }
  a { color: inherit; text-decoration: none; }
}
"""
)


def document(
    title: str,
    about: Sequence[str],
    notice: str,
    links: Sequence[tuple[str, str]],
    sections: Sequence[str],
    legend: Sequence[str],
) -> str:
    """Returns the page.

    Args:
        title: Heading.
        about: Lines below it.
        notice: What must stand above all, if anything.
        links: Anchors and their texts.
        sections: HTML.
        legend: What the columns of the tables mean.
    """
    lines = "".join(f'<p class="soft">{escape(line)}</p>\n' for line in about)
    warning = f'<p class="notice" role="note">{escape(notice)}</p>\n' if notice else ""
    items = "".join(f'<li><a href="#{mark}">{escape(text)}</a></li>\n' for mark, text in links)
    menu = f'<nav aria-label="Sections"><ul>\n{items}</ul></nav>\n' if len(links) > 1 else ""
    told = "".join(f"<li>{escape(line)}</li>\n" for line in legend)
    below = (
        f'<details open>\n<summary>Columns</summary>\n<ul class="notes">\n{told}</ul>\n</details>\n'
        if told
        else ""
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{lines}{warning}{menu}</header>\n"
        f"<main>\n{''.join(sections)}{below}</main>\n</body>\n</html>\n"
    )


def anchors(names: Sequence[str]) -> list[str]:
    """Returns an anchor or file name per name: letters, digits and hyphens, no two the same."""
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
        # Anchors of the page's own.
        base = f"task-{base}" if base in ("all", "claims") else base
        mark, number = base, 2
        while mark in found:
            mark, number = f"{base}-{number}", number + 1
        found.append(mark)
    return found
