import errno
import gzip
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from medseg.data import index_dataset, prepare, resolve_root
from medseg.errors import DataError
from medseg.metrics.calibration import CaseCalibration
from medseg.tasks import TASKS, PhantomSpec, TaskSpec
from medseg.training import calibration_file
from medseg.training.calibration_file import find_calibrations, read_calibration_at
from medseg.training.outcome import StorageError
from medseg.training.predictions import PredictionWriter, file_name, read_calibration, read_prediction

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
TURN = np.array([[0, -1.4, 0.1, -90.5], [1.3, 0, 0, 12.25], [0, 0.2, 7.5, -3], [0, 0, 0, 1]])


def opened(task, root, cache):
    dataset = index_dataset(task, root, cache)
    return SimpleNamespace(task=task, dataset=dataset, prepared=prepare(task, dataset, cache))


@pytest.fixture(scope="module", params=["phantom-cardiac", "phantom-lung"])
def phantom(request, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    task = TASKS.load(request.param).model_copy(
        update={"image_size": (32, 32), "phantom": PhantomSpec(patients=4, seed=3)}
    )
    return opened(task, resolve_root(task, {}, cache), cache)


def writer(data, folder):
    return PredictionWriter(folder, data.task, data.dataset, data.prepared)


def keep(data, folder, predictions=None, **trial):
    """Writes all cases of a data set, by default as if they had been predicted perfectly."""
    with writer(data, folder) as kept:
        for case in data.dataset.cases:
            kept.write(case, (predictions or {}).get(case.id, data.prepared.reference(case.id)), "test")
        kept.commit(trial)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same_file(path, reference):
    """As any NIfTI tool sees them."""
    found, wanted = nibabel.load(path), nibabel.load(reference)
    assert type(found) is type(wanted)
    assert found.shape == wanted.shape
    assert found.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(found.affine, wanted.affine)
    assert found.header.get_zooms() == wanted.header.get_zooms()
    assert found.header.get_xyzt_units() == wanted.header.get_xyzt_units()
    for form in ("get_qform", "get_sform"):
        (ours, code), (theirs, wanted_code) = (getattr(x.header, form)(coded=True) for x in (found, wanted))
        assert code == wanted_code
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(wanted.dataobj))


def test_predictions_come_back_as_they_were(phantom, tmp_path):
    rng = np.random.default_rng(0)
    predictions = {
        case.id: rng.integers(0, phantom.task.classes, case.shape, np.uint8) for case in phantom.dataset.cases
    }
    folder = keep(phantom, tmp_path / "kept", predictions)
    for case in phantom.dataset.cases:
        back = read_prediction(folder, case, phantom.task)
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, predictions[case.id])


def test_a_perfect_prediction_is_the_label_file(phantom, tmp_path):
    folder = keep(phantom, tmp_path / "kept")
    for case in phantom.dataset.cases:
        path = folder / file_name(case, phantom.task)
        if len(case.shape) == 3:
            assert path.name == f"{case.id}.nii.gz"
            assert_same_file(path, case.label)
        else:
            assert path.name == f"{case.id}.png"
            pixels = np.asarray(Image.open(path))
            assert set(np.unique(pixels)) == {0, 255}
            np.testing.assert_array_equal(pixels, np.asarray(Image.open(case.label).convert("L")))


def test_the_index_says_what_is_what(phantom, tmp_path):
    folder = keep(phantom, tmp_path / "kept", trial="abc", fold=2)
    index = json.loads((folder / "index.json").read_text())
    assert index["trial"] == {"trial": "abc", "fold": 2}
    assert index["task"] == phantom.task.name
    assert list(index["labels"].items()) == list(phantom.task.labels.items())
    assert index["data"] == phantom.dataset.fingerprint
    assert index["cases"] == {
        case.id: {"file": file_name(case, phantom.task), "part": "test", "patient": case.patient}
        for case in phantom.dataset.cases
    }
    assert {path.name for path in folder.iterdir()} == {
        "index.json",
        *(entry["file"] for entry in index["cases"].values()),
    }


def test_equal_predictions_give_equal_files(phantom, tmp_path):
    first = contents(keep(phantom, tmp_path / "a"))
    assert contents(keep(phantom, tmp_path / "b")) == first
    for name, content in first.items():
        if name.endswith(".gz"):
            # Neither flags, as for a file name, nor a time.
            assert content[3:8] == bytes(5)


