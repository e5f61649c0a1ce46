// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scalar_grid.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace triptych {
namespace {

constexpr std::int64_t kRowsAtOnce = 16;

Point3f point(const Eigen::Vector3d& v) {
  return {static_cast<float>(v.x()), static_cast<float>(v.y()), static_cast<float>(v.z())};
}

std::vector<float> gaussian_weights(double sigma) {
  const auto radius = static_cast<std::int64_t>(std::ceil(3.0 * sigma));
  std::vector<float> weights;
  double sum = 0.0;
  for (std::int64_t i = -radius; i <= radius; ++i) sum += std::exp(-0.5 * std::pow(i / sigma, 2));
  for (std::int64_t i = -radius; i <= radius; ++i) {
    weights.push_back(static_cast<float>(std::exp(-0.5 * std::pow(i / sigma, 2)) / sum));
  }
  return weights;
}

// Offset from a row to the row `shift` further along `axis` (0 = D, 1 = H), clamped at the border.
std::int64_t neighbour_row(const Index3& shape, const GridRow& row, int axis, std::int64_t shift) {
  const std::int64_t here = axis == 0 ? row.plane : row.line;
  const std::int64_t there = std::clamp<std::int64_t>(here + shift, 0, shape[axis] - 1);
  return row.offset + (there - here) * (axis == 0 ? shape[1] * shape[2] : shape[2]);
}

void blur_axis(ScalarGrid& grid, int axis, double sigma) {
  const std::vector<float> weights = gaussian_weights(sigma);
  const auto radius = static_cast<std::int64_t>(weights.size() / 2);
  std::vector<float> result(grid.values.size());
  for_each_row(grid.geometry, [&](const GridRow& row) {
    float* out = result.data() + row.offset;
    for (std::int64_t k = -radius; k <= radius; ++k) {
      const float weight = weights[static_cast<std::size_t>(k + radius)];
      if (axis < 2) {
        const float* in = grid.values.data() + neighbour_row(grid.geometry.shape, row, axis, k);
        for (std::int64_t w = 0; w < row.length; ++w) out[w] += weight * in[w];
        continue;
      }
      const float* in = grid.values.data() + row.offset;
      for (std::int64_t w = 0; w < row.length; ++w) {
        out[w] += weight * in[std::clamp<std::int64_t>(w + k, 0, row.length - 1)];
      }
    }
  });
  grid.values.swap(result);
}

// Continuous index along one tensor axis of `source` for every voxel of `target`.
std::vector<double> positions(const Geometry& source, const Geometry& target, int axis) {
  const int xyz = 2 - axis;
  const double first = source.index_from_world(target.origin)[xyz];
  const double factor = target.spacing[xyz] / source.spacing[xyz];
  std::vector<double> result;
  for (std::int64_t i = 0; i < target.shape[axis]; ++i) {
    const double position = first + factor * static_cast<double>(i);
    result.push_back(std::clamp(position, 0.0, static_cast<double>(source.shape[axis] - 1)));
  }
  return result;
}

struct Tap {
  std::int64_t low = 0;
  std::int64_t high = 0;
  float weight = 0.0F;  // of the high one
};

std::vector<Tap> taps(const Geometry& source, const Geometry& target, int axis) {
  std::vector<Tap> result;
  for (const double position : positions(source, target, axis)) {
    Tap tap;
    tap.low = static_cast<std::int64_t>(position);
    tap.high = std::min(tap.low + 1, source.shape[axis] - 1);
    tap.weight = static_cast<float>(position - static_cast<double>(tap.low));
    result.push_back(tap);
  }
  return result;
}

}  // namespace

void for_each_row(const Geometry& geometry, const std::function<void(const GridRow&)>& body) {
  const auto [planes, lines, length] = geometry.shape;
  const std::int64_t lines_per_plane = lines;
  const std::int64_t row_length = length;
  const Point3f step = point(geometry.step_mm().col(0));
  parallel_for(planes * lines, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) {
      GridRow row;
      row.plane = index / lines_per_plane;
      row.line = index % lines_per_plane;
      row.offset = index * row_length;
      row.length = row_length;
      row.start = point(geometry.world_from_index(
          {0.0, static_cast<double>(row.line), static_cast<double>(row.plane)}));
      row.step = step;
      body(row);
    }
  });
}

