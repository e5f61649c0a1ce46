// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/warped_image.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/stop.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <Eigen/LU>

namespace triptych {

namespace {

constexpr std::int64_t kTileEdge = 96;
constexpr std::int64_t kReach = 2;  ///< voxels beyond a position that cubic interpolation asks for

/// Where the voxels of a tile lie in the moving image, in voxels (x, y, z), held to its grid.
struct TilePositions {
  Eigen::Vector3d base;     ///< whole numbers near the first position
  at::Tensor displacement;  ///< [1, 3, d, h, w]: position - base - the voxel's index in the tile
  at::Tensor inside;        ///< [d, h, w] bool
  Eigen::AlignedBox3d box;  ///< of the positions inside; empty without any
};

/// Indices in tensor order as a vector in ITK's.
Eigen::Vector3d xyz(const Index3& index) {
  return {
      static_cast<double>(index[2]), static_cast<double>(index[1]), static_cast<double>(index[0])};
}

/// A region of a tile's own indices as one of the grid that it begins at `offset` of.
Region moved(const Region& region, const Index3& offset) {
  Region result = region;
  for (std::size_t axis = 0; axis < 3; ++axis) result.start[axis] += offset[axis];
  return result;
}

std::vector<Region> tiles_of(const Index3& size) {
  std::vector<Region> tiles;
  for (std::int64_t d = 0; d < size[0]; d += kTileEdge) {
    for (std::int64_t h = 0; h < size[1]; h += kTileEdge) {
      for (std::int64_t w = 0; w < size[2]; w += kTileEdge) {
        tiles.push_back({{d, h, w},
                         {std::min(kTileEdge, size[0] - d),
                          std::min(kTileEdge, size[1] - h),
                          std::min(kTileEdge, size[2] - w)}});
      }
    }
  }
  return tiles;
}

/// Rounded and clamped to what an integer type holds.
at::Tensor as_type(const at::Tensor& values, at::ScalarType type) {
  if (c10::isFloatingType(type)) return values.to(type);
  const auto limited = [&](double low, double high) {
    return values.round().clamp_(low, high).to(type);
  };
  switch (type) {
    case at::kByte:
      return limited(0.0, 255.0);
    case at::kChar:
      return limited(-128.0, 127.0);
    case at::kShort:
      return limited(-32768.0, 32767.0);
    default:  // float32 holds no larger integer than it came from
      return values.round().to(type);
  }
}

class WarpedImage {
 public:
  WarpedImage(const VolumeSource& moving,
              const PointMap& map,
              const Geometry& grid,
              const WarpedImageOptions& options)
      : moving_(moving),
        map_(map),
        grid_(grid),
        options_(options),
        index_from_mm_(moving.geometry.step_mm().inverse()) {}

  at::Tensor read(std::int64_t channel, const Region& region) const {
    at::Tensor result =
        at::empty(at::IntArrayRef(region.size), at::TensorOptions().dtype(moving_.type));
    for (const Region& tile : tiles_of(region.size)) {
      check_not_stopped("warping");
      at::Tensor target = result;
      for (std::size_t axis = 0; axis < 3; ++axis)
        target = target.narrow(static_cast<std::int64_t>(axis), tile.start[axis], tile.size[axis]);
      target.copy_(read_tile(channel, moved(tile, region.start)));
    }
    return result;
  }

 private:
  at::Tensor read_tile(std::int64_t channel, const Region& tile) const {
    const TilePositions positions = positions_of(tile);
    const at::Tensor fill = as_type(at::scalar_tensor(options_.fill, at::kDouble), moving_.type);
    if (positions.box.isEmpty()) return fill.expand(at::IntArrayRef(tile.size));
    const Region needed = region_under(positions.box);
    const at::Tensor values = moving_.read(channel, needed);
    const at::Tensor sampled = options_.interpolation == SampleInterpolation::kNearest
                                   ? nearest(values, positions, needed)
                                   : as_type(interpolated(values, positions, needed), moving_.type);
    return at::where(positions.inside, sampled, fill);
  }

  /// Index in the moving image of a voxel of the grid.
  Eigen::Vector3d index_of(const Eigen::Vector3d& voxel) const {
    return index_from_mm_ * (map_(grid_.world_from_index(voxel)) - moving_.geometry.origin);
  }

  TilePositions positions_of(const Region& tile) const {
    const auto& [depth, height, width] = tile.size;
    const Eigen::Vector3d start = xyz(tile.start);
    TilePositions result{held(index_of(start)).array().round(),
                         at::empty({1, 3, depth, height, width}, at::kFloat),
                         at::empty({depth, height, width}, at::kBool),
                         {}};
    auto* displacement = result.displacement.data_ptr<float>();
    bool* inside = result.inside.data_ptr<bool>();
    const std::int64_t voxels = tile.voxels();
    std::vector<Eigen::AlignedBox3d> boxes(static_cast<std::size_t>(depth * height));
    parallel_for(depth * height, 16, [&, this](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        for (std::int64_t x = 0; x < tile.size[2]; ++x) {
          const Eigen::Vector3d own = xyz({line / tile.size[1], line % tile.size[1], x});
          const Eigen::Vector3d position = index_of(start + own);
          const Eigen::Vector3d kept = held(position);
          const std::int64_t voxel = line * tile.size[2] + x;
          inside[voxel] = is_inside(position);
          if (inside[voxel]) boxes[static_cast<std::size_t>(line)].extend(kept);
          for (int axis = 0; axis < 3; ++axis) {
            displacement[axis * voxels + voxel] =
                static_cast<float>(kept[axis] - result.base[axis] - own[axis]);
          }
        }
      }
    });
    for (const Eigen::AlignedBox3d& box : boxes) result.box.extend(box);
    return result;
  }

