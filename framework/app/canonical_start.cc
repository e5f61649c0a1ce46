// SPDX-License-Identifier: Apache-2.0
#include "framework/app/canonical_start.h"

#include "framework/app/run_heads.h"
#include "framework/core/error.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <Eigen/Geometry>

namespace triptych::app {
namespace {

constexpr const char* kPoseHead = "canonical_pose";
constexpr double kMostVoxels = 1 << 24;
constexpr double kUncovered = 0.25;    ///< of a multiple: what may stay outside of the grid
constexpr double kFewestVoxels = 4.0;  ///< along an axis of the image

/// The outer faces of a grid along `axes`, in mm.
Eigen::AlignedBox3d field_of_view(const Geometry& grid, const Eigen::Matrix3d& axes) {
  Eigen::AlignedBox3d box;
  for (int corner = 0; corner < 8; ++corner) {
    Eigen::Vector3d index;
    for (int axis = 0; axis < 3; ++axis) {
      const auto size = static_cast<double>(grid.shape[static_cast<std::size_t>(2 - axis)]);
      index[axis] = (corner >> axis & 1) != 0 ? size - 0.5 : -0.5;
    }
    box.extend(Eigen::Vector3d(axes.transpose() * grid.world_from_index(index)));
  }
  return box;
}

/// A grid of cubic voxels about the field of view of `grid`: along the axes of the world or, of a
/// planar image, of the plane. Sizes are multiples [D, H, W] of what the network needs; a grid much
/// larger than the image would change the statistics that it normalises by.
Geometry network_grid(const Geometry& grid,
                      double spacing_mm,
                      const std::array<std::int64_t, 3>& multiple) {
  Geometry result;
  if (grid.is_2d()) result.direction = grid.direction;
  result.spacing.setConstant(spacing_mm);
  result.spacing_known = grid.spacing_known;
  const Eigen::AlignedBox3d box = field_of_view(grid, result.direction);
  Eigen::Vector3d last;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    const auto step = static_cast<double>(multiple[a]);
    const double steps =
        std::max(1.0, std::ceil(box.sizes()[axis] / (step * spacing_mm) - kUncovered));
    result.shape[a] =
        grid.shape[a] == 1 && grid.is_2d() ? 1 : static_cast<std::int64_t>(steps * step);
    last[axis] = static_cast<double>(result.shape[a] - 1);
  }
  result.origin = result.direction * (box.center() - 0.5 * spacing_mm * last);
  return result;
}

/// Whether voxels of this size show an image of `grid` at all, and not in too much detail.
bool suits(double spacing_mm, const Geometry& grid, const Geometry& network) {
  for (std::size_t axis = grid.is_2d() ? 1 : 0; axis < 3; ++axis) {
    const double length_mm =
        grid.spacing[static_cast<Eigen::Index>(2 - axis)] * static_cast<double>(grid.shape[axis]);
    if (length_mm < kFewestVoxels * spacing_mm) return false;
  }
  return static_cast<double>(network.voxels()) <= kMostVoxels;
}

class PoseNetwork {
 public:
  PoseNetwork(const RegisterKeys& keys, bool planar)
      : run_(keys.run),
        trained_(open_image_task(
            keys,
            task_with_head(keys, {kPoseHead}, "experiment=canonical_frame trains one"),
            {"image"},
            planar)),
        network_(volume_network(trained_.experiment->model(),
                                trained_.key,
                                trained_.inputs.front().modality,
                                trained_.experiment->device(),
                                [](const Prediction& prediction) { return prediction.value; })),
        spacing_mm_(trained_.experiment->node()
                        .at("tasks")
                        .at(trained_.key)
                        .at("head")
                        .at("spacing_mm")
                        .as_double()) {}

  /// Positions of the canonical frame to those of the image.
  AffineMap pose(const RegistrationImage& image) const {
    const Geometry grid = network_grid(image.geometry, spacing_mm_, network_.size_multiple);
    if (!suits(spacing_mm_, image.geometry, grid)) {
      throw geometry_error(
          fmt::format("{}: the head {} sees voxels of {:g} mm: expected a field of view of its "
                      "scale, got {}",
                      run_,
                      kPoseHead,
                      spacing_mm_,
                      image.geometry.text()),
          "train with the spacing_mm of such images");
    }
    const RegistrationImage coarse = coarser(image, Eigen::Vector3d::Constant(spacing_mm_));
    const at::Tensor none = at::zeros({1, 3, grid.shape[0], grid.shape[1], grid.shape[2]});
    const at::Tensor seen = warp(coarse.values,
                                 coarse.geometry,
                                 none,
                                 grid,
                                 {WarpInterpolation::kLinear, WarpPadding::kEdge});
    BatchEntry entry;
    entry.data = network_values(trained_, seen[0]).unsqueeze(0);
    entry.items = {0};
    entry.geometry = {grid};
    entry.modality = network_.modality;
    Batch batch;
    batch.ids = {"image"};
    batch.entries.emplace("image", std::move(entry));
    const at::Tensor points =
        network_.predict(batch.to(network_.device)).value[0].to(at::kCPU, at::kDouble);
    const auto p = points.accessor<double, 2>();
    AffineMap map;
    for (int row = 0; row < 3; ++row) {
      map.offset[row] = p[0][row];
      for (int axis = 0; axis < 3; ++axis) map.matrix(row, axis) = p[axis + 1][row] - p[0][row];
    }
    return map;
  }

 private:
  std::string run_;
  TrainedTask trained_;
  VolumeNetwork network_;
  double spacing_mm_;
};

}  // namespace

AffineMap canonical_start(const RegistrationImage& fixed,
                          const RegistrationImage& moving,
                          const RegisterKeys& keys) {
  const PoseNetwork network(keys, moving.geometry.is_2d());
  return compose(network.pose(moving), network.pose(fixed).inverse());
}

}  // namespace triptych::app
