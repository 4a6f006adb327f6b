"""What share of a training's time evaluation takes: all calls of `evaluate_case` against the whole trial.

    python benchmarks/metrics_share.py [--acdc PATH]

Two trials on one thread: a U-Net 16..128 on ACDC (where it is), and one of seconds on generated hearts, whose network
hardly learns. The bar is 2%.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from medseg.training import command, measure

DATA = Path(__file__).parents[2] / "shared" / "data" / "acdc"
COMMON = ("--model", "unet", "--loss", "ce_dice", "--device", "cpu", "--threads", "1", "--batch-size", "8")
PHANTOM = (
    *("--task", "phantom-cardiac", "-m", "features=[8,16,32,64]"),
    *("--epochs", "4", "--steps-per-epoch", "30"),
)
ACDC = (
    *("--task", "acdc-multiclass", "--task-option", "image_size=[128,128]", "-m", "features=[16,32,64,128]"),
    *("--epochs", "8", "--steps-per-epoch", "25"),
)


def main() -> None:
    """Runs the trials and prints a line on each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--acdc", type=Path, default=DATA, help="root of ACDC; left out where it is absent")
    root = parser.parse_args().acdc
    lines = [share("generated hearts", PHANTOM)]
    lines.append(share("ACDC", (*ACDC, "--data", str(root))) if root.is_dir() else "ACDC: no data, left out")
    print("\n".join(lines))


def share(name: str, arguments: tuple[str, ...]) -> str:
    """Trains once, with a clock around every evaluation of a case."""
    spent: list[float] = []
    evaluate = measure.evaluate_case

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return evaluate(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - start)

    measure.evaluate_case = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            command.run([*COMMON, *arguments, "--quiet", "--out", f"{folder}/trial"])
            whole = time.perf_counter() - start
    finally:
        measure.evaluate_case = evaluate
    return (
        f"{name}: {len(spent)} cases, {sum(spent):.2f} s of {whole:.1f} s: {sum(spent) / whole:.2%} (bar 2%)"
    )


if __name__ == "__main__":
    main()