  double last(int axis_xyz) const {
    return static_cast<double>(moving_.geometry.shape[static_cast<std::size_t>(2 - axis_xyz)] - 1);
  }

  /// Within half a voxel of the outermost voxel centres; along an axis of one voxel everything is.
  bool is_inside(const Eigen::Vector3d& position) const {
    constexpr double kHalf = 0.5 + 1e-9;  // rounding must not decide about the outer faces
    bool within = position.allFinite();
    for (int axis = 0; axis < 3; ++axis) {
      within = within && (last(axis) == 0.0 ||
                          (position[axis] >= -kHalf && position[axis] <= last(axis) + kHalf));
    }
    return within;
  }

  /// The nearest position between voxel centres.
  Eigen::Vector3d held(const Eigen::Vector3d& position) const {
    if (!position.allFinite()) return Eigen::Vector3d::Zero();
    return position.cwiseMax(0.0).cwiseMin(Eigen::Vector3d(last(0), last(1), last(2)));
  }

  /// The part of the moving image that positions in `box` read.
  Region region_under(const Eigen::AlignedBox3d& box) const {
    Region region;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto component = static_cast<Eigen::Index>(2 - axis);
      const auto first = static_cast<std::int64_t>(std::floor(box.min()[component]));
      const auto final = static_cast<std::int64_t>(std::ceil(box.max()[component]));
      const std::int64_t size = moving_.geometry.shape[axis];
      region.start[axis] = std::clamp<std::int64_t>(first - kReach, 0, size - 1);
      region.size[axis] =
          std::clamp<std::int64_t>(final + kReach, 0, size - 1) - region.start[axis] + 1;
    }
    return region;
  }

  static at::Tensor nearest(const at::Tensor& values,
                            const TilePositions& positions,
                            const Region& from) {
    at::Tensor offset;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      const auto place = static_cast<std::size_t>(axis);
      std::vector<std::int64_t> along = {1, 1, 1};
      along[place] = -1;
      const at::Tensor own = at::arange(positions.inside.size(axis), at::kFloat).view(along) +
                             (positions.base[2 - axis] - static_cast<double>(from.start[place]));
      const at::Tensor index = (positions.displacement[0][2 - axis] + own + 0.5)
                                   .floor()
                                   .to(at::kLong)
                                   .clamp(0, from.size[place] - 1);
      offset = axis == 0 ? index : offset * from.size[place] + index;
    }
    return values.contiguous().flatten().index_select(0, offset.flatten()).view_as(offset);
  }

  at::Tensor interpolated(const at::Tensor& values,
                          const TilePositions& positions,
                          const Region& from) const {
    Geometry source, target;
    source.shape = from.size;
    source.origin = xyz(from.start) - positions.base;
    const at::IntArrayRef size = positions.inside.sizes();
    target.shape = {size[0], size[1], size[2]};
    WarpOptions options;
    options.padding = WarpPadding::kEdge;
    if (options_.interpolation == SampleInterpolation::kCubic)
      options.interpolation = WarpInterpolation::kCubic;
    return warp(values.to(at::kFloat).unsqueeze(0).unsqueeze(0),
                source,
                positions.displacement,
                target,
                options)[0][0];
  }

  VolumeSource moving_;
  PointMap map_;
  Geometry grid_;
  WarpedImageOptions options_;
  Eigen::Matrix3d index_from_mm_;
};

}  // namespace

SampleInterpolation sample_interpolation(const std::string& name) {
  if (name == "nearest") return SampleInterpolation::kNearest;
  if (name == "linear") return SampleInterpolation::kLinear;
  if (name == "cubic") return SampleInterpolation::kCubic;
  throw usage_error(
      fmt::format("interpolation: expected nearest, linear or cubic, got '{}'", name));
}

void check_fill(double fill, at::ScalarType type) {
  if (c10::isFloatingType(type)) return;
  const auto held = [&] {
    return as_type(at::scalar_tensor(fill, at::kDouble), type).to(at::kDouble).item<double>();
  };
  if (std::isfinite(fill) && held() == fill) return;
  throw usage_error(
      fmt::format("fill: expected a value that the image's {} voxels can hold, got {:g}",
                  c10::elementSize(type) == 1 ? "8-bit" : "integer",
                  fill));
}

VolumeSource warped_image(const VolumeSource& moving,
                          const PointMap& moving_from_fixed,
                          const Geometry& grid,
                          const WarpedImageOptions& options) {
  check_valid(moving.geometry, "image to warp");
  check_valid(grid, "grid to warp onto");
  check_fill(options.fill, moving.type);
  const WarpedImage image(moving, moving_from_fixed, grid, options);
  return {grid, moving.channels, moving.type, [image](std::int64_t channel, const Region& region) {
            return image.read(channel, region);
          }};
}

VolumeSource warped_image(const VolumeSource& moving,
                          const SpatialTransform& moving_from_fixed,
                          const Geometry& grid,
                          const WarpedImageOptions& options) {
  const PointMap map = [moving_from_fixed](const Eigen::Vector3d& fixed_mm) {
    return moving_from_fixed.map(fixed_mm);
  };
  return warped_image(moving, map, grid, options);
}

}  // namespace triptych
