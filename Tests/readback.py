"""Reads an export with the library that people use for its format, and prints what it found as JSON.

readback.py FORMAT FILE [RATE]
"""

import csv
import json
import sys


def vtt(path):
    import webvtt

    return [{"start": c.start_in_seconds, "text": c.text, "times": c.start + " " + c.end} for c in webvtt.read(path)]


def srt(path):
    import pysrt

    cues = pysrt.open(path, encoding="utf-8", error_handling=pysrt.ERROR_RAISE)
    return [{"start": c.start.ordinal / 1000, "end": c.end.ordinal / 1000, "text": c.text} for c in cues]


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert all(None not in row and None not in row.values() for row in rows), "rows of another length"
    return rows


def sqlite(path):
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM answer")]


def otio(path):
    import opentimelineio

    timeline = opentimelineio.adapters.read_from_file(path)
    found = []
    for clip in timeline.find_clips():
        for marker in clip.markers:
            marked = marker.marked_range
            found.append({
                "start": marked.start_time.to_seconds(), "end": marked.end_time_exclusive().to_seconds(),
                "text": marker.comment + "\n" + marker.name,
            })
    return found


def edl(path, rate):
    import opentimelineio

    timeline = opentimelineio.adapters.read_from_file(path, rate=rate)
    clips = list(timeline.find_clips())
    assert all(clip.source_range.duration.value == 1 for clip in clips), "an event that is not one frame long"
    return [{"timecode": clip.source_range.start_time.to_timecode(rate)} for clip in clips]


if __name__ == "__main__":
    format, path = sys.argv[1:3]
    if format == "edl":
        over, _, under = sys.argv[3].partition("/")
        found = edl(path, float(over) / float(under or 1))
    else:
        found = {"vtt": vtt, "srt": srt, "csv": table, "otio": otio, "sqlite": sqlite}[format](path)
    json.dump(found, sys.stdout)
