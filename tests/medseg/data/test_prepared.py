import errno
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.data import DataSet, index_dataset, load_label, prepare
from medseg.data.geometry import Geometry
from medseg.data.prepared import ARRAYS, Entry, Prepared, open_prepared
from medseg.data.preprocess import label_to_network
from medseg.errors import DataError
from medseg.tasks import TASKS


def one_hot(labels: np.ndarray, channels: int) -> np.ndarray:
    classes = range(channels) if channels > 1 else [1]
    return np.stack([labels == index for index in classes], axis=1).astype(np.float32)


def dice_after_round_trip(prepared: Prepared, dataset: DataSet, task) -> np.ndarray:
    """Dice by case and label of the prepared label, brought back to the native grid."""
    scores = []
    for case in dataset.cases:
        back = prepared.to_native(
            case.id, one_hot(prepared.labels[prepared.slices(case.id)], task.out_channels)
        )
        decided = back.argmax(axis=0) if len(back) > 1 else (back[0] >= 0.5).astype(int)
        reference = load_label(case, task, dataset.values)
        assert decided.shape == reference.shape
        pairs = [(decided == k, reference == k) for k in range(1, task.classes)]
        scores.append([2 * (p & r).sum() / max(1, p.sum() + r.sum()) for p, r in pairs])
    return np.array(scores)


def test_arrays_hold_every_slice_normalised(cardiac, cache):
    prepared = prepare(cardiac.task, cardiac, cache)
    depth = sum(case.shape[0] for case in cardiac.cases)
    assert (prepared.images.shape, prepared.images.dtype) == ((depth, 1, 64, 64), np.float16)
    assert (prepared.labels.shape, prepared.labels.dtype) == ((depth, 64, 64), np.uint8)
    assert set(np.unique(prepared.labels)) == {0, 1, 2, 3}
    parts = [prepared.slices(case.id) for case in cardiac.cases]
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    case = cardiac.cases[0]
    assert prepared.spacing_mm(case.id) == case.spacing_mm
    wanted = [np.bincount(label.ravel(), minlength=4) for label in prepared.labels]
    np.testing.assert_array_equal(prepared.counts, wanted)


def test_native_labels_are_kept_as_they_are(cardiac, lung, cache):
    for dataset in (cardiac, lung):
        prepared = prepare(dataset.task, dataset, cache)
        for case in dataset.cases:
            reference = load_label(case, dataset.task, dataset.values)
            np.testing.assert_array_equal(prepared.reference(case.id), reference)
            assert prepared.reference(case.id).shape == case.shape


def test_arrays_are_read_only_and_made_once(cardiac, cache, monkeypatch):
    first = prepare(cardiac.task, cardiac, cache)
    with pytest.raises(ValueError, match="read-only"):
        first.images[0] = 0
    monkeypatch.setattr("medseg.data.build._build", None)
    again = prepare(cardiac.task, cardiac, cache)
    assert again.path == first.path
    np.testing.assert_array_equal(again.images, first.images)


def test_the_same_data_prepare_to_the_same_bits(cardiac, cache, tmp_path):
    first, second = prepare(cardiac.task, cardiac, cache), prepare(cardiac.task, cardiac, tmp_path)
    for name in (*ARRAYS, "index.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": (48, 64)},
        {"spacing_mm": (2.0, 2.0)},
        {"labels": {"LV": 3, "RV": 1}},
        {"clip_percentiles": (1.0, 99.0)},
        {"window": (0.0, 500.0)},
    ],
)
def test_other_preprocessing_has_other_arrays(cardiac, cache, change):
    base = prepare(cardiac.task, cardiac, cache)
    assert prepare(cardiac.task.model_copy(update=change), cardiac, cache).path != base.path


def test_what_does_not_change_the_arrays_shares_them(cardiac, cache):
    base = prepare(cardiac.task, cardiac, cache)
    renamed = cardiac.task.model_copy(update={"name": "other", "title": "x", "metrics": ("dice",)})
    assert prepare(renamed, cardiac, cache).path == base.path


def test_labels_in_another_order_are_numbered_anew(cardiac, cache):
    swapped = cardiac.task.model_copy(update={"labels": {"LV": 3, "MYO": 2, "RV": 1}})
    base, other = prepare(cardiac.task, cardiac, cache), prepare(swapped, cardiac, cache)
    assert other.path != base.path
    assert ((other.labels == 1) == (base.labels == 3)).mean() > 0.999


