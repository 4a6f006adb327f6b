"""Shows models, losses, tasks and metrics in a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cli.card import flow

Card = Mapping[str, Any]
MIB = 2**20
LONGEST_VALUE = 40
NOT_TRIED = "not tried"


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check, as `medseg.training.conformance` has it; `problem` is none where it passed."""

    name: str
    problem: str | None
    wall_s: float


def say_model(card: Card, console: Console) -> None:
    """Prints a model's card: what it is, its options, what it costs, where to search."""
    _say_head(card, console)
    _say_options(card["options"], console)
    console.print()
    console.print(_facts(_model_facts(card)))
    say_search(card["search"], console)


def say_loss(card: Card, console: Console) -> None:
    """Prints a loss's card: its formula, its options, where to search."""
    _say_head(card, console)
    _say_options(card["options"], console)
    say_search(card["search"], console)


def say_task(tree: Card, console: Console) -> None:
    """Prints a task as the keys of a suite's `tasks:`; what is not shown has its default."""
    for key, value in tree.items():
        say_line(console, f"{key}: {flow(value)}")


def say_metric(card: Card, console: Console) -> None:
    """Prints a metric's card."""
    say_line(console, f"{card['name']}: {card['title']}", "bold")
    say_line(console, card["text"])
    console.print()
    console.print(_facts(_metric_facts(card)))


def _metric_facts(card: Card) -> dict[str, str]:
    tolerance = "a tolerance in mm or px: tolerance_mm of the task, of all labels or by label"
    needs = [tolerance] if card["needs_tolerance"] else []
    needs += ["the model's probabilities"] if card["needs_probabilities"] else []
    facts = {
        "definition": card["definition"].replace("{tolerance}", "TOLERANCE"),
        "better is": "higher" if card["higher_is_better"] else "lower",
        "computed": "per label" if card["per_label"] else "per case, over all labels",
        "unit": " or ".join(card["unit"]) or "none",
        "needs": "; ".join(needs) or "label maps",
        "a failed case counts": _counts(card["worst"]),
    }
    if not card["ranked"]:
        direction = "higher" if card["higher_is_better"] else "not said"
        facts["better is"] = f"{direction}; it is reported, never ranked by"
    return facts | _empty_facts(card)


def _empty_facts(card: Card) -> dict[str, str]:
    if card["empty"] is None:
        return {"if a mask is empty": "measured all the same"} if card["per_label"] else {}
    empty = dict(card["empty"])
    agreed = empty.pop("agreed")
    facts = {}
    for mask, value in empty.items():
        who = "both are" if mask == "both" else f"the {mask} is"
        facts[f"if {who} empty"] = _counts(value)
    if agreed is not None:
        facts["with policy one or brats"] = f"both empty counts {_counts(agreed)}"
    if card["worst"] == "diagonal":
        # Imported here: it imports pandas.
        from bench.stats.aggregate import BRATS_DISTANCE

        facts["with policy brats"] = f"{BRATS_DISTANCE} for the diagonal"
    return facts


def _counts(value: float | str | None) -> str:
    """Writes what a value of a metric's card counts in an average."""
    if value is None:
        return "nothing: left out"
    return "the image's diagonal" if value in ("diagonal", "inf") else f"{value:g}"


def say_result(result: CheckResult, width: int, console: Console) -> None:
    """Prints the outcome of one check on one line."""
    outcomes = {None: Text("ok    ", style="green"), NOT_TRIED: Text("-     ", style="dim")}
    line = outcomes.get(result.problem) or Text("FAIL  ", style="red")
    line.append(f"{result.name:{width}}", style="default")
    line.append(f"  {result.wall_s:6.1f} s", style="dim")
    if result.problem is not None:
        line.append(f"  {result.problem}", style="default")
    console.print(line, soft_wrap=True, highlight=False)


def say_verdict(name: str, failed: int, run: int, untried: int, skipped: int, console: Console) -> None:
    """Prints how many checks passed."""
    text = f"{failed} of {run} checks failed" if failed else f"all {run} checks passed"
    text += f", {untried} not tried" if untried else ""
    text += f", {skipped} skipped" if skipped else ""
    say_line(console, f"{name}: {text}", "red" if failed else "green")


def say_search(search: Mapping[str, Any], console: Console) -> None:
    """Prints where options are worth searching, ready to be pasted into a suite."""
    if search:
        console.print()
        say_line(console, "Worth searching; in a suite under tune:", "dim")
        for text in _space(search):
            say_line(console, text)


def say_line(console: Console, text: str, style: str = "") -> None:
    """Prints a text as it is, unwrapped."""
    console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)


def _say_head(card: Card, console: Console) -> None:
    say_line(console, f"{card['name']}  {card['class']}", "bold")
    say_line(console, f"from {card['origin']}, licence: {card['licence']}", "dim")
    if card["paper"]:
        say_line(console, card["paper"], "dim")
    if card["text"]:
        console.print()
        say_line(console, card["text"])


def _say_options(options: Sequence[Card], console: Console) -> None:
    if not options:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("option", no_wrap=True)
    table.add_column("value", overflow="fold")
    described = any(option["description"] for option in options)
    if described:
        table.add_column("meaning", overflow="fold")
    for option in options:
        cells = [option["name"], _value(option), option["description"]]
        table.add_row(*map(Text, cells[: 2 + described]))
    console.print()
    console.print(table)


def _value(option: Card) -> str:
    if option["required"] and option["value"] is None:
        return "(required)"
    value = short(option["value"])
    if option["required"] or option["value"] == option["default"]:
        return value
    return f"{value} (default {short(option['default'])})"


def short(value: Any) -> str:
    """Returns a value as YAML on one line, cut where it is long."""
    text = flow(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _model_facts(card: Card) -> dict[str, str]:
    height, width = card["size"]
    frozen, further = card["parameters"] - card["trainable"], card["training_only"]
    divisor = card["size_divisor"]
    facts = {
        "for": f"{card['channels']} x {height} x {width} images, {card['classes']} channels of logits",
        "parameters": f"{card['parameters']:,}"
        + (f", {frozen:,} of them frozen" if frozen else "")
        + (f", and {further:,} in heads that only training uses" if further else ""),
        "GMACs": f"{card['gmacs']:.4g} per image (convolution, linear, attention)",
        "size divisor": ("unknown" if divisor is None else str(divisor))
        + ("" if card["declared"] or divisor is None else " (found by trying)"),
    }
    step = card["step"]
    if step:
        where = (
            step["device"]
            if step["device"] != "cpu"
            else f"CPU, {step['threads']} thread{'s' * (step['threads'] > 1)}"
        )
        facts["training step"] = (
            f"{step['seconds']:.3g} s, {step['peak_memory_bytes'] / MIB:,.0f} MiB: batch of {step['batch']}, "
            f"float32, ce_dice, Adam; {where}; median of {step['steps']}"
        )
    return facts


def _space(search: Mapping[str, Any]) -> Iterator[str]:
    yield "space:"
    for path, spec in search.items():
        yield f"  {path}: {flow(spec)}"


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return table
