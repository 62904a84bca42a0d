"""The tables of docs/performance.md, made from the records in docs/performance."""

from __future__ import annotations

import json

from longtake_training import paths

PAGE = paths.REPOSITORY / "docs/performance.md"
RECORDS = paths.REPOSITORY / "docs/performance"
BEGIN, END = "<!-- tables of make bench: begin -->", "<!-- tables of make bench: end -->"
KEYS = [
    "unit",
    "seconds",
    "runs",
    "operations_per_second",
    "bytes_per_second",
    "share_of_peak",
    "peak",
    "parts",
    "notes",
]
"""What a record keeps of a report of `longtake bench`."""


def time(seconds: float) -> str:
    for limit, scale, unit in [(1, 1, "s"), (1e-3, 1e3, "ms")]:
        if seconds >= limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def rate(ours: dict) -> str:
    if "operations_per_second" in ours:
        return f"{ours['operations_per_second'] / 1e9:.3g} GFLOPS"
    bytes_per_second = ours["bytes_per_second"]
    return f"{bytes_per_second / 1e9:.3g} GB/s" if bytes_per_second >= 1e9 else f"{bytes_per_second / 1e6:.3g} MB/s"


def parts(ours: dict) -> str:
    """The longest parts, until they cover 95 percent of the time."""
    shown, covered = [], 0.0
    for part in ours["parts"]:
        if covered >= 0.95:
            break
        shown.append(f"{part['name']} {100 * part['share']:.0f}")
        covered += part["share"]
    return ", ".join(shown)


def table(record: dict) -> str:
    """The table of one record."""
    lines = [
        f"### {record['cpu_class']}, {record['date']}",
        "",
        f"{record['cpu']}, {record['cores']} cores, version {record['version']}. Medians of "
        f"{max((len(row['ours']['runs']) for row in record['rows'] if 'ours' in row), default=0)} runs.",
        "",
        "| what | time | speed | share of the peak | peers | where the time goes, % |",
        "|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        peers = " · ".join(
            f"{peer['peer']}: {peer.get('missing') or time(peer['seconds'])}" for peer in row.get("peers", [])
        )
        if "ours" in row:
            ours = row["ours"]
            cells = [f"{time(ours['seconds'])} per {ours['unit']}", rate(ours), f"{100 * ours['share_of_peak']:.0f} %"]
            lines.append(f"| {row['what']} | {' | '.join(cells)} | {peers} | {parts(ours)} |")
        else:
            lines.append(f"| {row['what']} | not measured: {row['missing']} | | | {peers} | |")
    return "\n".join(lines) + "\n"


def tables(records: list[dict]) -> str:
    """All tables, by class of CPU, the newest first in each."""
    newest = sorted(records, key=lambda record: record["date"], reverse=True)
    return "\n".join(table(record) for record in sorted(newest, key=lambda record: record["cpu_class"]))


def page(text: str, records: list[dict]) -> str:
    """The page with its tables replaced; the rest of it stays."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{tables(records)}\n{END}{after}"


def read() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json"))]


def write() -> None:
    PAGE.write_text(page(PAGE.read_text(), read()))
