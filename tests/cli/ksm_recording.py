#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes recordings for the tests of plots, without any KSM: ksm_recording.py FILE SESSION...

A SESSION is JSON: {"title", "samples", "marks": [[SECONDS, TEXT], ...], "host": {COUNTER: [VALUE, ...]},
"processes": [{"name", "pid", COUNTER: [VALUE, ...]}, ...]}. A list is carried on by its last value."""
import json
import sqlite3
import sys

TABLES = """
CREATE TABLE session (id INTEGER PRIMARY KEY, title TEXT, started_realtime_ns INTEGER, started_monotonic_ns INTEGER, ended_ns INTEGER, boot TEXT, kernel TEXT, processor TEXT, cpus INTEGER, memory_bytes INTEGER, page_bytes INTEGER, interval_ns INTEGER, recorder_pid INTEGER, recorder_start_time_ns INTEGER);
CREATE TABLE subject (id INTEGER PRIMARY KEY, session INTEGER, scope TEXT, name TEXT, pid INTEGER, start_time_ns INTEGER, ended_ns INTEGER);
CREATE TABLE series (id INTEGER PRIMARY KEY, subject INTEGER, counter TEXT, unit TEXT, computed INTEGER);
CREATE TABLE sample (id INTEGER PRIMARY KEY, session INTEGER, time_ns INTEGER, realtime_ns INTEGER, missed INTEGER);
CREATE TABLE change (id INTEGER PRIMARY KEY, sample INTEGER, series INTEGER, value);
CREATE TABLE mark (id INTEGER PRIMARY KEY, session INTEGER, time_ns INTEGER, realtime_ns INTEGER, text TEXT);
"""
SECOND = 10**9
UNITS = {"pages_shared": "pages", "general_profit": "bytes", "ksm_process_profit": "bytes"}


def add(database, table, *values):
    marks = ", ".join("?" * (len(values) + 1))
    return database.execute(f"INSERT INTO {table} VALUES ({marks})", (None, *values)).lastrowid


def add_session(database, told):
    samples = told.get("samples", 5)
    session = add(database, "session", told.get("title", ""), SECOND, SECOND, samples * SECOND, "boot",
                  "Linux", "CPU", 2, 1 << 30, 4096, SECOND, 1, 1)
    lists = {}
    subjects = [("host", {"name": "host", "pid": 0, **told.get("host", {})})]
    subjects += [("process", process) for process in told.get("processes", [])]
    for scope, of in subjects:
        subject = add(database, "subject", session, scope, of["name"], of["pid"], 0, None)
        for counter, values in of.items():
            if counter not in ("name", "pid"):
                lists[add(database, "series", subject, counter, UNITS.get(counter, ""), 0)] = values
    for index in range(samples):
        sample = add(database, "sample", session, index * SECOND, index * SECOND, 0)
        for series, values in lists.items():
            if index < len(values):
                add(database, "change", sample, series, values[index])
    for time, text in told.get("marks", []):
        add(database, "mark", session, int(time * SECOND), int(time * SECOND), text)


with sqlite3.connect(sys.argv[1]) as database:
    database.executescript(TABLES)
    database.execute("PRAGMA application_id = 0x4d4b534d")
    database.execute("PRAGMA user_version = 1")
    for argument in sys.argv[2:]:
        add_session(database, json.loads(argument))
