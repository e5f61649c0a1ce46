// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/registration_inputs.h"
#include "framework/app/run_files.h"
#include "framework/app/stored_image.h"
#include "framework/app/warp_config.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/suggest.h"
#include "framework/image/landmarks.h"
#include "framework/image/transform_io.h"
#include "framework/registration/inverse_map.h"
#include "framework/registration/warped_image.h"

#include <algorithm>
#include <cstdio>

#include <ATen/ATen.h>

namespace triptych::app {

void WarpConfig::validate(config::Problems& problems) const {
  const std::vector<std::string> roles(kWarpInputs.begin(), kWarpInputs.end());
  if (input.size() != 1 ||
      std::find(roles.begin(), roles.end(), input.begin()->first) == roles.end()) {
    problems.add("input",
                 "expects one of input.moving=<image>, input.labels=<label map> or "
                 "input.points=<landmarks>");
  }
  if (output.empty()) problems.add("output", "must be a file");
  if (!spacing.empty() && spacing.size() != 3)
    problems.add("spacing", "expects three values [x, y, z] in mm");
  if (input.contains("labels") && interpolation != "linear" && interpolation != "nearest")
    problems.add("interpolation", "labels are not interpolated; leave it away");
  if (input.contains("points") && !grid.empty() && !inverse)
    problems.add("grid", "points need no grid, unless inverse=true");
}

namespace {

/// Points of a lattice over `grid`, of which there are a few ten thousand at most.
PointList lattice_of(const Geometry& grid) {
  constexpr std::int64_t kLattice = 24;
  PointList points;
  Index3 step;
  for (std::size_t axis = 0; axis < 3; ++axis)
    step[axis] = std::max<std::int64_t>(1, grid.shape[axis] / kLattice);
  for (std::int64_t d = 0; d < grid.shape[0]; d += step[0]) {
    for (std::int64_t h = 0; h < grid.shape[1]; h += step[1]) {
      for (std::int64_t w = 0; w < grid.shape[2]; w += step[2]) {
        points.push_back(grid.world_from_index(
            {static_cast<double>(w), static_cast<double>(h), static_cast<double>(d)}));
      }
    }
  }
  return points;
}

bool contains(const Geometry& grid, const Eigen::Vector3d& position_mm) {
  const Eigen::Vector3d index = grid.index_from_world(position_mm);
  for (int axis = 0; axis < 3; ++axis) {
    const auto size = static_cast<double>(grid.shape[static_cast<std::size_t>(2 - axis)]);
    if (!(index[axis] >= -0.5 && index[axis] <= size - 0.5)) return false;
  }
  return true;
}

/// Beyond its grid a displacement field moves nothing: a field of another image would go unnoticed.
void check_covers(const SpatialTransform& transform, PointList points, const std::string& file) {
  for (const SpatialTransform::Stage& stage : transform.stages()) {
    if (const auto* field = std::get_if<DisplacementField>(&stage)) {
      const auto outside = std::count_if(points.begin(), points.end(), [&](const auto& point) {
        return !contains(field->geometry, point);
      });
      if (outside == static_cast<std::ptrdiff_t>(points.size())) {
        throw geometry_error(
            fmt::format("{}: expected a displacement field where the image lies, got one of {} "
                        "that covers none of it",
                        file,
                        field->geometry.text()),
            "is it the transform of another image, or inverse=true missing?");
      }
      if (outside > 0) {
        TRIPTYCH_LOG(
            warning,
            "{}: the displacement field covers {:.3g} % of the grid; nothing is displaced "
            "beyond it",
            file,
            100.0 * (1.0 - static_cast<double>(outside) / static_cast<double>(points.size())));
      }
    }
    for (Eigen::Vector3d& point : points)
      point = std::visit([&](const auto& part) { return part.map(point); }, stage);
  }
}

PointMap map_of(const WarpConfig& config, const SpatialTransform& transform) {
  if (config.inverse) return InverseMap(transform);
  return [transform](const Eigen::Vector3d& fixed_mm) { return transform.map(fixed_mm); };
}

void warp_points(const WarpConfig& config, const SpatialTransform& transform) {
  const ReadOptions options = read_options(config.spacing);
  const std::string& file = config.input.at("points");
  const Landmarks points = config.grid.empty()
                               ? read_landmarks(file)
                               : read_landmarks(file, read_header(config.grid, options).geometry);
  PointList positions;
  for (const Landmark& point : points) positions.push_back(point.position_mm);
  if (!config.inverse && !positions.empty()) check_covers(transform, positions, config.transform);
  const PointMap map = map_of(config, transform);
  Landmarks result;
  for (const Landmark& point : points) result.push_back({point.label, map(point.position_mm)});
  write_landmarks(config.output, result);
}

void warp_image(const WarpConfig& config, const SpatialTransform& transform) {
  check_writable(config.output);
  const ReadOptions options = read_options(config.spacing);
  MemoryBudget budget(bytes_from_text(config.memory));
  const ImageKeeping keeping{budget, scratch_folder(config.scratch)};
  const bool labels = config.input.contains("labels");
  const StoredImage moving = labels ? store_labels(config.input.at("labels"), options, keeping)
                                    : store_image(config.input.at("moving"), options, keeping);
  const Geometry grid =
      config.grid.empty() ? moving.geometry() : read_header(config.grid, options).geometry;
  if (!config.inverse) check_covers(transform, lattice_of(grid), config.transform);
  const SampleInterpolation interpolation =
      labels ? SampleInterpolation::kNearest : sample_interpolation(config.interpolation);
  const VolumeSource warped =
      warped_image(moving.source(), map_of(config, transform), grid, {interpolation, config.fill});
  if (labels) {
    write_labels(
        config.output, warped, numbered_classes(static_cast<std::int64_t>(moving.highest) + 1));
  } else {
    write_volume(config.output, warped);
  }
}

}  // namespace

int warp_files(const CommandLine& command) {
  const auto config = config::read<WarpConfig>(words_to_node(command));
  std::map<std::string, std::string> files = config.input;
  files["transform"] = config.transform;
  check_keeps_inputs(files, config.output);
  apply_threads(config.threads);
  const at::NoGradGuard no_grad;
  const SpatialTransform transform = read_transform(config.transform);
  if (config.input.contains("points")) {
    warp_points(config, transform);
  } else {
    warp_image(config, transform);
  }
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
