import json
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.plan import probe as client
from bench.plan.probe import Request, probe

# Stands in for the real subprocess: dies over "dies", is cut off in mid-line over "cut", counts its starts.
SERVER = """
import json, os, sys
with open(os.environ["PROBE_LOG"], "a") as log:
    requests = json.load(sys.stdin)
    log.write(json.dumps([r["name"] for r in requests]) + "\\n")
sys.stdout.write("\\n")
for r in requests:
    if r["name"] == "dies":
        sys.stderr.write("Segmentation fault\\n")
        sys.stdout.flush()
        os._exit(139)
    if r["name"] == "cut":
        sys.stdout.write('{"ok": true, "opt')
        sys.stdout.flush()
        os._exit(1)
    ok = r["name"] != "bad"
    problems = [] if ok else [{"where": "model", "message": "bad"}]
    line = {"ok": ok, "options": {**r["options"], "default": 1}, "parameters": 7, "problems": problems}
    sys.stdout.write(json.dumps(line) + "\\n")
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    server = tmp_path / "server.py"
    server.write_text(SERVER)
    monkeypatch.setattr(client, "COMMAND", (sys.executable, str(server)))
    monkeypatch.setenv("PROBE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def asked(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def request(name: str, size: int = 32, **options: object) -> Request:
    return Request("model", name, dict(options), 1, 4, (size, size))


def test_one_subprocess_answers_everything_and_is_not_asked_twice(log: Path, tmp_path: Path) -> None:
    questions = [request("unet"), request("unet", width=3), request("unet"), request("resunet")]
    first = probe(questions, tmp_path)
    assert asked(log) == [["unet", "unet", "resunet"]]
    assert first[questions[1].key].options == {"width": 3, "default": 1}
    assert first[questions[1].key].parameters == 7
    assert probe(questions, tmp_path) == first
    assert len(asked(log)) == 1
    probe([request("unet", size=64)], tmp_path)
    assert asked(log)[1:] == [["unet"]]


def test_other_code_or_another_torch_asks_again(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe([request("unet")], tmp_path)
    monkeypatch.setattr(client, "code_fingerprint", lambda: "other")
    probe([request("unet")], tmp_path)
    monkeypatch.setattr(client, "version", lambda name: "9.9")
    probe([request("unet")], tmp_path)
    probe([request("unet")], tmp_path)
    assert len(asked(log)) == 3


def test_components_from_elsewhere_are_asked_about_each_time(log: Path, tmp_path: Path) -> None:
    for _ in range(2):
        probe([request("mine:Net"), request("unet")], tmp_path)
    assert asked(log) == [["mine:Net", "unet"], ["mine:Net"]]


def test_components_that_read_a_file_of_weights_are_asked_about_each_time(log: Path, tmp_path: Path) -> None:
    for _ in range(2):
        probe([request("unet", pretrained="weights.pth"), request("resunet", pretrained=None)], tmp_path)
    assert asked(log) == [["unet", "resunet"], ["unet"]]


def test_a_loss_with_levels_is_another_question(log: Path, tmp_path: Path) -> None:
    plain = Request("loss", "dice", {}, 1, 4, (32, 32))
    deep = Request("loss", "dice", {}, 1, 4, (32, 32), ((32, 32), (16, 16)))
    assert deep.to_json()["levels"] == [[32, 32], [16, 16]]
    probe([plain, deep], tmp_path)
    probe([deep, plain], tmp_path)
    assert asked(log) == [["dice", "dice"]]


def test_refusals_are_not_kept(log: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert not probe([request("bad")], tmp_path)[request("bad").key].ok
    assert len(asked(log)) == 2


@pytest.mark.parametrize("text", ["", "{", '{"ok": 1}', "null"])
def test_a_damaged_cache_is_as_good_as_none(log: Path, tmp_path: Path, text: str) -> None:
    probe([request("unet")], tmp_path)
    (kept,) = (tmp_path / "probe").iterdir()
    kept.write_text(text)
    assert probe([request("unet")], tmp_path)[request("unet").key].ok
    assert len(asked(log)) == 2


def test_a_cache_that_cannot_be_written_is_done_without(log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert probe([request("unet")], tmp_path / "file")[request("unet").key].ok


@pytest.mark.parametrize("name", ["dies", "cut"])
def test_a_component_that_ends_the_process_is_named_and_the_others_are_still_asked(
    log: Path, tmp_path: Path, name: str
) -> None:
    answers = probe([request("unet"), request(name), request("resunet"), request("bad")], tmp_path)
    assert [answers[request(n).key].ok for n in ("unet", name, "resunet", "bad")] == [
        True,
        False,
        True,
        False,
    ]
    message = answers[request(name).key].problems[0].message
    assert message.startswith(f"building {name} ended the process that tried it (exit status ")
    assert name == "cut" or message.endswith(": Segmentation fault")
    assert asked(log) == [["unet", name, "resunet", "bad"], ["resunet", "bad"]]


def test_a_signal_is_named() -> None:
    assert client._how(3) == "exit status 3"
    assert client._how(-11) == "signal 11, Segmentation fault"


def test_a_subprocess_that_cannot_start_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COMMAND", (sys.executable, "-c", "import no_such_torch"))
    with pytest.raises(
        BenchError, match=r"cannot be checked.*\(exit status 1\).*No module named 'no_such_torch'"
    ):
        probe([request("unet")], tmp_path)


def test_a_component_that_never_answers(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, time; print(); sys.stdout.flush(); time.sleep(60)"
    monkeypatch.setattr(client, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(client, "TIMEOUT_S", 0.5)
    answers = probe([request("unet")], tmp_path)
    assert "no answer within 0.5 s" in answers[request("unet").key].problems[0].message


def test_no_questions_start_nothing(log: Path, tmp_path: Path) -> None:
    assert probe([], tmp_path) == {}
    assert asked(log) == []