@pytest.mark.parametrize(("spacing", "size", "bar"), [(1.5, (128, 128), 0.97), (2.4, (64, 64), 0.94)])
def test_a_cardiac_label_survives_the_round_trip(cardiac, cache, spacing, size, bar):
    task = cardiac.task.model_copy(update={"spacing_mm": (spacing, spacing), "image_size": size})
    scores = dice_after_round_trip(prepare(task, cardiac, cache), cardiac, task)
    assert scores.mean(axis=0).min() >= bar


@pytest.mark.parametrize(("size", "bar"), [((256, 256), 1.0), ((64, 64), 0.97)])
def test_a_lung_label_survives_the_round_trip(lung, cache, size, bar):
    task = lung.task.model_copy(update={"image_size": size})
    prepared = prepare(task, lung, cache)
    assert dice_after_round_trip(prepared, lung, task).min() >= bar
    assert prepared.spacing_mm(lung.cases[0].id) == (1.0, 1.0)


def test_what_the_network_never_saw_is_certain_background(cardiac, cache):
    task = cardiac.task.model_copy(update={"image_size": (16, 16)})
    prepared = prepare(task, cardiac, cache)
    case = cardiac.cases[0]
    part = prepared.slices(case.id)
    certain_rv = np.zeros((part.stop - part.start, 4, 16, 16), np.float32)
    certain_rv[:, 1] = 1
    native = prepared.to_native(case.id, certain_rv)
    assert native.shape == (4, *case.shape)
    np.testing.assert_allclose(native.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(native[:, :, 0, 0], np.array([[1], [0], [0], [0]]) * np.ones(case.shape[0]))
    middle = (slice(None), case.shape[1] // 2, case.shape[2] // 2)
    np.testing.assert_allclose(native[1][middle], 1, atol=1e-6)
    one = prepared.to_native(case.id, certain_rv[:, 1:2])
    assert (one[0, :, 0, 0].max(), one[0][middle].min()) == (0, pytest.approx(1))


def test_probabilities_of_the_wrong_shape_are_refused(cardiac, cache):
    prepared = prepare(cardiac.task, cardiac, cache)
    with pytest.raises(ValueError, match=r"must have shape \(\d+, C, 64, 64\), got \(1, 4, 64, 64\)"):
        prepared.to_native(cardiac.cases[0].id, np.zeros((1, 4, 64, 64), np.float32))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(90, 140),
    columns=st.integers(90, 140),
    native_mm=st.floats(0.9, 1.9),
    ratio=st.floats(0.7, 1.15),
    radius=st.floats(18, 30),
)
def test_round_trip_keeps_nested_discs_and_adds_no_class(rows, columns, native_mm, ratio, radius):
    v, u = np.ogrid[:rows, :columns]
    rho = np.hypot(v - rows / 2.1, u - columns / 1.9)
    label = np.where(rho < radius * 0.6, 3, np.where(rho < radius, 2, 0)).astype(np.uint8)[None]
    size = (224, 224)
    geometry = Geometry((rows, columns), size, (ratio, ratio))
    network = label_to_network(label, 4, geometry)
    assert set(np.unique(network)) == {0, 2, 3}
    entry = Entry(0, 1, 0, (1, rows, columns), (8.0, native_mm, native_mm), geometry)
    prepared = Prepared(None, network, network, None, None, (), {"c": entry})
    back = prepared.to_native("c", one_hot(network, 4)).argmax(axis=0)
    for index in (2, 3):
        overlap = 2 * ((back == index) & (label == index)).sum()
        assert overlap / ((back == index).sum() + (label == index).sum()) >= 0.97


def test_bad_labels_stop_preparation_say_how_many_and_leave_nothing(write_acdc, write_nifti, tmp_path):
    task = TASKS.load("acdc-multiclass")
    root = write_acdc(tmp_path)
    for frame in ("01", "12"):
        path = root / f"database/training/patient002/patient002_frame{frame}_gt.nii.gz"
        write_nifti(path, np.full((12, 10, 3), 9, np.uint8))
    dataset = index_dataset(task, root, tmp_path / "cache")
    message = (
        r"patient002_frame01_gt\.nii\.gz: label values must be in .* \(and 1 more cases; bench data check"
    )
    with pytest.raises(DataError, match=message):
        prepare(task, dataset, tmp_path / "cache")
    assert [p for p in (tmp_path / "cache" / "prepared").iterdir() if p.is_dir()] == []


def test_no_space_left_is_one_line_and_loses_nothing_prepared(lung, tmp_path, monkeypatch):
    first = prepare(lung.task, lung, tmp_path)
    larger = lung.task.model_copy(update={"image_size": (96, 96)})
    real, written = os.pwrite, []

    def full(descriptor, data, offset):
        written.append(len(data))
        if sum(written) > 50_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(DataError, match=r"^cannot write .*: No space left on device$"):
        prepare(larger, lung, tmp_path)
    monkeypatch.undo()
    open_prepared(prepare(lung.task, lung, tmp_path).path, lung, thorough=True)
    assert [p.name for p in (tmp_path / "prepared").iterdir() if p.is_dir()] == [first.path.name]
    assert prepare(larger, lung, tmp_path).images.shape[2:] == (96, 96)


@pytest.mark.parametrize("name", ["images.npy", "references.npy", "index.json"])
def test_damaged_arrays_are_made_anew_and_the_log_says_so(lung, tmp_path, name, caplog):
    prepared = prepare(lung.task, lung, tmp_path)
    whole = (prepared.path / name).read_bytes()
    (prepared.path / name).write_bytes(whole[:50])
    again = prepare(lung.task, lung, tmp_path)
    assert "prepared data are damaged" in caplog.text
    assert (again.path / name).read_bytes() == whole
    open_prepared(again.path, lung, thorough=True)


def test_a_flipped_bit_is_found(lung, tmp_path):
    prepared = prepare(lung.task, lung, tmp_path)
    path = prepared.path / "labels.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match=r"damaged \(labels\.npy is not as it was written\)"):
        open_prepared(prepared.path, lung)
    assert (prepare(lung.task, lung, tmp_path).path / "labels.npy").read_bytes() == whole


def test_a_copied_cache_is_used_as_it_is(lung, tmp_path, monkeypatch):
    prepare(lung.task, lung, tmp_path / "here")
    for path in (tmp_path / "here").rglob("*.npy"):
        os.utime(path)
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)
    monkeypatch.setattr("medseg.data.build._build", None)
    open_prepared(prepare(lung.task, lung, tmp_path / "there").path, lung, thorough=True)


