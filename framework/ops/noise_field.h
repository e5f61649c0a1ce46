// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/random.h"

#include <array>
#include <cstdint>
#include <vector>

namespace triptych {

/// A position or vector in mm, in ITK's order x, y, z; plain floats, for loops over many voxels.
struct Point3f {
  float x = 0.0F;
  float y = 0.0F;
  float z = 0.0F;
};

/// A smooth random function of space, defined everywhere and without memory: about zero mean and
/// unit variance.
///
/// Gradient noise (Perlin, "Improving noise", 2002) on hashed lattices of edge `cell_mm`;
/// structures are about 1.5 cells apart, and there is next to no energy above 1 / cell_mm. Each
/// octave sums two lattices that are turned at random against each other, since a single one
/// vanishes at its own lattice points and would show. Every further octave has half the cell and
/// half the amplitude. Equal bits for equal (stream, position) on every thread.
class NoiseField {
 public:
  NoiseField(RandomStream stream, double cell_mm, int octaves = 1);

  float at(const Point3f& position) const;

 private:
  struct Lattice {
    std::array<float, 9> matrix;  // rotation over cell size
    Point3f offset;
    float amplitude;
    std::uint32_t key;
  };
  std::vector<Lattice> lattices_;
};

/// A random rotation matrix, row by row, uniform over all orientations (Shoemake 1992).
std::array<double, 9> random_rotation(RandomStream& stream);

/// A standard normal number that depends on the two keys alone; costs a few nanoseconds, unlike a
/// new RandomStream. Sum of four uniform numbers: kurtosis 2.7 instead of 3, support +-3.46.
float hashed_normal(std::uint64_t key, std::uint64_t index);

/// Uniform number in [0, 1) that depends on a key and a lattice cell alone.
float hashed_uniform(std::uint32_t key, int x, int y, int z);

}  // namespace triptych
