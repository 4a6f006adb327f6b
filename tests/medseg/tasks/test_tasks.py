import subprocess
import sys

import pytest
from pydantic import ValidationError

from medseg.tasks import TASKS, SplitSpec


@pytest.mark.parametrize("name", TASKS.names())
def test_a_task_is_registered_under_its_own_name_and_holds_together(name):
    task = TASKS.load(name)
    assert task.name == name
    assert type(task).model_validate(task.model_dump()) == task
    assert set(task.labels.values()).isdisjoint({0})
    assert len(set(task.labels.values())) == len(task.labels)
    assert (task.unit == "px") == (task.format == "covid_radiography")
    assert (task.spacing_mm is None) == (task.unit == "px")
    assert all(side % 16 == 0 for side in task.image_size)


def test_acdc_counts_classes_in_the_order_of_its_labels():
    assert TASKS.load("acdc-multiclass").labels == {"RV": 1, "MYO": 2, "LV": 3}
    assert TASKS.load("acdc-multiclass").out_channels == 4
    assert TASKS.load("acdc-lv").labels == {"LV": 3}
    assert TASKS.load("acdc-rv").out_channels == 1


def test_an_xray_is_never_flipped_vertically():
    for name in ("covid-lung", "phantom-lung"):
        assert TASKS.load(name).flips == ("horizontal",)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_test_share_outside_0_and_1_is_refused(share):
    with pytest.raises(ValidationError, match=r"split\.test must lie between 0 and 1"):
        SplitSpec(test=share)


@pytest.mark.parametrize("module", ["medseg.tasks", "medseg.data", "medseg.data.sheet"])
def test_importing_needs_neither_torch_nor_ray(module):
    code = (
        f"import sys, {module}; "
        "sys.exit(','.join(sorted({'torch', 'ray', 'nibabel', 'PIL', 'scipy'} & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
