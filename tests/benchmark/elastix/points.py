#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Landmarks (CSV: an id, then x, y(, z) in mm (LPS) or pixels) for elastix, and their error after it.

    points.py write fixed.csv > points.txt                  input of `run ... points=points.txt`
    points.py error outputpoints.txt moving.csv [beginning]  distances of what transformix wrote to the moving landmarks
                                                            (of the ids that start so)
    points.py error fixed.csv moving.csv [beginning]         before any registration
"""
import csv
import re
import sys


def table(file):
    with open(file, newline="") as stream:
        rows = list(csv.reader(stream))
    spatial = 3 if any("z" in name.lower() for name in rows[0]) else 2
    return {row[0]: [float(value) for value in row[1 : 1 + spatial]] for row in rows[1:] if row}


def mapped(file, ids):
    if file.endswith(".csv"):
        return table(file)
    points = []
    for line in open(file):
        numbers = re.search(r"OutputPoint = \[ ([^]]*)\]", line).group(1).split()
        points.append([float(n) for n in numbers])
    return dict(zip(ids, points))


if sys.argv[1] == "write":
    points = table(sys.argv[2])
    print(f"point\n{len(points)}")
    for point in points.values():
        print(*point)
else:
    moving = table(sys.argv[3])
    found = mapped(sys.argv[2], list(moving))
    chosen = [i for i in moving if i.startswith(sys.argv[4])] if len(sys.argv) > 4 else list(moving)
    distances = sorted(sum((a - b) ** 2 for a, b in zip(found[i], moving[i])) ** 0.5 for i in chosen if i in found)
    worst = distances[-max(1, round(0.3 * len(distances))) :]
    print(
        f"{len(distances)} points: mean {sum(distances) / len(distances):.3f}, median {distances[len(distances) // 2]:.3f}, "
        f"worst 30 % {sum(worst) / len(worst):.3f}, largest {distances[-1]:.3f}"
    )
