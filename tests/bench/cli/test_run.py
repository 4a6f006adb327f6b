"""What `bench run` takes and says, and its exit codes; what it does is tested in tests/bench/run/test_engine.py."""

import sys
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cli import run_command as module
from bench.cli.main import main
from bench.errors import EXIT_CODES
from bench.results import bucket
from bench.run import cluster, engine
from bench.run.policy import FailureLimit, Policy
from bench.run.summary import Spent, Summary

DONE = Summary(planned=16, ran=16, complete=16)
SUITE = """
suite: small
tasks: [phantom-lung, phantom-cardiac]
models: [unet, {name: unet, label: U-Net wide, options: {features: [32, 64]}}]
losses: [ce, dice]
"""


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Runs `bench run` on a suite of which nothing is planned or trained; returns code, output and what was asked."""
    (tmp_path / "small.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, summary: Summary = DONE, new: bool = True, run_suite=None):
        asked = SimpleNamespace(options=None, early=None)

        def plan(loaded, data, console, begin):
            begin()
            studies = [
                SimpleNamespace(
                    task=SimpleNamespace(name=task.title),
                    models=[SimpleNamespace(label=model.title, parameters=1)],
                    losses=[SimpleNamespace(label=loss.title)],
                    entry=f"{model.title} + {loss.title}",
                    constraints={},
                    budget=None,
                )
                for task, model, loss in product(loaded.suite.tasks, loaded.suite.models, loaded.suite.losses)
                if task.title == "phantom-lung" or loss.title == "ce"
            ]
            return SimpleNamespace(suite=loaded.suite, studies=studies)

        def done(plan, options, ray, console):
            asked.options, asked.early = options, ray.started
            return summary

        @contextmanager
        def session(cpus, verbose, address, components):
            asked.session = (cpus, verbose, address)
            yield "ray"

        if not new:
            (tmp_path / "results/small/trials").mkdir(parents=True)
            (tmp_path / "results/small/trials/a.parquet").touch()
        monkeypatch.setattr(module, "make_plan_of", plan)
        monkeypatch.setattr(engine, "run_suite", run_suite or done)
        monkeypatch.setattr(cluster, "ray_session", session)
        monkeypatch.setattr(sys, "argv", ["bench", "run", "small.yaml", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setenv("COLUMNS", "140")
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, output.out + output.err, asked

    return run


def test_without_options_what_is_missing_is_run(bench):
    code, _, asked = bench()
    assert code == 0
    options = asked.options
    assert (str(options.results), options.policy) == ("results/small", Policy())
    assert (options.limit, options.left_s(), options.timeout_s, options.storage) == (None, None, None, None)
    assert asked.session == (None, False, None)


def test_what_was_typed_is_kept_without_paths(bench):
    _, _, asked = bench("--results", "/home/me/there", "--limit", "3", "--data=acdc=/data/me/ACDC")
    assert asked.options.command == "bench run small.yaml --results ... --limit 3 --data=acdc=..."


def test_options_say_what_is_run_and_how_far(bench):
    _, _, asked = bench(
        *("--only", "stale", "--limit", "3", "--max-hours", "0.5", "--max-failures", "4", "--timeout", "60"),
        *("--task", "phantom-lung", "--model", "unet", "--model", "U-Net wide", "--loss", "ce"),
        *("--storage", "sqlite:///a.db", "--results", "there", "-v", "--cpus", "1"),
    )
    options = asked.options
    assert options.policy == Policy("stale", (), FailureLimit(count=4))
    assert (options.chosen.tasks, options.chosen.models) == (("phantom-lung",), ("unet", "U-Net wide"))
    assert options.chosen.losses == ("ce",)
    assert (options.limit, options.timeout_s, options.storage) == (3, 60, "sqlite:///a.db")
    assert 1700 < options.left_s() <= 1800
    assert str(options.results) == "there/small"
    assert asked.session == (1, True, None)


def test_retry_takes_status_words(bench):
    _, _, asked = bench("--retry", "oom, timeout", "--max-failures", "20%", "--address", "auto")
    assert asked.options.policy == Policy("missing", ("oom", "timeout"), FailureLimit(share=0.2))
    assert asked.session == (None, False, "auto")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--retry", "broken"), "expected words of failed, diverged"),
        (("--retry", "oom", "--only", "failed"), "--retry and --only exclude each other"),
        (
            ("--max-failures", "many"),
            "expected a number of trials or a share of them, e.g. 10 or 50%, got 'many'",
        ),
        (("--max-failures", "101%"), "got '101%'"),
        (("--limit", "0"), "0 is not in the range x>=1"),
        (("--max-hours", "0"), "0.0 is not in the range x>0"),
        (("--max-hours", "nan"), "expected a number, got 'nan'"),
        (("--max-hours", "inf"), "expected a number, got 'inf'"),
        (("--timeout", "NaN"), "expected a number, got 'NaN'"),
        (("--timeout", "1e999"), "expected a number, got '1e999'"),
        (
            ("--task", "phantom-lungs"),
            "--task: the suite has no task 'phantom-lungs', did you mean 'phantom-lung'?",
        ),
        (("--model", "unet wide"), "(choices: unet, U-Net wide)"),
        (("--loss", "focal"), "--loss: the suite has no loss 'focal' (choices: ce, dice)"),
        (
            ("--task", "phantom-cardiac", "--model", "unet", "--loss", "dice"),
            "these do not meet in the suite; there are phantom-lung: unet + dice, phantom-cardiac: unet + ce",
        ),
        (("--address", "ray://head:10001"), "ray:// is Ray's client"),
        (("--address", ""), "expected auto or HOST:PORT, e.g. 10.0.0.5:6379, got ''"),
        (("--address", "foo"), "expected auto or HOST:PORT, e.g. 10.0.0.5:6379, got 'foo'"),
        (("--address", "foo:70000"), "got 'foo:70000'"),
        (("--results", ""), "expected a folder or a URL, got nothing"),
        (("--storage", ""), "expected a URL, e.g. sqlite:///search.db, got nothing"),
        (("--storage", "."), "--storage .: is a folder; expected a file or a URL"),
        (("--storage", "carrier://pigeon"), "--storage carrier://pigeon: cannot be opened ("),
        (("--storage", "sqlite:////not/there/a.db"), "unable to open database file)\n"),
        (("--cpus", "2", "--address", "auto"), "--cpus and --address exclude each other"),
    ],
)
def test_what_makes_no_sense_is_one_line_before_anything_starts(bench, arguments, message):
    code, output, asked = bench(*arguments)
    assert code == 2
    assert message in output
    assert "Traceback" not in output
    assert asked.options is None
    assert not Path("results").exists()


def test_ray_starts_beside_the_plan_where_nothing_is_there_yet(bench):
    assert bench()[2].early
    assert not bench(new=False)[2].early


@pytest.mark.parametrize(
    ("summary", "code", "lines"),
    [
        (
            DONE,
            0,
            [
                "Ran 16 trials; 16 of 16 are complete in results/small.",
                "Next: bench leaderboard results/small",
            ],
        ),
        (Summary(16, 0, 16, idle=True), 0, ["Nothing to do: 16 of 16 trials are complete in results/small."]),
        (
            Summary(16, 4, 12, failed={"diverged": 3, "oom": 1}, reasons=("lung: unet: oom: too large",)),
            1,
            [
                "  3 diverged",
                "  1 oom; --retry failed runs what failed again",
                "  lung: unet: oom: too large",
            ],
        ),
        (
            Summary(16, 5, 5, failed={"infra_lost": 1}, reasons=tuple(f"r{n}" for n in range(9))),
            1,
            [
                "  1 infra_lost; the same command tries again",
                "  and 4 other reasons: column detail of the trials table",
            ],
        ),
        (
            Summary(16, 5, 13, failed={"crashed": 1, "infra_lost": 2}, hopeless_losses=1, kept=1),
            1,
            [
                "  1 crashed",
                "  1 infra_lost after 12 attempts and more; --retry failed runs what failed again",
                "  1 infra_lost; the same command tries again",
                "  1 was lost when it ran again, and keeps the result that it had",
            ],
        ),
        (
            Summary(16, 9, 9, unfinished=True),
            1,
            ["  7 are missing: they wait for the scores of what was lost"],
        ),
        (
            Summary(16, 9, 8, hopeless=("lung: unet",), stopped=("lung: resunet: 6 of 10 trials failed",)),
            1,
            [
                "  lung: unet: no tuning trial can be chosen, so it has no final trials",
                "  lung: resunet: 6 of 10 trials failed: the study was stopped; see --max-failures",
            ],
        ),
        (
            Summary(16, 3, 3, end="interrupted"),
            130,
            ["Interrupted. The same command goes on where it stopped."],
        ),
        (
            Summary(16, 3, 3, end="time is up"),
            5,
            ["Stopped after --max-hours 2. The same command goes on where it stopped."],
        ),
        (
            Summary(16, 3, 3, end="limit"),
            5,
            ["Stopped after --limit 3, 13 are missing. The same command goes on where it stopped."],
        ),
        (
            Summary(3, 1, 2, pruned=1, stale=1),
            0,
            [
                "Ran 1 trial; 2 of 3 are complete in results/small.",
                "  1 was pruned: its scores said that it would not be the best",
                "  1 was made by other code and is marked stale; --only stale runs it again",
            ],
        ),
        (
            Summary(16, 16, 14, pruned=2, stale=4, note="a.db: locked"),
            0,
            [
                "  2 were pruned: their scores said that they would not be the best",
                "  4 were made by other code and are marked stale; --only stale runs them again",
                "  Optuna's dashboard misses something: a.db: locked",
            ],
        ),
    ],
)
def test_what_it_says_and_its_exit_code(bench, summary, code, lines):
    got, output, _ = bench("--max-hours", "2", "--limit", "3", summary=summary)
    assert got == code == summary.exit_code
    assert code in EXIT_CODES
    for line in lines:
        assert line in output.splitlines()


def test_what_is_missing_is_told_where_it_was_not_asked_for(bench):
    summary = Summary(16, 2, 10)
    assert "  6 are missing; without --only they are run" in bench("--only", "failed", summary=summary)[1]


def test_what_tuning_cost_is_a_table_without_empty_columns(bench):
    spent = (
        Spent("lung", "unet + ce", "20 trials", trials=20, pruned=0, failed=2, epochs=1200, device_s=7260),
        Spent("lung", "resunet + ce", "20 trials", trials=20, pruned=0, failed=0, epochs=1200, device_s=59),
    )
    _, output, _ = bench(summary=Summary(44, 44, 42, spent=spent))
    rows = [line.split() for line in output.splitlines() if line.startswith(("task", "lung"))]
    assert rows[0] == ["task", "entry", "budget", "trials", "failed", "epochs", "device", "time"]
    assert rows[1][-6:] == ["trials", "20", "2", "1,200", "2:01", "h"]
    assert rows[2][-6:] == ["trials", "20", "0", "1,200", "59", "s"]


def test_help_documents_every_option_and_exit_code():
    from click.testing import CliRunner

    from bench.cli.main import cli

    output = " ".join(CliRunner().invoke(cli, ["run", "--help"]).output.split())
    for word in (
        "--only",
        "--retry",
        "--limit",
        "--max-hours",
        "--max-failures",
        "--task",
        "--storage",
        "--address",
    ):
        assert word in output
    for code in ("0 all", "1 some", "4 results", "5 stopped", "6 Ray", "130 interrupted"):
        assert code in output


@pytest.mark.parametrize(("own", "place"), [("", "small.yaml:6:12"), ("cpus: 64", "small.yaml:8:42")])
def test_resources_that_this_machine_lacks_are_a_mistake_in_the_suite(
    bench, monkeypatch, tmp_path, own, place
):
    def refuse(*given):
        raise cluster.NoRoomError(
            "a trial of wide + ce needs 64 CPU cores, but no node has that", "wide + ce"
        )

    (tmp_path / "small.yaml").write_text(
        "suite: small\ntasks: [phantom-lung]\nlosses: [ce]\n\n\nresources: {cpus: 32}\nmodels:\n"
        f"  - {{name: unet, label: wide, resources: {{{own}}}}}\n  - unet\n"
    )
    code, output, _ = bench(run_suite=refuse)
    assert code == 2
    assert output.splitlines()[-1] == (
        f"bench: {place}: a trial of wide + ce needs 64 CPU cores, but no node has that"
    )
    # On a cluster it is the cluster that lacks them.
    code, output, _ = bench("--address", "auto", run_suite=refuse)
    assert code == 6
    assert "small.yaml" not in output
    assert "the same command goes on" not in output


def test_a_store_that_was_never_reached_is_not_waited_for(bench, monkeypatch):
    def waits(seconds):
        raise AssertionError(f"waits for {seconds} s")

    for name, value in (
        ("ENDPOINT_URL", "http://127.0.0.1:9"),
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setattr(bucket, "_silent_since", {})
    monkeypatch.setattr(bucket.time, "sleep", waits)
    code, output, _ = bench("--results", "s3://nowhere/here")
    assert code == 4
    assert "bench: cannot look at s3://nowhere/here/small: " in output
