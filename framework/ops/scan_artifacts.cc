// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_artifacts.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

float f(double value) { return static_cast<float>(value); }

}  // namespace

void add_white_noise(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const std::uint64_t key = stream.bits();
  for_each_row(grid.geometry, [&](const GridRow& row) {
    for (std::int64_t i = row.offset; i < row.offset + row.length; ++i) {
      grid.values[i] += f(deviation) * hashed_normal(key, static_cast<std::uint64_t>(i));
    }
  });
}

void make_rician(ScalarGrid& grid, double deviation, RandomStream stream) {
  const std::uint64_t real_key = stream.bits();
  const std::uint64_t imaginary_key = stream.bits();
  for_each_row(grid.geometry, [&](const GridRow& row) {
    for (std::int64_t i = row.offset; i < row.offset + row.length; ++i) {
      const float real =
          grid.values[i] + f(deviation) * hashed_normal(real_key, static_cast<std::uint64_t>(i));
      const float imaginary =
          f(deviation) * hashed_normal(imaginary_key, static_cast<std::uint64_t>(i));
      grid.values[i] = std::hypot(real, imaginary);
    }
  });
}

void add_rings(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const std::uint64_t steady_key = stream.bits();
  const std::uint64_t row_key = stream.bits();
  const std::uint64_t strong_key = stream.bits();
  const auto [planes, lines, length] = grid.geometry.shape;
  const double centre_h = 0.5 * static_cast<double>(lines - 1);
  const double centre_w = 0.5 * static_cast<double>(length - 1);
  const auto radii = static_cast<std::int64_t>(std::hypot(centre_h, centre_w)) + 3;
  const std::int64_t radius_count = radii;
  const auto strength = [&](std::int64_t plane, std::int64_t radius) {
    const auto column = static_cast<std::uint64_t>(radius);
    const float steady = hashed_normal(steady_key, column);
    const float changing =
        hashed_normal(row_key, static_cast<std::uint64_t>(plane * radius_count + radius));
    const float gain = std::abs(hashed_normal(strong_key, column)) > 1.96F ? 4.0F : 1.0F;
    return f(deviation) * gain * (steady + changing) * std::numbers::sqrt2_v<float> * 0.5F;
  };
  for_each_row(grid.geometry, [&](const GridRow& row) {
    const double up = static_cast<double>(row.line) - centre_h;
    for (std::int64_t w = 0; w < row.length; ++w) {
      const float radius = f(std::hypot(up, static_cast<double>(w) - centre_w));
      const auto low = static_cast<std::int64_t>(radius);
      const float part = radius - f(static_cast<double>(low));
      grid.values[row.offset + w] +=
          std::lerp(strength(row.plane, low), strength(row.plane, low + 1), part);
    }
  });
}

void apply_bias_field(ScalarGrid& grid, double deviation, RandomStream stream) {
  if (deviation == 0.0) return;
  const Geometry& g = grid.geometry;
  const Eigen::Vector3d extent =
      g.spacing.cwiseProduct(Eigen::Vector3d(g.shape[2], g.shape[1], g.shape[0]).cast<double>());
  const NoiseField field(stream, 0.9 * extent.maxCoeff());
  for_each_row(g, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      grid.values[row.offset + w] *= std::exp(f(deviation) * field.at(row.at(w)));
    }
  });
}

void add_signal_void(ScalarGrid& grid,
                     const std::vector<float>& distance_mm,
                     const SignalVoid& signal_void,
                     const RandomStream& stream) {
  if (signal_void.reach_mm <= 0.0) return;
  const NoiseField shape(stream, signal_void.structure_mm);
  for_each_row(grid.geometry, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      const float reach =
          f(signal_void.reach_mm) * std::exp(f(signal_void.unevenness) * shape.at(row.at(w)));
      const float away = distance_mm[row.offset + w] / reach;
      const float lost = away <= 0.0F ? 1.0F : std::exp(-away * away);
      const float rim = f(signal_void.rim) * std::exp(-4.0F * (away - 2.0F) * (away - 2.0F));
      grid.values[row.offset + w] *= (1.0F - lost) * (1.0F + rim);
    }
  });
}

}  // namespace triptych
