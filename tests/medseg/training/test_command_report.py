"""The table of means: a column per metric, or a row where metrics are many."""

from rich.console import Console

from medseg.training.command_report import MOST_COLUMNS, _table

FEW = ("dice", "hd95")
MANY = ("dice", "iou", "sensitivity", "precision", "hd", "hd95", "pixel_accuracy")


COUNTS = {"patients": 4, "empty": 3, "missed": 2, "failed": 1}


def scores(metrics):
    rows = []
    for metric in metrics:
        labels = ["all"] if metric == "pixel_accuracy" else ["LV", "RV"]
        unit = "mm" if metric.startswith("hd") else ""
        rows += [
            {
                "part": "test",
                "label": label,
                "metric": metric,
                "mean": 0.5,
                "unit": unit,
                **COUNTS,
            }
            for label in labels
        ]
    return rows


def printed(metrics):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(_table(scores(metrics)))
    return [line.split() for line in capture.get().splitlines()]


def test_few_metrics_stand_side_by_side():
    assert printed(FEW) == [
        ["part", "label", "Dice", "HD95", "(mm)", "patients", "empty", "missed", "failed"],
        ["test", "LV", "0.5000", "0.50", "4", "3", "2", "1"],
        ["test", "RV", "0.5000", "0.50", "4", "3", "2", "1"],
    ]


def test_many_metrics_are_listed_one_below_the_other():
    assert len(MANY) > MOST_COLUMNS
    lines = printed(MANY)
    assert lines[0] == ["part", "metric", "LV", "RV", "all", "patients", "empty", "missed", "failed"]
    assert lines[1] == ["test", "Dice", "0.5000", "0.5000", "4", "6", "4", "2"]
    assert lines[-1] == ["test", "Pixel", "accuracy", "0.5000", "4", "3", "2", "1"]
    assert len(lines) == 1 + len(MANY)


def test_means_over_different_patients_say_so():
    rows = scores(FEW)
    rows[0]["patients"] = 2
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(_table(rows))
    assert "2 to 4" in capture.get().splitlines()[1]
