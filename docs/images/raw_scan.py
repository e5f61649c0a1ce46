# SPDX-License-Identifier: Apache-2.0
"""Writes scan.h5: counts of ellipses on a detector whose columns differ in gain after the flats were taken."""
import h5py
import numpy as np

ANGLES, ROWS, COLUMNS, CENTRE = 600, 4, 400, 192.4
PIXEL_CM = 5e-4
#            x    y    a    b  tilt  1/cm (x, y, a, b in pixels; tilt in radians)
ELLIPSES = [(0, 0, 150, 125, 0.3, 5.0), (0, 0, 138, 113, 0.3, -2.0), (40, -20, 30, 18, 0.9, 6.0),
            (-60, 30, 22, 34, -0.4, -2.5), (-40, -50, 12, 12, 0.0, 3.0), (65, 45, 16, 9, 1.2, 3.0)]

random = np.random.default_rng(1)
theta = np.arange(ANGLES) * 180.0 / ANGLES
c, s = np.cos(np.deg2rad(theta))[:, None], np.sin(np.deg2rad(theta))[:, None]
u = np.arange(COLUMNS)[None] - CENTRE
lines = np.zeros((ANGLES, COLUMNS))
for x, y, a, b, tilt, value in ELLIPSES:
    along, across = c * np.cos(tilt) - s * np.sin(tilt), c * np.sin(tilt) + s * np.cos(tilt)
    width2 = (a * along) ** 2 + (b * across) ** 2
    t = u - (x * c - y * s)
    lines += 2 * value * PIXEL_CM * a * b * np.sqrt(np.clip(width2 - t * t, 0, None)) / width2

beam = 30000 * (1 + 0.2 * random.random((1, ROWS, COLUMNS)))
drift = 1 + 0.02 * random.standard_normal((1, ROWS, COLUMNS)) * (random.random((1, ROWS, COLUMNS)) < 0.15)
counts = lambda mean: random.poisson(mean) + 100
with h5py.File("scan.h5", "w") as file:
    file["exchange/data"] = counts(np.exp(-lines)[:, None] * beam * drift).astype("u2")
    file["exchange/data_white"] = counts(np.repeat(beam, 20, 0)).astype("u2")
    file["exchange/data_dark"] = np.full((5, ROWS, COLUMNS), 100, "u2")
    file["exchange/theta"] = theta
    file["exchange/theta"].attrs["units"] = "degrees"
