"""Data: find, index, split, prepare, load. Imports no torch; `medseg.data.augment` does."""

from medseg.data.build import prepare
from medseg.data.cache import cache_dir
from medseg.data.case import Case, DataSet
from medseg.data.index import index_dataset, resolve_root
from medseg.data.load import load_image, load_label
from medseg.data.prepared import Prepared
from medseg.data.splits import Split, make_split

__all__ = [
    "Case",
    "DataSet",
    "Prepared",
    "Split",
    "cache_dir",
    "index_dataset",
    "load_image",
    "load_label",
    "make_split",
    "prepare",
    "resolve_root",
]
