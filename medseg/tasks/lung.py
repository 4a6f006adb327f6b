"""Chest X-rays: the COVID-19 Radiography Database and its embedded stand-in.

Chowdhury et al., "Can AI Help in Screening Viral and COVID-19 Pneumonia?", IEEE Access 2020;
Rahman et al., "Exploring the effect of image enhancement techniques on COVID-19 detection using chest X-ray
images", Computers in Biology and Medicine 2021 (lung masks).
"""

from medseg.tasks.spec import PhantomSpec, SplitSpec, TaskSpec

COVID_LUNG = TaskSpec(
    name="covid-lung",
    title="COVID-19 Radiography Database: lungs",
    dataset="covid",
    format="covid_radiography",
    labels={"lung": 255},
    image_size=(256, 256),
    spacing_mm=None,
    unit="px",
    clip_percentiles=(0.5, 99.5),
    flips=("horizontal",),
    split=SplitSpec(test=0.25, folds=5),
    metrics=("dice", "iou", "hd", "hd95", "assd", "nsd", "pixel_accuracy"),
    tolerance_mm=2.0,
)

PHANTOM_LUNG = COVID_LUNG.model_copy(
    update={
        "name": "phantom-lung",
        "title": "Generated chest X-rays in the layout of the COVID-19 Radiography Database",
        "dataset": "phantom-lung",
        "phantom": PhantomSpec(patients=48, seed=0),
        "image_size": (64, 64),
        "split": SplitSpec(test=0.25, folds=3),
    }
)
