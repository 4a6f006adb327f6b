import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.data import Case, DataSet, index_dataset, load_image, load_label, prepare
from medseg.data.geometry import Geometry, place
from medseg.data.prepared import Entry, Prepared, _label_to_network, preprocess
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
        reference = load_label(case, task)
        assert decided.shape == reference.shape
        pairs = [(decided == k, reference == k) for k in range(1, task.classes)]
        scores.append([2 * (p & r).sum() / max(1, p.sum() + r.sum()) for p, r in pairs])
    return np.array(scores)


def test_arrays_hold_every_slice_normalised(cardiac, cache):
    prepared = prepare(cardiac.task, cardiac, cache)
    depth = sum(case.shape[0] for case in cardiac.cases)
    assert (prepared.images.shape, prepared.images.dtype) == ((depth, 1, 64, 64), np.float32)
    assert (prepared.labels.shape, prepared.labels.dtype) == ((depth, 64, 64), np.uint8)
    assert set(np.unique(prepared.labels)) == {0, 1, 2, 3}
    parts = [prepared.slices(case.id) for case in cardiac.cases]
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    case = cardiac.cases[0]
    assert prepared.spacing_mm(case.id) == case.spacing_mm == load_image(case)[1]
    assert len(prepared.spacing_mm(case.id)) == load_label(case, cardiac.task).ndim


def test_an_image_is_scaled_by_its_own_mean_and_spread(cardiac):
    case = cardiac.cases[0]
    task = cardiac.task.model_copy(
        update={"image_size": case.shape[1:], "spacing_mm": case.spacing_mm[1:]},
    )
    image, label = preprocess(task, case, place(task, case.shape, case.spacing_mm))
    raw = load_image(case)[0].astype(np.float64)
    np.testing.assert_allclose(image, (raw - raw.mean()) / raw.std(), atol=1e-4)
    np.testing.assert_array_equal(label, load_label(case, task))


def test_a_constant_image_becomes_zeros(write_nifti, tmp_path):
    image = write_nifti(tmp_path / "a.nii.gz", np.full((8, 8, 2), 7, np.int16))
    label = write_nifti(tmp_path / "b.nii.gz", np.zeros((8, 8, 2), np.uint8))
    task = TASKS.load("acdc-multiclass")
    case = Case("c", "p", "", "", image, label, "", (2, 8, 8), (8.0, 1.4, 1.5))
    prepared, _ = preprocess(task, case, place(task, case.shape, case.spacing_mm))
    np.testing.assert_array_equal(prepared, 0.0)


def test_arrays_are_read_only_and_made_once(cardiac, cache, monkeypatch):
    first = prepare(cardiac.task, cardiac, cache)
    with pytest.raises(ValueError, match="read-only"):
        first.images[0] = 0
    monkeypatch.setattr("medseg.data.prepared._build", None)
    again = prepare(cardiac.task, cardiac, cache)
    assert again.path == first.path
    np.testing.assert_array_equal(again.images, first.images)


def test_the_same_data_prepare_to_the_same_bits(cardiac, cache, tmp_path):
    first, second = prepare(cardiac.task, cardiac, cache), prepare(cardiac.task, cardiac, tmp_path)
    for name in ("images.npy", "labels.npy", "index.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"image_size": (48, 64)}, {"spacing_mm": (2.0, 2.0)}, {"labels": {"LV": 3, "RV": 1}}],
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
    network = _label_to_network(label, 4, geometry)
    assert set(np.unique(network)) == {0, 2, 3}
    entry = Entry(0, 1, (1, rows, columns), (8.0, native_mm, native_mm), geometry)
    prepared = Prepared(None, network, network, (), {"c": entry})  # type: ignore[arg-type]
    back = prepared.to_native("c", one_hot(network, 4)).argmax(axis=0)
    for index in (2, 3):
        overlap = 2 * ((back == index) & (label == index)).sum()
        assert overlap / ((back == index).sum() + (label == index).sum()) >= 0.97


def test_a_bad_label_stops_preparation_and_leaves_nothing(write_acdc, write_nifti, tmp_path):
    task = TASKS.load("acdc-multiclass")
    root = write_acdc(tmp_path)
    path = root / "database/training/patient002/patient002_frame12_gt.nii.gz"
    write_nifti(path, np.full((12, 10, 3), 9, np.uint8))
    dataset = index_dataset(task, root, tmp_path / "cache")
    with pytest.raises(DataError, match=r"patient002_frame12_gt\.nii\.gz: label values must be in"):
        prepare(task, dataset, tmp_path / "cache")
    assert list((tmp_path / "cache" / "prepared").iterdir()) == []


@pytest.mark.parametrize("name", ["images.npy", "index.json"])
def test_damaged_arrays_are_refused(lung, tmp_path, name):
    path = prepare(lung.task, lung, tmp_path).path / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"prepared data are damaged .*remove the folder"):
        prepare(lung.task, lung, tmp_path)


def test_more_channels_than_the_format_has_are_refused(lung, cache):
    task = lung.task.model_copy(update={"channels": 3})
    with pytest.raises(DataError, match="images have 1 channel, the task declares 3"):
        prepare(task, lung, cache)
