"""Generates short-axis cine stacks in ACDC's download layout."""

from pathlib import Path

import numpy as np

from medseg.data.phantom.heart import GROUPS
from medseg.data.phantom.stack import draw_stack, paint_surroundings, render
from medseg.data.phantom.volume import save_volume
from medseg.tasks import PhantomSpec

TEST_SHARE = 0.4


def write_cardiac(spec: PhantomSpec, folder: Path) -> None:
    """Writes ``database/{training,testing}/patientNNN`` as ACDC is downloaded; two of five patients are for test.

    Raises:
        OSError: If the folder cannot be written.
    """
    tested = int(spec.patients * TEST_SHARE)
    for number in range(1, spec.patients + 1):
        part = "training" if number <= spec.patients - tested else "testing"
        name = f"patient{number:03d}"
        rng = np.random.default_rng((spec.seed, number))
        _write_patient(rng, GROUPS[(number - 1) % len(GROUPS)], folder / "database" / part / name)


def _write_patient(rng: np.random.Generator, group: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    stack = draw_stack(rng, group)
    first = int(rng.choice([1, 1, 1, 4]))
    last = first + int(rng.integers(7, 13))
    frames = last + int(rng.integers(8, 16))
    facts = {
        "ED": first,
        "ES": last,
        "Group": group,
        "Height": f"{rng.normal(171, 9):.1f}",
        "NbFrame": frames,
        "Weight": f"{rng.normal(76, 13):.1f}",
    }
    text = "".join(f"{key}: {value}\n" for key, value in facts.items())
    (folder / "Info.cfg").write_text(text, encoding="utf-8")
    surroundings = paint_surroundings(stack)
    for frame, systole in ((first, 0.0), (last, 1.0)):
        image, label = render(rng, stack, surroundings, systole)
        stem = f"{folder.name}_frame{frame:02d}"
        save_volume(image.astype(np.int16), stack.spacing_mm, folder / f"{stem}.nii.gz")
        save_volume(label, stack.spacing_mm, folder / f"{stem}_gt.nii.gz")