def test_progress_counts_cases(lung, tmp_path):
    seen = []
    prepare(lung.task, lung, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(n, len(lung.cases)) for n in range(1, len(lung.cases) + 1)]


def test_what_is_cut_off_is_counted(cardiac, lung, cache):
    assert prepare(lung.task, lung, cache).cut_share == 0
    small = cardiac.task.model_copy(update={"image_size": (16, 16)})
    prepared = prepare(small, cardiac, cache)
    seen = there = 0
    for case in cardiac.cases:
        certain = np.ones((case.shape[0], 1, 16, 16), np.float32)
        field = prepared.to_native(case.id, certain)[0] > 0
        reference = prepared.reference(case.id) > 0
        there, seen = there + reference.sum(), seen + (reference & field).sum()
    assert prepared.cut_share == pytest.approx(1 - seen / there)
    assert prepared.cut_share > 0.1


def test_some_slices_come_back_as_all_of_them_do(cardiac, cache):
    prepared = prepare(cardiac.task, cardiac, cache)
    case = cardiac.cases[0]
    part = prepared.slices(case.id)
    random = np.random.default_rng(0).random((part.stop - part.start, 4, 64, 64), dtype=np.float32)
    whole = prepared.to_native(case.id, random)
    pieces = [prepared.to_native(case.id, random[z : z + 2], first=z) for z in range(0, len(random), 2)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    with pytest.raises(ValueError, match="must have shape"):
        prepared.to_native(case.id, random[:, :, :5], first=0)


def test_a_flipped_bit_that_kept_its_time_is_found_by_a_thorough_look(lung, tmp_path):
    prepared = prepare(lung.task, lung, tmp_path)
    path = prepared.path / "references.npy"
    whole, stamp = path.read_bytes(), path.stat().st_mtime_ns
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(path, ns=(stamp, stamp))
    assert prepare(lung.task, lung, tmp_path).references[-1] == whole[-1] ^ 1
    assert prepare(lung.task, lung, tmp_path, thorough=True).references[-1] == whole[-1]
