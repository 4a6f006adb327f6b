"""Facts about files, remembered so that looking again is instant: content hash, shape, spacing."""

import gzip
import hashlib
import json
import math
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medseg.data.cache import write_atomically
from medseg.errors import DataError

FACTS_VERSION = 1


@dataclass(frozen=True)
class FileFacts:
    """What indexing needs to know of a file.

    Args:
        sha256: Hash of the content.
        shape: (Z, H, W) of a NIfTI file, (H, W) of a picture, empty for other files.
        spacing_mm: In the order of `shape`; ones for a picture, which carries none.
    """

    sha256: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]


class FactCache:
    """Facts of the files below a root, kept in one JSON file and trusted while size and time stay.

    Args:
        root: Folder of the data set.
        cache_dir: Where the facts are kept.
    """

    def __init__(self, root: Path, cache_dir: Path):
        key = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        self._path = cache_dir / "facts" / f"{key}.json"
        self._known = _read(self._path)
        self._changed = False

    def facts(self, path: Path) -> FileFacts:
        """Returns the facts of a file, reading it only if it changed since.

        Raises:
            DataError: If it is not what its name says; one line without the path.
        """
        try:
            stat = path.stat()
            stamp = [stat.st_size, stat.st_mtime_ns]
            known = self._known.get(str(path))
            if known is not None and known["stamp"] == stamp:
                return FileFacts(known["sha256"], tuple(known["shape"]), tuple(known["spacing_mm"]))
            shape, spacing_mm = read_header(path)
            with path.open("rb") as file:
                found = FileFacts(hashlib.file_digest(file, "sha256").hexdigest(), shape, spacing_mm)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from error
        self._known[str(path)] = {"stamp": stamp} | asdict(found)
        self._changed = True
        return found

    def save(self) -> None:
        """Writes what was learned.

        Raises:
            DataError: If the cache folder cannot be written.
        """
        if not self._changed:
            return
        try:
            write_atomically(self._path, json.dumps({"version": FACTS_VERSION, "files": self._known}))
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {error.strerror or error}") from error


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    usable = isinstance(content, dict) and content.get("version") == FACTS_VERSION
    return dict(content["files"]) if usable else {}


def read_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Reads shape and spacing without the pixels.

    Returns:
        Shape and spacing, slowest axis first: (Z, H, W) for NIfTI (whose files store X, Y, Z), (H, W) for a
        picture. Both empty for files that are neither.

    Raises:
        DataError: If the file is not what its name says; one line without the path.
        OSError: If the file cannot be opened.
    """
    if path.name.endswith((".nii.gz", ".nii")):
        return _nifti_header(path)
    if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
        return _picture_header(path)
    return (), ()


def _nifti_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if path.is_dir():
        raise DataError("is a folder, not a NIfTI file")
    try:
        header = nibabel.load(path).header
        shape = tuple(int(n) for n in header.get_data_shape())
        # The affines of ACDC are not trustworthy for spacing; the voxel sizes are.
        zooms = tuple(round(float(z), 6) for z in header.get_zooms())
    except (ImageFileError, HeaderDataError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"is not a readable NIfTI file ({_one_line(error)})") from error
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"must have three axes, has shape {shape}")
    if not all(math.isfinite(z) and z > 0 for z in zooms):
        raise DataError(f"must have positive voxel sizes, has {zooms}")
    return shape[::-1], zooms[::-1]


def _picture_header(path: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except UnidentifiedImageError as error:
        raise DataError("is not a readable picture (unknown format)") from error
    return (height, width), (1.0, 1.0)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