def calibrated(phantom, folder, seed=0):
    """Keeps all cases with the calibration of probabilities drawn at random; returns those by case."""
    rng, found = np.random.default_rng(seed), {}
    with writer(phantom, folder) as kept:
        for case in phantom.dataset.cases:
            reference = phantom.prepared.reference(case.id)
            probabilities = rng.random((phantom.task.out_channels, *case.shape))
            found[case.id] = CaseCalibration.of(probabilities, reference, reference)
            kept.write(case, reference, "test", found[case.id])
        kept.commit()
    return found


def test_calibration_is_kept_beside_predictions(phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration_file, "_GROUP", 150)
    found = calibrated(phantom, tmp_path / "kept")
    for case in phantom.dataset.cases:
        back = read_calibration(tmp_path / "kept", case)
        for name in ("counts", "positives", "probability", "squared_error", "log_loss"):
            np.testing.assert_array_equal(getattr(back, name), getattr(found[case.id], name))
    assert read_calibration(tmp_path / "kept", replace(phantom.dataset.cases[0], id="another")) is None
    index = json.loads((tmp_path / "kept" / "index.json").read_text())
    assert index["cases"].keys() == found.keys()
    table = pyarrow.parquet.ParquetFile(tmp_path / "kept" / "reliability.parquet")
    assert table.num_row_groups > 1
    assert set(table.read().column("label").to_pylist()) == {*phantom.task.labels, "all"}


def test_calibration_is_read_a_group_at_a_time(phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration_file, "_GROUP", 150 * len(phantom.task.labels))
    found = calibrated(phantom, tmp_path / "kept")
    file = pyarrow.parquet.ParquetFile(tmp_path / "kept" / "reliability.parquet")
    assert 1 < file.num_row_groups < len(found)
    read, whole = [], pyarrow.parquet.ParquetFile.read_row_group

    def watched(self, group, columns=None, **options):
        if columns is None:
            read.append(group)
        return whole(self, group, columns, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read_row_group", watched)
    places = find_calibrations(tmp_path / "kept")
    assert list(places) == list(found)
    for case, place in places.items():
        back = read_calibration_at(tmp_path / "kept", place)
        np.testing.assert_array_equal(back.counts, found[case].counts)
        np.testing.assert_array_equal(back.log_loss, found[case].log_loss)
    assert read == list(range(file.num_row_groups))


def test_a_file_that_took_the_place_of_another_is_read_anew(phantom, tmp_path):
    case = phantom.dataset.cases[0]
    for seed in range(2):
        found = calibrated(phantom, tmp_path / "kept", seed)[case.id]
        back = read_calibration(tmp_path / "kept", case)
        np.testing.assert_array_equal(back.probability, found.probability)


def test_rows_of_a_case_that_lie_apart_are_refused(phantom, tmp_path):
    folder = keep(phantom, tmp_path / "kept")
    table = pyarrow.table({"case": ["a", "b", "a"]})
    pyarrow.parquet.write_table(table, folder / "reliability.parquet")
    with pytest.raises(
        DataError, match=r"reliability.parquet: cannot be read: the rows of a do not lie together"
    ):
        find_calibrations(folder)


def test_equal_calibrations_give_equal_files(phantom, tmp_path):
    calibrated(phantom, tmp_path / "a")
    calibrated(phantom, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_without_calibration_there_is_no_file_of_it(phantom, tmp_path):
    folder = keep(phantom, tmp_path / "kept")
    assert not (folder / "reliability.parquet").exists()
    assert read_calibration(folder, phantom.dataset.cases[0]) is None


@pytest.mark.parametrize("rest", [0, 100])
def test_damaged_calibration_is_said_so(phantom, tmp_path, rest):
    calibrated(phantom, tmp_path / "kept")
    path = tmp_path / "kept" / "reliability.parquet"
    path.write_bytes(path.read_bytes()[:rest])
    with pytest.raises(DataError, match=r"reliability.parquet: cannot be read: "):
        read_calibration(tmp_path / "kept", phantom.dataset.cases[0])


def test_columns_of_something_else_are_no_calibration(phantom, tmp_path):
    folder = keep(phantom, tmp_path / "kept")
    case = phantom.dataset.cases[0]
    table = pyarrow.table({"case": [case.id], "label": ["LV"], "bin": [1]})
    pyarrow.parquet.write_table(table, folder / "reliability.parquet")
    with pytest.raises(DataError, match="rows are not those of a case's calibration"):
        read_calibration(folder, case)


def volume(values, affine, kind=nibabel.Nifti1Image, qform=False, units="mm"):
    image = kind(values, affine)
    image.header.set_xyzt_units(units)
    if qform:
        image.set_qform(affine, code="scanner")
        image.set_sform(None, code="unknown")
    return image


def odd(values):
    """Volumes of all sorts of geometry, by case."""
    values = {
        name: values() for name in ("flip", "turn", "qform", "second", "none", "metre", "single", "unlike")
    }
    flip = np.diag([-1.5, 1.25, -8, 1])
    rigid = nibabel.quaternions.quat2mat([0.5, 0.5, -0.5, 0.5]) @ np.diag([1.5, 1.25, -8])
    shifted = nibabel.affines.from_matvec(rigid, [3, 4, 5])
    found = {
        "flip": volume(values["flip"], flip),
        "turn": volume(values["turn"], TURN),
        "qform": volume(values["qform"], shifted, qform=True),
        "second": volume(values["second"], TURN + 1e-12, nibabel.Nifti2Image),
        "none": volume(values["none"], None),
        "metre": volume(values["metre"], np.diag([0.0015, 0.002, 0.008, 1]), units="meter"),
        "single": volume(values["single"][..., None], TURN),
        # Both forms are there and say different things, as do the voxel sizes of the first.
        "unlike": volume(values["unlike"], np.eye(4)),
    }
    found["unlike"].set_qform(shifted, code="scanner")
    found["unlike"].header["descrip"] = b"a patient's name"
    return found


def write_odd(layout, root):
    """Writes volumes of all sorts of geometry in a layout of one's own data."""
    rng = np.random.default_rng(0)
    folders = {"folder": ("images", "masks")}.get(layout, ("imagesTr", "labelsTr"))
    tail = "_0000" if layout == "nnunet" else ""
    labels = odd(lambda: rng.integers(0, 3, (9, 7, 4), np.uint8))
    for folder, images, end in zip(
        folders, (odd(lambda: rng.normal(size=(9, 7, 4))), labels), (tail, ""), strict=True
    ):
        (root / folder).mkdir(parents=True)
        for name, image in images.items():
            nibabel.save(image, root / folder / f"{name}{end}.nii.gz")
    listing = [{"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"} for name in labels]
    description = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "a": 1, "b": 2}}
    if layout != "folder":
        description |= {"training": listing} if layout == "decathlon" else {"file_ending": ".nii.gz"}
        (root / "dataset.json").write_text(json.dumps(description))


