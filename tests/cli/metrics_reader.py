#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads metrics as Prometheus' own client library understands them (Debian's python3-prometheus-client,
so Debian's Python), and says whether an expression holds.

metrics_reader.py FILE openmetrics|plain EXPRESSION
    value(NAME, label=...) is the one sample of that name with these labels; samples(NAME, label=...) are
    all; families is what the parser made of it, by name.
"""
import sys

import prometheus_client.openmetrics.parser
import prometheus_client.parser

path, form, expression = sys.argv[1:]
text = open(path, encoding="utf-8").read()
parser = prometheus_client.openmetrics.parser if form == "openmetrics" else prometheus_client.parser
families = {}
for family in parser.text_string_to_metric_families(text):
    assert family.name not in families, f"{family.name} comes twice"
    families[family.name] = family
seen = set()
for family in families.values():
    for sample in family.samples:
        key = (sample.name, *sorted(sample.labels.items()))
        assert key not in seen, f"{key} comes twice"
        seen.add(key)


def samples(name, **labels):
    return [sample for family in families.values() for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()]


def value(name, **labels):
    found = samples(name, **labels)
    assert len(found) == 1, f"{name} {labels}: {len(found)} samples"
    return found[0].value


def near(one, other, bound=1e-9):
    return abs(one - other) <= bound


sys.exit(not eval(f"({expression})"))