void blur(ScalarGrid& grid, const std::array<double, 3>& sigma_voxel) {
  for (int axis = 0; axis < 3; ++axis) {
    const double sigma = sigma_voxel[static_cast<std::size_t>(axis)];
    if (sigma > 0.0) blur_axis(grid, axis, sigma);
  }
}

void enhance_edges(ScalarGrid& grid, double amount) {
  if (amount == 0.0) return;
  const auto factor = static_cast<float>(amount);
  std::vector<float> result(grid.values.size());
  for_each_row(grid.geometry, [&](const GridRow& row) {
    const float* here = grid.values.data() + row.offset;
    const float* above = grid.values.data() + neighbour_row(grid.geometry.shape, row, 0, -1);
    const float* below = grid.values.data() + neighbour_row(grid.geometry.shape, row, 0, 1);
    const float* before = grid.values.data() + neighbour_row(grid.geometry.shape, row, 1, -1);
    const float* behind = grid.values.data() + neighbour_row(grid.geometry.shape, row, 1, 1);
    float* out = result.data() + row.offset;
    for (std::int64_t w = 0; w < row.length; ++w) {
      const float left = here[std::max<std::int64_t>(w - 1, 0)];
      const float right = here[std::min(w + 1, row.length - 1)];
      const float laplacian =
          above[w] + below[w] + before[w] + behind[w] + left + right - 6.0F * here[w];
      out[w] = here[w] - factor * laplacian;
    }
  });
  grid.values.swap(result);
}

ScalarGrid sample_linear(const ScalarGrid& source, const Geometry& target) {
  ScalarGrid result{target, std::vector<float>(static_cast<std::size_t>(target.voxels()))};
  const std::vector<Tap> d_taps = taps(source.geometry, target, 0);
  const std::vector<Tap> h_taps = taps(source.geometry, target, 1);
  const std::vector<Tap> w_taps = taps(source.geometry, target, 2);
  const std::int64_t lines = source.geometry.shape[1];
  const std::int64_t length = source.geometry.shape[2];
  for_each_row(target, [&](const GridRow& row) {
    const Tap& d = d_taps[static_cast<std::size_t>(row.plane)];
    const Tap& h = h_taps[static_cast<std::size_t>(row.line)];
    const auto line = [&](std::int64_t plane, std::int64_t index) {
      return source.values.data() + (plane * lines + index) * length;
    };
    const float* corners[4] = {
        line(d.low, h.low), line(d.low, h.high), line(d.high, h.low), line(d.high, h.high)};
    for (std::int64_t i = 0; i < row.length; ++i) {
      const Tap& w = w_taps[static_cast<std::size_t>(i)];
      const auto along = [&](const float* in) {
        return std::lerp(in[w.low], in[w.high], w.weight);
      };
      const float near = std::lerp(along(corners[0]), along(corners[1]), h.weight);
      const float far = std::lerp(along(corners[2]), along(corners[3]), h.weight);
      result.values[static_cast<std::size_t>(row.offset + i)] = std::lerp(near, far, d.weight);
    }
  });
  return result;
}

ScalarGrid coarsened(ScalarGrid source, const Geometry& target, double least_sigma) {
  std::array<double, 3> sigma{};
  for (int axis = 0; axis < 3; ++axis) {
    const double factor = target.spacing[2 - axis] / source.geometry.spacing[2 - axis];
    sigma[static_cast<std::size_t>(axis)] =
        std::max(least_sigma, 0.5 * std::sqrt(std::max(0.0, factor * factor - 1.0)));
  }
  blur(source, sigma);
  return sample_linear(source, target);
}

double field_of_view_mm(const Geometry& geometry) {
  double least = std::numeric_limits<double>::infinity();
  for (int axis = 0; axis < 3; ++axis) {
    const double side = geometry.spacing[2 - axis] * static_cast<double>(geometry.shape[axis]);
    if (geometry.shape[axis] > 1) least = std::min(least, side);
  }
  return std::isfinite(least) ? least : geometry.spacing.minCoeff();
}

std::array<std::vector<std::int64_t>, 3> nearest_indices(const Geometry& source,
                                                         const Geometry& target) {
  std::array<std::vector<std::int64_t>, 3> result;
  for (int axis = 0; axis < 3; ++axis) {
    for (const double position : positions(source, target, axis)) {
      result[static_cast<std::size_t>(axis)].push_back(std::llround(position));
    }
  }
  return result;
}

}  // namespace triptych
