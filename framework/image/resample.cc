// SPDX-License-Identifier: Apache-2.0
#include "framework/image/resample.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/image/smooth.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <Eigen/LU>
#include <fmt/core.h>

namespace triptych {
namespace {

// Rounding noise of the world transform must decide neither what lies outside nor which neighbour
// wins a tie.
constexpr double kNoise = 1e-6;

/// Continuous source index (x, y, z) = matrix * target index + offset.
struct IndexMap {
  Eigen::Matrix3d matrix;
  Eigen::Vector3d offset;

  Eigen::Vector3d at(std::int64_t x, std::int64_t y, std::int64_t z) const {
    return matrix * Eigen::Vector3d(
                        static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)) +
           offset;
  }
};

IndexMap index_map(const Geometry& source, const Geometry& target) {
  const Eigen::Matrix3d source_inverse = source.step_mm().inverse();
  return {source_inverse * target.step_mm(), source_inverse * (target.origin - source.origin)};
}

/// The two neighbours of a continuous position along one axis of `size` voxels, or none outside.
struct Neighbours {
  std::int64_t lower = 0;
  std::int64_t upper = 0;
  float weight = 0.0f;  ///< of `upper`
  bool inside = false;
};

Neighbours neighbours(double position, std::int64_t size) {
  Neighbours result;
  const double last = static_cast<double>(size - 1);
  if (!(position >= -0.5 - kNoise && position <= last + 0.5 + kNoise)) return result;
  const double clamped = std::clamp(position, 0.0, last);
  result.lower = std::min(static_cast<std::int64_t>(clamped), std::max<std::int64_t>(size - 2, 0));
  result.upper = std::min(result.lower + 1, size - 1);
  result.weight = static_cast<float>(clamped - static_cast<double>(result.lower));
  result.inside = true;
  return result;
}

/// Index of the nearest voxel centre, ties towards the higher index, or -1 outside.
std::int64_t nearest_index(double position, std::int64_t size) {
  if (!(position >= -0.5 - kNoise && position <= static_cast<double>(size) - 0.5 + kNoise))
    return -1;
  return std::clamp<std::int64_t>(std::llround(std::floor(position + 0.5 + kNoise)), 0, size - 1);
}

float mix(float a, float b, float weight) { return a + weight * (b - a); }

/// One channel of the source and where it goes; contiguous [D, H, W].
struct Channel {
  const float* source;
  float* target;
};

float sample_linear(const float* source,
                    const Index3& shape,
                    const Eigen::Vector3d& position,
                    float fill) {
  const Neighbours x = neighbours(position[0], shape[2]);
  const Neighbours y = neighbours(position[1], shape[1]);
  const Neighbours z = neighbours(position[2], shape[0]);
  if (!x.inside || !y.inside || !z.inside) return fill;
  const auto row = [&](std::int64_t zi, std::int64_t yi) {
    const float* line = source + (zi * shape[1] + yi) * shape[2];
    return mix(line[x.lower], line[x.upper], x.weight);
  };
  return mix(mix(row(z.lower, y.lower), row(z.lower, y.upper), y.weight),
             mix(row(z.upper, y.lower), row(z.upper, y.upper), y.weight),
             z.weight);
}

void linear_any_direction(const Channel& channel,
                          const Index3& shape,
                          const Index3& target,
                          const IndexMap& map,
                          float fill) {
  parallel_for(target[0] * target[1], 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t z = line / target[1];
      const std::int64_t y = line % target[1];
      float* out = channel.target + line * target[2];
      for (std::int64_t x = 0; x < target[2]; ++x) {
        out[x] = sample_linear(channel.source, shape, map.at(x, y, z), fill);
      }
    }
  });
}

std::vector<Neighbours> axis_table(const IndexMap& map,
                                   int axis_xyz,
                                   std::int64_t count,
                                   std::int64_t size) {
  std::vector<Neighbours> table(count);
  for (std::int64_t index = 0; index < count; ++index) {
    const double position =
        map.matrix(axis_xyz, axis_xyz) * static_cast<double>(index) + map.offset[axis_xyz];
    table[index] = neighbours(position, size);
  }
  return table;
}

/// Same axes on both sides: the weights of an axis are computed once, and four source rows mix into
/// one first.
void linear_same_axes(const Channel& channel,
                      const Index3& shape,
                      const Index3& target,
                      const IndexMap& map,
                      float fill) {
  const auto table_x = axis_table(map, 0, target[2], shape[2]);
  const auto table_y = axis_table(map, 1, target[1], shape[1]);
  const auto table_z = axis_table(map, 2, target[0], shape[0]);
  parallel_for(target[0] * target[1], 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> mixed(shape[2]);
    for (std::int64_t line = begin; line < end; ++line) {
      float* out = channel.target + line * target[2];
      const Neighbours& z = table_z[line / target[1]];
      const Neighbours& y = table_y[line % target[1]];
      if (!z.inside || !y.inside) {
        std::fill_n(out, target[2], fill);
        continue;
      }
      const auto row = [&](std::int64_t zi, std::int64_t yi) {
        return channel.source + (zi * shape[1] + yi) * shape[2];
      };
      const float* rows[4] = {row(z.lower, y.lower),
                              row(z.lower, y.upper),
                              row(z.upper, y.lower),
                              row(z.upper, y.upper)};
      for (std::int64_t x = 0; x < shape[2]; ++x) {
        mixed[x] = mix(
            mix(rows[0][x], rows[1][x], y.weight), mix(rows[2][x], rows[3][x], y.weight), z.weight);
      }
      for (std::int64_t x = 0; x < target[2]; ++x) {
        const Neighbours& n = table_x[x];
        out[x] = n.inside ? mix(mixed[n.lower], mixed[n.upper], n.weight) : fill;
      }
    }
  });
}

