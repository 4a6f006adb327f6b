"""Tasks: plain description, no code that touches data or torch."""

from medseg.registry import Registry
from medseg.tasks.spec import PhantomSpec, SplitSpec, TaskSpec

TASKS = Registry(
    "task",
    {
        "acdc-lv": "medseg.tasks.cardiac:ACDC_LV",
        "acdc-multiclass": "medseg.tasks.cardiac:ACDC_MULTICLASS",
        "acdc-rv": "medseg.tasks.cardiac:ACDC_RV",
        "covid-lung": "medseg.tasks.lung:COVID_LUNG",
        "phantom-cardiac": "medseg.tasks.cardiac:PHANTOM_CARDIAC",
        "phantom-lung": "medseg.tasks.lung:PHANTOM_LUNG",
    },
    "medseg.tasks",
    "medseg.tasks.spec:TaskSpec",
)

__all__ = ["TASKS", "PhantomSpec", "SplitSpec", "TaskSpec"]
