"""Short-axis cine MRI: ACDC and its embedded stand-in.

ACDC: Bernard et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-structures Segmentation and
Diagnosis: Is the Problem Solved?", IEEE TMI 2018.
"""

from medseg.tasks.spec import PhantomSpec, SplitSpec, TaskSpec

ACDC_MULTICLASS = TaskSpec(
    name="acdc-multiclass",
    title="ACDC: right ventricle, myocardium, left ventricle",
    dataset="acdc",
    format="acdc",
    labels={"RV": 1, "MYO": 2, "LV": 3},
    # 1.5625 mm is the commonest spacing of ACDC; 400 x 350 mm holds the heart of every patient.
    image_size=(256, 224),
    spacing_mm=(1.5625, 1.5625),
    unit="mm",
    split=SplitSpec(test="official", folds=5),
    metrics=(
        *("dice", "iou", "hd", "hd95", "assd", "nsd"),
        *("volume_ml", "reference_volume_ml", "pixel_accuracy"),
    ),
    # A little more than a pixel.
    tolerance_mm=2.0,
    cavities=("RV", "LV"),
)

ACDC_LV = ACDC_MULTICLASS.model_copy(
    update={"name": "acdc-lv", "title": "ACDC: left ventricle", "labels": {"LV": 3}, "cavities": ("LV",)}
)

ACDC_RV = ACDC_MULTICLASS.model_copy(
    update={"name": "acdc-rv", "title": "ACDC: right ventricle", "labels": {"RV": 1}, "cavities": ("RV",)}
)

PHANTOM_CARDIAC = ACDC_MULTICLASS.model_copy(
    update={
        "name": "phantom-cardiac",
        "title": "Generated short-axis stacks in the layout of ACDC",
        "dataset": "phantom-cardiac",
        "phantom": PhantomSpec(patients=20, seed=0),
        "image_size": (64, 64),
        "spacing_mm": (2.4, 2.4),
        "split": SplitSpec(test="official", folds=3),
    }
)