bool is_diagonal(const Eigen::Matrix3d& matrix) {
  const Eigen::Matrix3d rest = matrix - Eigen::Matrix3d(matrix.diagonal().asDiagonal());
  return rest.cwiseAbs().maxCoeff() < 1e-12;
}

/// Steps of the target in source voxels per source axis (x, y, z); the length of a row covers
/// rotated grids too.
Eigen::Vector3d shrink_factors(const IndexMap& map) { return map.matrix.rowwise().norm(); }

at::Tensor resample_linear(const at::Tensor& data,
                           const Index3& shape,
                           const Index3& target,
                           const IndexMap& map,
                           double fill) {
  at::Tensor source = data.to(at::kCPU, at::kFloat).contiguous();
  const Eigen::Vector3d factors = shrink_factors(map);
  for (int axis = 0; axis < 3; ++axis) {
    if (factors[axis] > 1.0 + kNoise) {
      source = smooth_axis(source, 3 - axis, 0.5 * std::sqrt(factors[axis] * factors[axis] - 1.0));
    }
  }
  const std::int64_t channels = source.size(0);
  at::Tensor result = at::empty({channels, target[0], target[1], target[2]}, at::kFloat);
  const std::int64_t source_voxels = shape[0] * shape[1] * shape[2];
  const std::int64_t target_voxels = target[0] * target[1] * target[2];
  for (std::int64_t c = 0; c < channels; ++c) {
    const Channel channel{source.data_ptr<float>() + c * source_voxels,
                          result.data_ptr<float>() + c * target_voxels};
    const auto run = is_diagonal(map.matrix) ? linear_same_axes : linear_any_direction;
    run(channel, shape, target, map, static_cast<float>(fill));
  }
  return result;
}

/// Copies voxels as words of their size, so that one function serves every type.
template <typename Word>
void copy_nearest(const at::Tensor& source,
                  at::Tensor& result,
                  const Index3& shape,
                  const IndexMap& map,
                  const at::Tensor& fill) {
  const auto* from = static_cast<const Word*>(source.data_ptr());
  auto* to = static_cast<Word*>(result.data_ptr());
  const Word outside = *static_cast<const Word*>(fill.data_ptr());
  const Index3 target{result.size(1), result.size(2), result.size(3)};
  const std::int64_t lines = target[0] * target[1];
  parallel_for(result.size(0) * lines, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t channel = line / lines;
      const std::int64_t z = line % lines / target[1];
      const std::int64_t y = line % target[1];
      for (std::int64_t x = 0; x < target[2]; ++x) {
        const Eigen::Vector3d position = map.at(x, y, z);
        const std::int64_t xi = nearest_index(position[0], shape[2]);
        const std::int64_t yi = nearest_index(position[1], shape[1]);
        const std::int64_t zi = nearest_index(position[2], shape[0]);
        const bool inside = xi >= 0 && yi >= 0 && zi >= 0;
        to[line * target[2] + x] =
            inside ? from[((channel * shape[0] + zi) * shape[1] + yi) * shape[2] + xi] : outside;
      }
    }
  });
}

at::Tensor resample_nearest(const at::Tensor& data,
                            const Index3& shape,
                            const Index3& target,
                            const IndexMap& map,
                            double fill) {
  const at::Tensor source = data.to(at::kCPU).contiguous();
  at::Tensor result =
      at::empty({source.size(0), target[0], target[1], target[2]}, source.options());
  const at::Tensor outside = at::full({1}, fill, at::kDouble).to(source.scalar_type());
  switch (source.element_size()) {
    case 1:
      copy_nearest<std::uint8_t>(source, result, shape, map, outside);
      break;
    case 2:
      copy_nearest<std::uint16_t>(source, result, shape, map, outside);
      break;
    case 4:
      copy_nearest<std::uint32_t>(source, result, shape, map, outside);
      break;
    case 8:
      copy_nearest<std::uint64_t>(source, result, shape, map, outside);
      break;
    default:
      throw shape_error("resample: expected real voxels, got complex ones");
  }
  return result;
}

}  // namespace

Volume resample(const Volume& volume,
                const Geometry& target,
                Interpolation interpolation,
                double fill) {
  check_volume(volume, "resample");
  check_valid(target, "resample target");
  if (volume.geometry.spacing_known != target.spacing_known) {
    throw geometry_error(fmt::format("resample: expected both spacings to be known, got {} and {}",
                                     volume.geometry.text(),
                                     target.text()),
                         "state the missing one with spacing=");
  }
  const IndexMap map = index_map(volume.geometry, target);
  Volume result = volume;
  result.geometry = target;
  const auto run = interpolation == Interpolation::kLinear ? resample_linear : resample_nearest;
  result.data = run(volume.data, volume.geometry.shape, target.shape, map, fill);
  return result;
}

Volume resample_to_spacing(const Volume& volume,
                           const Eigen::Vector3d& spacing_mm,
                           Interpolation interpolation) {
  return resample(volume, volume.geometry.resampled_to(spacing_mm), interpolation);
}

}  // namespace triptych
