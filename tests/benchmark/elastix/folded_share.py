#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Share of the voxels of an image of Jacobian determinants (.mha, float) that are <= 0: all, and those under a mask.

    folded_share.py spatialJacobian.mha [mask.mha]      the mask (8 or 16 bit) lies on the same grid; > 0 counts
"""
import array
import sys
import zlib

TYPES = {"MET_FLOAT": "f", "MET_DOUBLE": "d", "MET_UCHAR": "B", "MET_SHORT": "h", "MET_USHORT": "H"}


def values(file):
    with open(file, "rb") as stream:
        header = {}
        while header.get("ElementDataFile") != "LOCAL":
            key, value = stream.readline().decode().split("=", 1)
            header[key.strip()] = value.strip()
        data = stream.read()
    if header.get("CompressedData") == "True":
        data = zlib.decompress(data)
    return array.array(TYPES[header["ElementType"]], data)


determinants = values(sys.argv[1])
print(f"all: {sum(d <= 0 for d in determinants) / len(determinants):.5f}")
if len(sys.argv) > 2:
    mask = values(sys.argv[2])
    if len(mask) != len(determinants):
        sys.exit("folded_share.py: the mask lies on another grid")
    inside = [d for d, m in zip(determinants, mask) if m > 0]
    print(f"mask: {sum(d <= 0 for d in inside) / len(inside):.5f}")
