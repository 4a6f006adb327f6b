"""What is written where names are no UTF-8, as file names may be."""

import json

import pandas as pd
import pytest

from bench.cli.score_output import print_json, print_tables, write_rows
from medseg.scoring.measure import Protocol
from medseg.scoring.score import COLUMNS, Scored

BAD, WRITTEN = "p\udcff", "p\\udcff"


@pytest.fixture
def scored() -> Scored:
    """Two cases of one system, whose folder, cases and reasons have a byte in their names that is no UTF-8."""
    row = dict.fromkeys(COLUMNS, "") | {
        "system": BAD,
        "label": "x",
        "metric": "dice",
        "definition": "dice/v1",
        "status": "ok",
        "diagonal": 9.0,
        "note": f"{BAD}.png: is odd",
    }
    cases = [(f"{BAD}1", 0.5), (f"{BAD}2", 0.75)]
    rows = [row | {"case": case, "patient": case, "value": value} for case, value in cases]
    return Scored(rows, Protocol({"x": 1}, ("dice",)), (), ())


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_files_have_escapes(scored, tmp_path, suffix):
    write_rows(tmp_path / f"rows{suffix}", scored.rows)
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}[suffix]
    rows = read(tmp_path / f"rows{suffix}")
    assert rows["system"].tolist() == [WRITTEN] * 2
    assert rows["case"].tolist() == [f"{WRITTEN}1", f"{WRITTEN}2"]
    assert rows["note"].tolist() == [f"{WRITTEN}.png: is odd"] * 2


def test_json_has_escapes(scored, capsys):
    print_json(scored, several=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["system"], row["case"]) for row in rows] == [
        (WRITTEN, f"{WRITTEN}1"),
        (WRITTEN, f"{WRITTEN}2"),
    ]


def test_tables_have_escapes(scored, capsys):
    print_tables(scored, [BAD], None, None)
    assert WRITTEN in capsys.readouterr().out


def test_reasons_of_names_that_are_no_utf_8_are_printed(capsys):
    from rich.console import Console

    from bench.cli.score_command import _say

    _say(["bad\udcff: no prediction"], Console())
    assert capsys.readouterr().out == "bad\\udcff: no prediction\n"


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@x", "'=x"])
def test_spreadsheets_evaluate_no_cell_of_csv(scored, tmp_path, word):
    rows = [row | {"system": word, "label": "a=b", "value": -0.5} for row in scored.rows]
    write_rows(tmp_path / "rows.csv", rows)
    read = pd.read_csv(tmp_path / "rows.csv", dtype={"system": "string"})
    assert set(read["system"]) == {f"'{word}"}
    assert (set(read["label"]), set(read["value"])) == ({"a=b"}, {-0.5})
    for suffix, reader in ((".parquet", pd.read_parquet), (".json", pd.read_json)):
        write_rows(tmp_path / f"rows{suffix}", rows)
        assert {str(name) for name in reader(tmp_path / f"rows{suffix}")["system"]} <= {
            word,
            word.lstrip("+"),
        }
