"""docs/performance.md has the tables that the records in docs/performance give."""

from __future__ import annotations

import re

from longtake_training.measure import bench, tables

PARTS = [{"name": "vision MLP", "seconds": 0.6, "share": 0.6}, {"name": "projector", "seconds": 0.36, "share": 0.36}]
OURS = {
    "unit": "frame",
    "seconds": 1.25,
    "runs": [1.2, 1.25, 1.3],
    "operations_per_second": 9.5e11,
    "share_of_peak": 0.716,
    "parts": [*PARTS, {"name": "other", "seconds": 0.04, "share": 0.04}],
}


def record(date: str, cpu_class: str) -> dict:
    peers = [{"peer": "PyTorch", "seconds": 0.0125}, {"peer": "decord", "missing": "decord cannot be installed"}]
    rows = [
        {"what": "a frame", "ours": OURS, "peers": peers},
        {"what": "a token", "missing": "needs 30 bytes", "peers": []},
    ]
    return {"date": date, "cpu": "CPU", "cpu_class": cpu_class, "cores": 2, "version": "1.0.0", "rows": rows}


def test_table_has_speed_peers_and_parts_to_95_percent() -> None:
    text = tables.table(record("2026-01-02", "AVX2"))
    assert "### AVX2, 2026-01-02" in text and "Medians of 3 runs" in text
    frame, token = text.splitlines()[-2:]
    assert frame == (
        "| a frame | 1.25 s per frame | 950 GFLOPS | 72 % | PyTorch: 12.5 ms · decord: decord cannot be installed | "
        "vision MLP 60, projector 36 |"
    )
    assert "not measured: needs 30 bytes" in token


def test_older_records_stay_below_newer_ones_of_their_class() -> None:
    records = [record("2026-01-01", "AVX2"), record("2026-02-01", "AVX2"), record("2026-01-15", "AVX-512")]
    heads = re.findall(r"### (.*)", tables.tables(records))
    assert heads == ["AVX-512, 2026-01-15", "AVX2, 2026-02-01", "AVX2, 2026-01-01"]
    assert tables.tables(records) == tables.tables(records[::-1])


def test_rest_of_the_page_stays() -> None:
    text = f"# Page\n\n{tables.BEGIN}\nold\n{tables.END}\n\nEnd\n"
    once = tables.page(text, [record("2026-01-01", "AVX2")])
    assert once.startswith("# Page\n\n") and once.endswith("\n\nEnd\n") and "old" not in once
    assert tables.page(once, [record("2026-01-01", "AVX2")]) == once


def test_page_is_what_the_records_give() -> None:
    text = tables.PAGE.read_text()
    assert tables.page(text, tables.read()) == text


def test_a_row_measured_again_takes_the_place_of_the_old_one() -> None:
    one, two, three = ({"what": name, "ours": 1} for name in ("one", "two", "three"))
    known = {"date": "2026-01-01", "version": "1", "rows": [one, three]}
    again = {"date": "2026-01-01", "version": "2", "rows": [{"what": "three", "ours": 2}]}
    found = bench.merged(known, again, ["one", "two", "three"])
    assert found["version"] == "2" and found["rows"] == [one, {"what": "three", "ours": 2}]
    assert bench.merged(found, {**again, "rows": [two]}, ["one", "two", "three"])["rows"][1] == two
    assert bench.merged({}, {**again, "rows": [two]}, ["two"])["rows"] == [two]