def own_task(layout="nnunet", **settings):
    given = {"name": "mine", "dataset": "mine", "format": layout, "labels": {"b": 2, "a": 1}}
    return TaskSpec(**given | {"image_size": (8, 8)} | settings)


@pytest.mark.parametrize("layout", ["nnunet", "decathlon", "folder"])
def test_odd_geometries_are_kept_to_the_bit(layout, tmp_path):
    write_odd(layout, tmp_path / "data")
    data = opened(own_task(layout), tmp_path / "data", tmp_path / "cache")
    folder = keep(data, tmp_path / "kept")
    assert len(data.dataset.cases) == 8
    for case in data.dataset.cases:
        path = folder / f"{case.id}.nii.gz"
        assert_same_file(path, case.label)
        assert b"patient" not in gzip.decompress(path.read_bytes())
        np.testing.assert_array_equal(
            read_prediction(folder, case, data.task), data.prepared.reference(case.id)
        )


def test_a_label_of_another_byte_order_and_scale(tmp_path):
    write_odd("folder", tmp_path / "data")
    for path in (tmp_path / "data" / "masks").iterdir():
        if path.name != "turn.nii.gz":
            path.unlink()
            (tmp_path / "data" / "images" / path.name).unlink()
    path = tmp_path / "data" / "masks" / "turn.nii.gz"
    values = np.asarray(nibabel.load(path).dataobj)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(values.astype(np.int16) * 2, TURN, header)
    image.header.set_slope_inter(0.5, 0)
    nibabel.save(image, path)
    assert nibabel.load(path).header.endianness == ">"
    data = opened(own_task("folder"), tmp_path / "data", tmp_path / "cache")
    found = nibabel.load(keep(data, tmp_path / "kept") / "turn.nii.gz")
    np.testing.assert_array_equal(found.affine, nibabel.load(path).affine)
    np.testing.assert_array_equal(np.asarray(found.dataobj), values)


