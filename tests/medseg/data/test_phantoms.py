import csv
import filecmp
import os
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from medseg.data import index_dataset, load_image, load_label, make_split, resolve_root
from medseg.data.phantom import ensure_phantom
from medseg.errors import DataError
from medseg.tasks import TASKS, PhantomSpec


def _files(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["phantom-cardiac", "phantom-lung"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name, tmp_path):
    task = TASKS.load(name).model_copy(update={"phantom": PhantomSpec(patients=4, seed=1)})
    one, two = ensure_phantom(task, tmp_path / "one"), ensure_phantom(task, tmp_path / "two")
    assert _files(one) == _files(two)
    assert filecmp.cmpfiles(one, two, _files(one), shallow=False)[0] == _files(one)
    other = task.model_copy(update={"phantom": PhantomSpec(patients=4, seed=2)})
    assert ensure_phantom(other, tmp_path / "one") != one
    fingerprints = {
        index_dataset(t, resolve_root(t, {}, tmp_path / "one"), tmp_path).fingerprint for t in (task, other)
    }
    assert len(fingerprints) == 2


def test_a_phantom_is_generated_once(tmp_path):
    task = TASKS.load("phantom-lung").model_copy(update={"phantom": PhantomSpec(patients=4)})
    root = ensure_phantom(task, tmp_path)
    before = os.stat(root / "groups.csv").st_mtime_ns
    assert ensure_phantom(task, tmp_path) == root
    assert os.stat(root / "groups.csv").st_mtime_ns == before
    made = [path.name for path in (tmp_path / "phantoms").iterdir() if path.suffix != ".lock"]
    assert made == [root.name]


def test_a_real_task_has_no_phantom(tmp_path):
    with pytest.raises(DataError, match="task 'covid-lung' has no phantom"):
        ensure_phantom(TASKS.load("covid-lung"), tmp_path)


def test_cardiac_files_are_as_acdc_gives_them(cardiac):
    import nibabel

    assert cardiac.root.name == "database"
    names = _files(cardiac.root)
    assert len(names) == 6 * 5
    assert any(name.startswith("testing/patient006/") for name in names)
    zooms = set()
    for case in cardiac.cases:
        header, label = nibabel.load(case.image).header, nibabel.load(case.label).header
        assert (header.get_data_dtype(), label.get_data_dtype()) == (np.int16, np.uint8)
        assert 1.3 <= case.spacing_mm[1] == case.spacing_mm[2] <= 1.7
        assert 5 <= case.spacing_mm[0] <= 10
        assert 5 <= case.shape[0] <= 7
        zooms.add(case.spacing_mm)
    assert len(zooms) > 2
    text = (cardiac.root / "training/patient001/Info.cfg").read_text()
    keys = [line.split(": ")[0] for line in text.splitlines()]
    assert keys == ["ED", "ES", "Group", "Height", "NbFrame", "Weight"]
    assert len({case.subgroup for case in cardiac.cases}) == 5


def _volumes_ml(dataset):
    """Millilitres by patient, phase and label."""
    volumes = defaultdict(dict)
    for case in dataset.cases:
        label = load_label(case, dataset.task)
        voxel = np.prod(case.spacing_mm) / 1000
        volumes[case.patient][case.phase] = {k: float((label == k).sum() * voxel) for k in (1, 2, 3)}
    return volumes


def test_hearts_contract_and_diseases_show_in_their_volumes(cardiac):
    volumes = _volumes_ml(cardiac)
    groups = {case.patient: case.subgroup for case in cardiac.cases}
    ejected = {}
    for patient, phases in volumes.items():
        assert phases["ES"][3] < phases["ED"][3]
        assert phases["ES"][1] < phases["ED"][1]
        ejected[groups[patient]] = 1 - phases["ES"][3] / phases["ED"][3]
    assert ejected["DCM"] < 0.4 < ejected["NOR"]
    assert ejected["MINF"] < ejected["HCM"]
    by_group = {groups[p]: phases["ED"] for p, phases in volumes.items()}
    assert by_group["RV"][1] > 1.5 * by_group["RV"][3]
    assert by_group["HCM"][2] > by_group["DCM"][2] > 0
    assert by_group["DCM"][3] > 1.5 * by_group["NOR"][3]


def test_the_cavity_lies_in_the_wall_and_the_heart_tapers(cardiac):
    from scipy.ndimage import binary_dilation

    for case in cardiac.cases:
        label = load_label(case, cardiac.task)
        for plane in label:
            around = binary_dilation(plane == 3) & (plane != 3)
            assert np.isin(plane[around], (2,)).mean() > 0.97 if around.any() else True
        areas = (label == 3).sum(axis=(1, 2))
        lived = areas[areas > 0]
        # A stack of thin slices ends well before the apex.
        whole = case.spacing_mm[0] * case.shape[0] > 50
        assert lived[-1] < (0.8 if whole else 1.0) * lived.max()


def test_blood_is_brighter_than_muscle_in_a_noisy_uneven_picture(cardiac):
    for case in cardiac.cases:
        image, label = load_image(case, cardiac.task)[0], load_label(case, cardiac.task)
        blood, muscle = image[label == 3], image[label == 2]
        assert np.median(blood) > 1.3 * np.median(muscle)
        # Neither thresholding nor a look at one voxel solves the task.
        assert np.quantile(blood, 0.02) < np.quantile(muscle, 0.98)
        lookalikes = (image > np.quantile(blood, 0.2)) & (label == 0)
        assert lookalikes.sum() > 0.2 * (label == 3).sum()


def test_lung_files_are_as_the_download_gives_them(lung):
    with (lung.root.parent / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {case.id for case in lung.cases}
    assert max(Counter(row["patient"] for row in rows).values()) in (2, 3)
    assert len({case.subgroup for case in lung.cases}) == 4
    assert len({case.digest for case in lung.cases}) == len(lung.cases) == 10
    for case in lung.cases:
        with Image.open(case.image) as image, Image.open(case.label) as mask:
            assert image.size == (299, 299)
            assert image.mode in ("L", "RGB")
            assert (mask.size, mask.mode) == ((256, 256), "RGB")
            channels = np.asarray(mask)
        assert set(np.unique(channels)) == {0, 255}
        assert (channels[..., 0] == channels[..., 2]).all()


def test_a_chest_has_two_lungs_of_plausible_size(lung):
    from scipy.ndimage import label as components

    for case in lung.cases:
        mask = load_label(case, lung.task)
        parts, count = components(mask, np.ones((3, 3)))
        assert count == 2
        areas = np.bincount(parts.ravel())[1:] / mask.size
        assert areas.min() > 0.06
        assert areas.sum() < 0.65


def test_darkness_alone_does_not_find_the_lungs(lung):
    best = []
    for case in lung.cases:
        image, mask = load_image(case, lung.task)[0], load_label(case, lung.task) > 0
        grey = np.asarray(Image.fromarray(image).resize((256, 256)))
        scores = [
            2 * ((grey < t) & mask).sum() / ((grey < t).sum() + mask.sum())
            for t in np.quantile(grey, np.linspace(0.1, 0.9, 17))
        ]
        best.append(max(scores))
    assert 0.55 < np.mean(best) < 0.9


@pytest.mark.parametrize(("name", "patients"), [("phantom-cardiac", 20), ("phantom-lung", 36)])
def test_enough_patients_are_tested_on_for_a_test_to_mean_something(name, patients, tmp_path, monkeypatch):
    def blank_slices(rng, stack, surroundings, systole):
        return rng.integers(0, 99, stack.shape), np.zeros(stack.shape, np.uint8)

    def blank_picture(rng, chest, group):
        return rng.integers(0, 99, (299, 299), np.uint8), np.zeros((256, 256), bool)

    # Who is in which part hardly depends on the pictures, which take long to paint.
    monkeypatch.setattr("medseg.data.phantom.cardiac.paint_surroundings", lambda stack: [])
    monkeypatch.setattr("medseg.data.phantom.cardiac.render", blank_slices)
    monkeypatch.setattr("medseg.data.phantom.chest.render", blank_picture)
    task = TASKS.load(name)
    dataset = index_dataset(task, resolve_root(task, {}, tmp_path), tmp_path)
    assert len(dataset.patients) == patients
    assert len(make_split(task, dataset).test) >= 8
