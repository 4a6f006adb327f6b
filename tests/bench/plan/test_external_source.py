import subprocess
import sys
from importlib import invalidate_caches

import pytest

from bench.plan.identity import external_source
from bench.plan.source import _defining, _distributions


def test_our_own_parts_are_left_to_the_code_fingerprint():
    assert external_source("medseg.models.unet:UNet") is None


def test_another_version_of_a_plug_in_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a_plug_in_of_mine.py"
    path.write_text("class Net: width = 1\n")
    first = external_source("a_plug_in_of_mine:Net")
    path.write_text("class Net: width = 2\n")
    assert first != external_source("a_plug_in_of_mine:Net")
    assert "a_plug_in_of_mine" not in sys.modules


@pytest.mark.parametrize("path", ["no_such_module_anywhere:Net", "sys:path"])
def test_what_has_no_source_file_has_no_hash(path):
    assert external_source(path) is None


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns a function that writes files below a folder on the path, and what `external_source` then says."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files, path="acme_nets.models:Net"):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        invalidate_caches()
        return external_source(path)

    return write


FILES = {
    "acme_nets/__init__.py": "",
    "acme_nets/models.py": "from .networks import Net\nfrom acme_nets import other\n",
    "acme_nets/networks.py": "import torch\nfrom acme_blocks import Block\nclass Net(Block): pass\n",
    "acme_nets/other.py": "raise RuntimeError('imported')\n",
    "acme_nets/unused.py": "",
    "acme_blocks.py": "def later():\n    import acme_late\nclass Block: pass\n",
    "acme_late.py": "",
}


@pytest.mark.parametrize("changed", [name for name in FILES if "unused" not in name])
def test_every_file_that_ones_own_code_imports_counts(package, changed):
    before = package(FILES)
    assert package({changed: FILES[changed] + "# another\n"}) != before
    assert package(FILES) == before


def test_files_that_are_not_imported_do_not_count(package):
    assert package(FILES) == package({"acme_nets/unused.py": "x = 1\n"})


def test_where_the_code_lies_does_not_count(tmp_path, monkeypatch):
    hashes = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "acme_moved.py").write_text("class Net: pass\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / folder)
            invalidate_caches()
            hashes.append(external_source("acme_moved:Net"))
    assert hashes[0] == hashes[1] is not None


def test_broken_and_circular_code_has_a_hash_all_the_same(package):
    assert package({"acme_bad.py": "def half(:\n"}, "acme_bad:Net")
    circle = {"acme_a.py": "from acme_b import *\n", "acme_b.py": "from acme_a import *\nfrom . import x\n"}
    assert package(circle, "acme_a:Net")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution in a folder of installed packages, whose package re-exports."""
    site = tmp_path / "site-packages"
    files = {
        "acme_lib/__init__.py": "",
        "acme_lib/nets/__init__.py": "try:\n    from .net import RealNet as Net\nfinally:\n    pass\n",
        "acme_lib/nets/net.py": "class _Net: pass\nRealNet = _Net\n",
        "acme_lib/nets/other.py": "",
        "acme_lib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-lib\nVersion: 1.0\n",
        "acme_lib-1.0.dist-info/top_level.txt": "acme_lib\n",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    monkeypatch.syspath_prepend(site)
    _distributions.cache_clear()
    yield site
    _distributions.cache_clear()


def test_an_installed_component_is_its_defining_file_and_the_packages_version(installed):
    def now():
        _distributions.cache_clear()
        invalidate_caches()
        return external_source("acme_lib.nets:Net")

    first = now()
    (installed / "acme_lib/nets/other.py").write_text("x = 1\n")
    assert now() == first
    (installed / "acme_lib/nets/net.py").write_text("class _Net: width = 1\nRealNet = _Net\n")
    second = now()
    assert second != first
    metadata = installed / "acme_lib-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    assert now() not in (first, second)
    assert not {name for name in sys.modules if name.startswith("acme_lib")}


def test_ones_own_code_counts_the_version_of_what_it_wraps(installed, package):
    files = {"acme_wrap.py": "from acme_lib.nets import Net\ndef make(): return Net()\n"}
    before = package(files, "acme_wrap:make")
    metadata = installed / "acme_lib-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    _distributions.cache_clear()
    assert package(files, "acme_wrap:make") != before


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("monai.networks.nets:SwinUNETR", "monai.networks.nets.swin_unetr"),
        ("monai.networks.nets:Unet", "monai.networks.nets.unet"),
        ("segmentation_models_pytorch:Unet", "segmentation_models_pytorch.decoders.unet.model"),
        ("torch.nn:CrossEntropyLoss", "torch.nn.modules.loss"),
    ],
)
def test_the_defining_module_is_found_through_re_exports(path, home):
    module, _, name = path.partition(":")
    assert _defining(module, name, set()) == home
    assert external_source(path)


def test_looking_for_sources_imports_nothing():
    code = (
        "import sys; from bench.plan.source import external_source\n"
        "assert external_source('monai.networks.nets:SwinUNETR')\n"
        "assert not {'monai', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