def test_a_header_that_tools_would_mend_is_kept_as_it_is_in_silence(tmp_path, capfd):
    write_odd("folder", tmp_path / "data")
    path = tmp_path / "data" / "masks" / "flip.nii.gz"
    block = bytearray(gzip.decompress(path.read_bytes()))
    block[76:80] = bytes(4)  # the first of pixdim: 0 instead of the sign of the third axis
    path.write_bytes(gzip.compress(bytes(block)))
    data = opened(own_task("folder"), tmp_path / "data", tmp_path / "cache")
    found = gzip.decompress((keep(data, tmp_path / "kept") / "flip.nii.gz").read_bytes())
    assert found[76:108] == bytes(block[76:108])
    assert capfd.readouterr() == ("", "")


def write_pages(root, kind, values):
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
        for number in (1, 2):
            planes = [Image.fromarray(plane) for plane in values]
            planes[0].save(root / folder / f"c{number}.{kind}", save_all=True, append_images=planes[1:])


def test_a_volume_that_is_no_nifti_gets_its_spacing(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (3, 6, 5), np.uint8)
    write_pages(tmp_path / "data", "tif", values)
    task = own_task("folder", file_spacing_mm=(8.0, 1.5, 1.25))
    data = opened(task, tmp_path / "data", tmp_path / "cache")
    found = nibabel.load(keep(data, tmp_path / "kept") / "c1.nii.gz")
    np.testing.assert_array_equal(found.affine, np.diag([1.25, 1.5, 8.0, 1]))
    assert found.header.get_zooms() == (1.25, 1.5, 8.0)
    np.testing.assert_array_equal(np.asarray(found.dataobj), values.T)


@pytest.mark.parametrize(
    ("value", "ending", "kind"), [(300, ".png", "<u2"), (70000, ".nii.gz", "<i4"), (-1, ".nii.gz", "<i4")]
)
def test_values_beyond_8_bits(value, ending, kind, tmp_path):
    write_pages(tmp_path / "data", "png", np.random.default_rng(0).integers(0, 3, (1, 6, 5), np.uint8))
    data = opened(own_task("folder", unit="px"), tmp_path / "data", tmp_path / "cache")
    data.task = data.task.model_copy(update={"labels": {"b": 2, "a": value}})
    folder = keep(data, tmp_path / "kept")
    case = data.dataset.cases[0]
    assert {path.name for path in folder.iterdir()} == {"index.json", f"c1{ending}", f"c2{ending}"}
    np.testing.assert_array_equal(read_prediction(folder, case, data.task), data.prepared.reference(case.id))
    values = np.array([0, 2, value])[data.prepared.reference(case.id)]
    if ending == ".png":
        found = np.asarray(Image.open(folder / "c1.png"))
    else:
        found = np.asarray(nibabel.load(folder / "c1.nii.gz").dataobj).T
    assert found.dtype == kind
    np.testing.assert_array_equal(found, values)


def test_any_id_becomes_a_name_of_its_own(phantom, tmp_path):
    ids = [
        "a/b",
        "a%2Fb",
        "a%2fb",
        "..",
        ".hidden",
        "Jürgen visit 1",
        'x<>:"|?*\\y',
        "new\nline",
        "lost\udcff",
        "C.1.",
    ]
    case = phantom.dataset.cases[0]
    prepared = replace(phantom.prepared, entries=dict.fromkeys(ids, phantom.prepared.entries[case.id]))
    with PredictionWriter(tmp_path / "kept", phantom.task, phantom.dataset, prepared) as kept:
        for number, name in enumerate(ids):
            labels = np.zeros(case.shape, np.uint8)
            labels.ravel()[number] = 1
            kept.write(replace(case, id=name), labels, "validation")
        kept.commit()
    names = [path.name for path in (tmp_path / "kept").iterdir()]
    assert len(names) == len(ids) + 1
    assert not any(set(name) & set('/\\<>:"|?*\n') or name.startswith(".") for name in names)
    assert f"Jürgen visit 1{'.nii.gz' if len(case.shape) == 3 else '.png'}" in names
    for number, name in enumerate(ids):
        back = read_prediction(tmp_path / "kept", replace(case, id=name), phantom.task)
        assert np.flatnonzero(back).tolist() == [number]
    assert list(json.loads((tmp_path / "kept" / "index.json").read_text())["cases"]) == ids


