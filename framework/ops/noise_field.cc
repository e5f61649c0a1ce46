// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/noise_field.h"

#include "framework/core/error.h"

#include <cmath>
#include <numbers>

namespace triptych {
namespace {

// Standard deviation of gradient noise with the twelve gradients below, measured over 10^7 random
// positions.
constexpr float kGradientNoiseDeviation = 0.2669F;

std::uint32_t hash_cell(std::uint32_t key, int x, int y, int z) {
  std::uint32_t h = key ^ (static_cast<std::uint32_t>(x) * 0x8da6b343U) ^
                    (static_cast<std::uint32_t>(y) * 0xd8163841U) ^
                    (static_cast<std::uint32_t>(z) * 0xcb1ab31fU);
  h ^= h >> 16;  // finaliser of MurmurHash3
  h *= 0x85ebca6bU;
  h ^= h >> 13;
  h *= 0xc2b2ae35U;
  return h ^ (h >> 16);
}

// The twelve edge directions of a cube, four of them twice, as dot products.
float gradient_dot(std::uint32_t hash, float x, float y, float z) {
  const std::uint32_t h = hash & 15U;
  const float u = h < 8U ? x : y;
  const float v = h < 4U ? y : (h == 12U || h == 14U ? x : z);
  return ((h & 1U) != 0U ? -u : u) + ((h & 2U) != 0U ? -v : v);
}

float fade(float t) { return t * t * t * (t * (t * 6.0F - 15.0F) + 10.0F); }
float mix(float a, float b, float t) { return a + (b - a) * t; }

float gradient_noise(std::uint32_t key, float x, float y, float z) {
  const float fx = std::floor(x);
  const float fy = std::floor(y);
  const float fz = std::floor(z);
  const int ix = static_cast<int>(fx);
  const int iy = static_cast<int>(fy);
  const int iz = static_cast<int>(fz);
  const float dx = x - fx;
  const float dy = y - fy;
  const float dz = z - fz;
  const auto corner = [&](int ox, int oy, int oz) {
    return gradient_dot(hash_cell(key, ix + ox, iy + oy, iz + oz),
                        dx - static_cast<float>(ox),
                        dy - static_cast<float>(oy),
                        dz - static_cast<float>(oz));
  };
  const float u = fade(dx);
  const float v = fade(dy);
  const float w = fade(dz);
  const float near =
      mix(mix(corner(0, 0, 0), corner(1, 0, 0), u), mix(corner(0, 1, 0), corner(1, 1, 0), u), v);
  const float far =
      mix(mix(corner(0, 0, 1), corner(1, 0, 1), u), mix(corner(0, 1, 1), corner(1, 1, 1), u), v);
  return mix(near, far, w);
}

}  // namespace

std::array<double, 9> random_rotation(RandomStream& stream) {
  constexpr double kTurn = 2.0 * std::numbers::pi;
  const double u = stream.uniform();
  const double a = kTurn * stream.uniform();
  const double b = kTurn * stream.uniform();
  const double qx = std::sqrt(1.0 - u) * std::sin(a);
  const double qy = std::sqrt(1.0 - u) * std::cos(a);
  const double qz = std::sqrt(u) * std::sin(b);
  const double qw = std::sqrt(u) * std::cos(b);
  return {1 - 2 * (qy * qy + qz * qz),
          2 * (qx * qy - qz * qw),
          2 * (qx * qz + qy * qw),
          2 * (qx * qy + qz * qw),
          1 - 2 * (qx * qx + qz * qz),
          2 * (qy * qz - qx * qw),
          2 * (qx * qz - qy * qw),
          2 * (qy * qz + qx * qw),
          1 - 2 * (qx * qx + qy * qy)};
}

NoiseField::NoiseField(RandomStream stream, double cell_mm, int octaves) {
  TRIPTYCH_ASSERT(cell_mm > 0.0 && octaves >= 1);
  double variance = 0.0;
  for (int octave = 0; octave < octaves; ++octave) variance += 2.0 * std::pow(0.25, octave);
  for (int octave = 0; octave < octaves; ++octave) {
    for (int copy = 0; copy < 2; ++copy) {
      const double cell = cell_mm * std::pow(0.5, octave);
      const std::array<double, 9> rotation = random_rotation(stream);
      Lattice lattice{};
      for (std::size_t i = 0; i < 9; ++i)
        lattice.matrix[i] = static_cast<float>(rotation[i] / cell);
      const auto offset = [&] { return static_cast<float>(stream.uniform(0.0, 64.0)); };
      lattice.offset.x = offset();
      lattice.offset.y = offset();
      lattice.offset.z = offset();
      lattice.amplitude =
          static_cast<float>(std::pow(0.5, octave) / std::sqrt(variance)) / kGradientNoiseDeviation;
      lattice.key = static_cast<std::uint32_t>(stream.bits() >> 32);
      lattices_.push_back(lattice);
    }
  }
}

float NoiseField::at(const Point3f& p) const {
  float sum = 0.0F;
  for (const Lattice& lattice : lattices_) {
    const std::array<float, 9>& m = lattice.matrix;
    sum +=
        lattice.amplitude * gradient_noise(lattice.key,
                                           m[0] * p.x + m[1] * p.y + m[2] * p.z + lattice.offset.x,
                                           m[3] * p.x + m[4] * p.y + m[5] * p.z + lattice.offset.y,
                                           m[6] * p.x + m[7] * p.y + m[8] * p.z + lattice.offset.z);
  }
  return sum;
}

float hashed_normal(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15ULL;  // SplitMix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  z ^= z >> 31;
  const auto sum =
      static_cast<float>((z & 0xffffU) + (z >> 16 & 0xffffU) + (z >> 32 & 0xffffU) + (z >> 48));
  // Four uniform numbers on [0, 65535]: mean 131070, variance 4 (65536^2 - 1) / 12.
  return (sum - 131070.0F) * (1.0F / 37837.2276F);
}

float hashed_uniform(std::uint32_t key, int x, int y, int z) {
  return static_cast<float>(hash_cell(key, x, y, z) >> 8) * 0x1.0p-24F;
}

}  // namespace triptych
