import os
import socket
import sys
from pathlib import Path

import pytest
import ray
from ray._private import worker as ray_worker

from bench.errors import BenchError, EngineError
from bench.plan.source import loose_code
from bench.run import cluster
from bench.run.cluster import check_address, count_slots, ray_session
from bench.run.nodes import GIB, Node, Shape
from bench.suite.schema import Resources

NODE = Node("id", "host", 8.0, 2.0, 32.0 * GIB, frozenset({"a100"}))
ALIVE = {
    "NodeID": "id",
    "Alive": True,
    "NodeManagerHostname": "host",
    "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 32.0 * GIB, "accelerator_type:A100": 1.0},
    "Labels": {"hardware": "Rack-7", "ray.io/node-id": "id"},
}


def need(**extra) -> Resources:
    return Resources(**{"cpus": 1, "memory_gb": 1, **extra})


@pytest.fixture
def fake(monkeypatch):
    """Stands for Ray: remembers how it was started."""
    started = {}
    for name in (*cluster.QUIET, "PYTHONPATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "set by the user")
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(ray, "init", lambda **options: started.update(options))
    monkeypatch.setattr(ray, "nodes", lambda: [ALIVE, {**ALIVE, "Alive": False}])
    monkeypatch.setattr(ray, "shutdown", lambda: started.update(over=True))
    monkeypatch.setattr(ray_worker, "print_to_stdstream", ray_worker.print_to_stdstream)
    monkeypatch.setattr(cluster, "_knock", lambda address: None)
    monkeypatch.setattr(cluster, "ask_for", lambda shapes: started.update(asked=list(shapes)))
    return started


@pytest.mark.parametrize(
    ("extra", "slots"),
    [
        ({}, 8),
        ({"cpus": 3}, 2),
        ({"gpus": 0.25}, 8),
        ({"gpus": 0.5}, 4),
        ({"gpus": 2}, 1),
        ({"memory_gb": 10}, 3),
        ({"hardware": "A100"}, 8),
        ({"cpus": 4, "processes": 2, "gpus": 2, "memory_gb": 4}, 1),
    ],
)
def test_the_scarcest_resource_counts(extra, slots):
    assert count_slots([NODE], {"a": need(**extra)}) == slots


def test_nodes_add_up_and_trials_do_not_span_them():
    assert count_slots([NODE, NODE], {"a": need(cpus=5)}) == 2
    assert count_slots([NODE], {"a": need(), "b": need(cpus=4)}) == 2


@pytest.mark.parametrize("extra", [{"cpus": 64}, {"gpus": 4}, {"memory_gb": 500}, {"hardware": "H100"}])
def test_what_fits_nowhere_is_refused_instead_of_waiting_for_ever(extra):
    pattern = r"a trial of unet \+ ce needs .*, but no node has that: host \(a100\): 8 CPU cores, 2 GPUs"
    with pytest.raises(EngineError, match=pattern) as caught:
        count_slots([NODE, NODE], {"unet + ce": need(**extra)})
    assert not caught.value.goes_on
    assert count_slots([NODE], {"unet + ce": need(**extra)}, elastic=True) == 1


def test_our_own_ray_is_quiet_and_joins_nobody(fake):
    with ray_session(3, False) as session:
        assert fake["address"] == "local"
        assert (fake["num_cpus"], fake["include_dashboard"], fake["log_to_driver"]) == (3, False, False)
        assert session.nodes == [
            Node("id", "host", 8.0, 2.0, 32.0 * GIB, frozenset({"a100", "rack-7"})),
        ]
        assert session.demand is None
        assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == os.getcwd()
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "set by the user"
    assert fake["over"]
    assert "asked" not in fake


def test_a_cluster_gets_our_code_and_what_it_has_to_know(fake, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSEG_CACHE", "/fast/cache")
    monkeypatch.setenv("SECRET_OF_OTHERS", "x")
    (tmp_path / "lone_model.py").write_text("import lone_part\n")
    (tmp_path / "lone_part").mkdir()
    (tmp_path / "lone_part" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with ray_session(None, False, "10.0.0.5:6379", ["unet", "lone_model:Net", "torch.nn:CrossEntropyLoss"]):
        env = fake["runtime_env"]
    assert fake["address"] == "10.0.0.5:6379"
    assert "num_cpus" not in fake
    assert {Path(path).name for path in env["py_modules"]} == {
        "bench",
        "medseg",
        "lone_model.py",
        "lone_part",
    }
    assert all(Path(path).exists() for path in env["py_modules"])
    assert env["env_vars"]["MEDSEG_CACHE"] == "/fast/cache"
    assert "SECRET_OF_OTHERS" not in env["env_vars"]
    # What was asked of an autoscaler is taken back.
    assert fake["asked"] == []


@pytest.mark.parametrize("path", ["medseg.models.unet:UNet", "torch.nn:Conv2d", "nowhere_at_all:Net", "unet"])
def test_what_is_there_already_is_not_sent(path):
    assert loose_code(path) == set()


def test_what_ray_says_of_lost_nodes_is_kept_back_unless_asked_for(fake, capsys):
    lost = {
        "lines": ["two screens"],
        "pid": "raylet",
        "is_err": False,
        "ip": "",
        "job": "",
        "actor_name": None,
    }
    with ray_session(None, False):
        ray_worker.print_to_stdstream(lost, ignore_prefix=False)
    assert capsys.readouterr().out == ""


def test_a_ray_that_does_not_start_is_one_line(fake, monkeypatch):
    def fail(**options):
        raise ConnectionError("\nFailed to connect.\nmore")

    monkeypatch.setattr(ray, "init", fail)
    with (
        pytest.raises(EngineError, match=r"^Ray cannot be started \(Failed to connect\.\)$"),
        ray_session(1, False),
    ):
        pass
    with (
        pytest.raises(
            EngineError, match=r"--address auto: there is no Ray cluster to join .* RAY_AUTH_MODE=token"
        ),
        ray_session(None, False, "auto"),
    ):
        pass


def test_a_port_on_which_nobody_listens_is_said_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineError, match=f"--address {address}: nobody listens there"):
            cluster._knock(address)
        taken.listen()
        cluster._knock(address)
    cluster._knock("auto")


def test_rays_client_is_refused_with_what_to_do():
    with pytest.raises(BenchError, match=r"ray job submit .* bench run SUITE --address auto"):
        check_address("ray://head:10001")
    for address in (None, "auto", "head:6379"):
        check_address(address)


def test_ray_that_is_gone_is_said(monkeypatch):
    def gone():
        raise ConnectionError("GCS is unavailable")

    monkeypatch.setattr(ray, "nodes", gone)
    with pytest.raises(EngineError, match=r"Ray does not answer any more \(GCS is unavailable\)"):
        cluster.live_nodes()


def test_demand_is_in_parts_and_without_what_is_not_needed(monkeypatch):
    from ray.autoscaler import sdk

    asked = []
    monkeypatch.setattr(sdk, "request_resources", lambda bundles: asked.append(bundles))
    cluster.ask_for([Shape(2, 1.0, 0.5, GIB), Shape(1, 4.0, 0.0, GIB)])
    assert asked == [[{"CPU": 1.0, "GPU": 0.5}, {"CPU": 1.0, "GPU": 0.5}, {"CPU": 4.0}]]
