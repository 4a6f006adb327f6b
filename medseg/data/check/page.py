"""A check as one HTML page that needs nothing beside it: tables, findings, and pictures of cases."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from medseg.data.check import Report
from medseg.data.check.inspect_case import CaseFacts
from medseg.data.check.rules import Finding
from medseg.data.check.tables import Grid, grids
from medseg.data.draw import colour

MOST_CASES = 60

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --quiet: #60646c; --page: #fff; --line: #d9d9e0; --bad: #c62a2f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #edeef0; --quiet: #a0a4ab; --page: #111113; --line: #3a3d42; --bad: #ff9592; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
       max-width: 1280px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.quiet, figcaption { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--quiet); font-weight: 500; }
li { overflow-wrap: anywhere; } .bad { color: var(--bad); }
.cases { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; } figure img { display: block; max-width: 100%; }
figcaption { max-width: 24rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 1em; }
"""


def page(report: Report) -> str:
    """Returns the page; shows the cases that were drawn."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    title = escape(report.task.name)
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    yield f"<title>{title}: data check</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(report.verdict)}</h1>"
    about = [report.task.title, report.task.format, str(report.root)]
    yield f'<p class="quiet">{escape(" · ".join(text for text in about if text))}</p>'
    for note in report.dataset.notes if report.dataset else ():
        yield f"<p>{escape(note)}</p>"
    yield from _findings("Problems", "bad", report.problems)
    yield from _findings("Warnings", "warn", report.warnings)
    for grid in grids(report):
        yield from _table(grid)
    drawn = [item for item in report.facts if item.picture]
    if drawn:
        yield f"<h2>{len(drawn)} of {len(report.facts)} cases</h2>\n<p>Outlines:{_legend(report)}</p>"
        yield '<div class="cases">'
        yield from map(_figure, drawn)
        yield "</div>"
    yield "</body>\n</html>"


def _findings(title: str, kind: str, findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield f'<h2 class="{kind}">{title} ({len(findings)})</h2>\n<ul>'
        yield from (f"<li><b>{escape(item.where)}</b>: {escape(item.text)}</li>" for item in findings)
        yield "</ul>"


def _table(grid: Grid) -> Iterator[str]:
    yield '<div class="wide"><table>'
    yield (
        "<thead><tr>"
        + "".join(f"<th>{escape(text)}</th>" for text in grid.headings)
        + "</tr></thead>\n<tbody>"
    )
    for row in grid.rows:
        yield "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>"
    yield "</tbody></table></div>"


def _legend(report: Report) -> str:
    return "".join(
        f'<span class="swatch" style="background: rgb{colour(index)}"></span>{escape(name)}'
        for index, name in enumerate(report.task.labels, start=1)
    )


def _figure(item: CaseFacts) -> str:
    case = item.case
    name = escape(case.id)
    facts = [f"patient {case.patient}", case.subgroup, case.phase, " x ".join(map(str, case.shape))]
    text = escape(" · ".join(fact for fact in facts if fact))
    source = b64encode(item.picture).decode()
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="{name}"/>'
        f"<figcaption><b>{name}</b><br/>{text}</figcaption></figure>"
    )