def test_nothing_appears_before_commit_and_nothing_stays_without_it(phantom, tmp_path):
    case = phantom.dataset.cases[0]
    with writer(phantom, tmp_path / "kept") as kept:
        kept.write(case, phantom.prepared.reference(case.id), "test")
        assert not (tmp_path / "kept").exists()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_folder_is_replaced_and_what_a_killed_writer_left_is_removed(phantom, tmp_path):
    case, other = phantom.dataset.cases[:2]
    keep(phantom, tmp_path / "kept", number=1)
    writer(phantom, tmp_path / "kept").write(case, phantom.prepared.reference(case.id), "test")
    beside = writer(phantom, tmp_path / "kept-b")
    assert len(list(tmp_path.iterdir())) == 3
    with writer(phantom, tmp_path / "kept") as kept:
        kept.write(other, phantom.prepared.reference(other.id), "test")
        assert json.loads((tmp_path / "kept" / "index.json").read_text())["trial"] == {"number": 1}
        kept.commit({"number": 2})
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {
        "index.json",
        file_name(other, phantom.task),
    }
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o755
    beside.commit()
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "kept-b"}


def test_a_folder_of_something_else_is_left_alone(phantom, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match=r"it holds something else than predictions \(no index.json\)$"):
        writer(phantom, tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_disk_that_fails_is_said_so(phantom, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^predictions cannot be kept: .*file.*: "):
        writer(phantom, tmp_path / "file" / "kept")
    keep(phantom, tmp_path / "kept", number=1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    case = phantom.dataset.cases[0]
    kept = writer(phantom, tmp_path / "kept")
    with monkeypatch.context() as patch, kept:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            StorageError, match=r"^predictions cannot be kept: .*/kept: No space left on device$"
        ):
            kept.write(case, phantom.prepared.reference(case.id), "test")
        with pytest.raises(StorageError, match="No space left"):
            kept.commit()
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "file"}
    assert read_prediction(tmp_path / "kept", case, phantom.task).shape == case.shape


def test_a_failed_exchange_leaves_the_earlier_folder(phantom, tmp_path):
    keep(phantom, tmp_path / "kept", number=1)
    kept = writer(phantom, tmp_path / "kept")
    kept.commit({"number": 2})
    with pytest.raises(StorageError):
        kept.commit({"number": 3})
    kept = writer(phantom, tmp_path / "kept")
    rename, calls = Path.rename, []

    def failing(path, target):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.EIO, "disk fails")
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(StorageError, match="disk fails"):
            kept.commit({"number": 4})
    assert json.loads((tmp_path / "kept" / "index.json").read_text())["trial"] == {"number": 2}


def test_what_does_not_fit_is_refused(phantom, tmp_path):
    case = phantom.dataset.cases[0]
    reference = phantom.prepared.reference(case.id)
    with writer(phantom, tmp_path / "kept") as kept:
        with pytest.raises(ValueError, match=r"^prediction of '.*' must have shape \("):
            kept.write(case, reference[1:], "test")
        with pytest.raises(ValueError, match=r"and classes below \d, has .* and classes up to 200$"):
            kept.write(case, np.full_like(reference, 200), "test")
        kept.write(case, reference, "test")
        with pytest.raises(ValueError, match=r"was written before$"):
            kept.write(case, reference, "test")
        kept.commit()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_prediction(tmp_path / "kept", replace(case, id="another"), phantom.task)


def subset(kind, root):
    """Copies a few cases of the real data: hashing and preparing all of them takes seconds."""
    source = SHARED / kind
    if not source.is_dir():
        pytest.skip(f"no real data at <repository>/../shared/data/{kind}")
    if kind == "acdc":
        for patient in sorted(source.glob("database/*/patient*"))[:2]:
            shutil.copytree(patient, root / patient.relative_to(source))
    else:
        for path in sorted(source.glob("*/COVID/*/COVID-1*.png")):
            (root / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to(source))
    return root


@pytest.mark.parametrize("kind", ["acdc", "covid"])
def test_real_labels(kind, tmp_path):
    task = TASKS.load({"acdc": "acdc-multiclass", "covid": "covid-lung"}[kind])
    task = task.model_copy(update={"image_size": (32, 32)})
    root = resolve_root(task, {kind: subset(kind, tmp_path / "data")}, tmp_path)
    data = opened(task, root, tmp_path / "cache")
    folder = keep(data, tmp_path / "kept")
    assert len(data.dataset.cases) >= 4
    for case in data.dataset.cases:
        np.testing.assert_array_equal(read_prediction(folder, case, task), data.prepared.reference(case.id))
        if kind == "acdc":
            assert_same_file(folder / f"{case.id}.nii.gz", case.label)
        else:
            found = np.asarray(Image.open(folder / f"{case.id}.png"))
            np.testing.assert_array_equal(found, np.asarray(Image.open(case.label))[..., 0])
