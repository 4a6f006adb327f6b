"""Tables of names."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import medseg.registry
from medseg.errors import RegistryError, UnknownNameError
from medseg.registry import Registry


@pytest.fixture
def table() -> Registry:
    return Registry("shape", {"round": "math:pi", "square": "math:e"}, "medseg.tests.shapes")


def test_loads_what_a_name_stands_for(table):
    import math

    assert table.load("round") == math.pi
    assert table.load("math:tau") == math.tau
    assert table.names() == ("round", "square")


def test_unknown_name_lists_the_nearest_and_all_choices(table):
    with pytest.raises(UnknownNameError, match=r"unknown shape 'squar', did you mean 'square'\?") as caught:
        table.load("squar")
    assert "(choices: round, square)" in str(caught.value)


def test_unknown_name_far_from_all_gets_no_guess(table):
    with pytest.raises(UnknownNameError, match=r"unknown shape 'zzz' \(choices: round, square\)"):
        table.load("zzz")


def test_a_name_cannot_be_registered_twice(table):
    table.register("flat", "math:inf")
    with pytest.raises(RegistryError, match="shape 'flat' is already registered as math:inf"):
        table.register("flat", "math:nan")


@pytest.mark.parametrize("path", ["no_such_module_here:thing", "math:no_such_attribute"])
def test_target_that_cannot_be_imported_names_the_path(table, path):
    table.register("broken", path)
    with pytest.raises(RegistryError, match=f"shape 'broken' cannot be imported from {path}"):
        table.load("broken")


def test_installed_packages_add_names_but_cannot_replace_them(monkeypatch):
    group = "medseg.tests.shapes"
    points = [EntryPoint("oval", "math:tau", group)]
    monkeypatch.setattr(medseg.registry, "entry_points", lambda *, group: points)
    assert Registry("shape", {}, group).path("oval") == "math:tau"
    with pytest.raises(RegistryError, match="shape 'oval' is defined twice: math:e and math:tau"):
        Registry("shape", {"oval": "math:e"}, group).names()


@pytest.mark.parametrize("package", ["models", "losses", "metrics"])
def test_tables_can_be_read_without_importing_torch(package):
    code = f"import sys, medseg.{package}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_builtin_name_loads():
    from medseg.losses import LOSSES
    from medseg.metrics import METRICS
    from medseg.models import MODELS

    for registry in (MODELS, LOSSES, METRICS):
        for name in registry.names():
            registry.load(name)
