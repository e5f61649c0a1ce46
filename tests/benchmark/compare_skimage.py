#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Times projection and filtered back projection beside scikit-image's radon and iradon in one run,
and prints how far the results differ. Needs python3-skimage.

  tests/benchmark/compare_skimage.py build/bench/project_slices [--slices 64] [--peer-slices 2]

Rounds of both sides alternate. scikit-image works slice by slice, so `--peer-slices` of the slices
are timed and the time is scaled to all. Each side counts with its fastest round. On a machine that
others use, compare the processor time: of the one process there, of all threads divided by their
number here.
"""
import argparse
import os
import subprocess
import tempfile
import time

import numpy as np
from skimage.transform import iradon, radon


def ellipses(edge, slices):
    """Smooth-edged ellipses in 1/cm within the inscribed circle, brighter from slice to slice."""
    y, x = (np.mgrid[:edge, :edge] - edge // 2) / (0.5 * edge)
    image = np.zeros((edge, edge))
    for cx, cy, a, b, value in [(0, 0, .8, .65, .2), (.25, -.2, .2, .15, .15), (-.3, .15, .12, .25, -.1)]:
        image += value * 0.5 * (1 - np.tanh((np.hypot((x - cx) / a, (y - cy) / b) - 1) * 30))
    image[np.hypot(x, y) > 0.95] = 0
    return (image * (1 + np.arange(slices)[:, None, None] / (4 * slices))).astype(np.float32)


def own_rounds(program, volume, angles, threads, rounds, folder):
    files = [os.path.join(folder, name) for name in ("slices", "projections", "image")]
    volume.tofile(files[0])
    arguments = [program, files[0], volume.shape[1], angles, threads, rounds, files[1], files[2]]
    lines = subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True).stdout.split("\n")
    seconds = np.array([[float(word) for word in line.split()] for line in lines if line])
    projections = np.fromfile(files[1], np.float32).reshape(len(volume), angles, -1)
    return seconds, projections, np.fromfile(files[2], np.float32).reshape(volume.shape)


def peer_round(slices, angles):
    degrees = np.arange(angles) * 180.0 / angles
    times = [(time.perf_counter(), time.process_time())]
    projections = [radon(s, degrees, circle=True) for s in slices]
    times.append((time.perf_counter(), time.process_time()))
    images = [iradon(p, degrees, circle=True) for p in projections]
    times.append((time.perf_counter(), time.process_time()))
    return np.diff(np.array(times), axis=0).T.ravel(), projections, images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--angles", type=int, default=360)
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--peer-slices", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    volume = ellipses(options.edge, options.slices)
    own, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            seconds, projections, image = own_rounds(
                options.program, volume, options.angles, options.threads, 2, folder)
            own.append(seconds.min(0))
            times, peer_projections, peer_images = peer_round(volume[:options.peer_slices], options.angles)
            peer.append(times * options.slices / options.peer_slices)
    own, peer = np.array(own), np.array(peer)
    own[:, 2:] /= options.threads
    for i, name in enumerate(("radon, clock", "iradon, clock", "radon, processor", "iradon, processor")):
        print(f"{name}: {peer[:, i].min():.3f} s, here {own[:, i].min():.4f} s, "
              f"ratio {peer[:, i].min() / own[:, i].min():.0f} (by round: {np.round(peer[:, i] / own[:, i])})")
    expected = np.stack([p.T for p in peer_projections]) * 0.1  # pixels of 1 mm in cm
    difference = projections[:options.peer_slices] - expected
    print(f"projections: relative 2-norm of the difference {np.linalg.norm(difference) / np.linalg.norm(expected):.2e}")
    # Both reconstruct their own projections; then scikit-image the same ones as here.
    images = np.stack([iradon(10.0 * p.T.astype(np.float64), np.arange(options.angles) * 180.0 / options.angles,
                              circle=True) for p in projections[:options.peer_slices]])
    y, x = np.mgrid[:options.edge, :options.edge] - options.edge // 2
    inside = np.hypot(x, y) < options.edge // 2 - 1
    difference = np.abs(image[:options.peer_slices] - images)[:, inside]
    print(f"reconstructions of the same projections: largest difference {difference.max():.2e} 1/cm, "
          f"of values up to {images.max():.3f}")


if __name__ == "__main__":
    main()
