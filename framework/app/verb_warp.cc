// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/registration_inputs.h"
#include "framework/app/run_files.h"
#include "framework/app/stored_image.h"
#include "framework/app/transform_coverage.h"
#include "framework/app/warp_config.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/suggest.h"
#include "framework/image/landmarks.h"
#include "framework/image/transform_io.h"
#include "framework/registration/inverse_map.h"
#include "framework/registration/warped_image.h"

#include <algorithm>
#include <cmath>
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
  if (input.contains("labels") && fill != 0.0)
    problems.add("fill", "labels are 0 where there are none; leave it away");
}

namespace {

PointMap map_of(const WarpConfig& config, const SpatialTransform& transform) {
  if (config.inverse) return InverseMap(transform);
  return [transform](const Eigen::Vector3d& fixed_mm) { return transform.map(fixed_mm); };
}

PointList mapped(PointList points, const PointMap& map) {
  for (Eigen::Vector3d& point : points) point = map(point);
  return points;
}

/// An image of which nothing falls onto the grid would be written as `fill` alone.
void check_overlap(const WarpConfig& config,
                   const PointList& in_image_mm,
                   const Geometry& grid,
                   const StoredImage& moving) {
  const bool some =
      std::any_of(in_image_mm.begin(), in_image_mm.end(), [&](const Eigen::Vector3d& point) {
        return shows(moving.geometry(), point);
      });
  if (some) return;
  throw geometry_error(
      fmt::format("{}: expected an image that falls onto the grid {}, got none of it there with {}",
                  moving.location,
                  grid.text(),
                  config.transform),
      config.inverse ? "is it the transform of another pair, or inverse=true too much?"
                     : "is it the transform of another pair, or inverse=true missing?");
}

void warp_points(const WarpConfig& config, const SpatialTransform& transform) {
  const std::string& file = config.input.at("points");
  Landmarks points;
  if (config.grid.empty()) {
    points = read_landmarks(file);
  } else {
    const ReadOptions options = read_options(config.spacing, {config.grid})(config.grid);
    points = read_landmarks(file, read_header(config.grid, options).geometry);
  }
  PointList positions;
  for (const Landmark& point : points) positions.push_back(point.position_mm);
  const PointList there = mapped(positions, map_of(config, transform));
  if (!positions.empty())
    check_covers(transform, config.inverse ? there : positions, config.transform);
  for (std::size_t i = 0; i < points.size(); ++i) points[i].position_mm = there[i];
  write_landmarks(config.output, points);
}

/// A transform of pictures says nothing about a volume, and one that leaves the plane nothing about
/// a picture.
void check_dimensions(const WarpConfig& config,
                      TransformSpace space,
                      const PointList& in_image_mm,
                      const StoredImage& moving) {
  const Geometry& image = moving.geometry();
  if (space == TransformSpace::kPlane && !image.is_2d()) {
    throw geometry_error(
        fmt::format("{}: expected a transform of volumes for {}, got one of 2D images",
                    config.transform,
                    moving.location),
        "is it the transform of another pair?");
  }
  const auto in_plane = [&](const Eigen::Vector3d& point) {
    return std::abs(image.index_from_world(point).z()) < 0.5;
  };
  if (image.is_2d() && !std::any_of(in_image_mm.begin(), in_image_mm.end(), in_plane)) {
    throw geometry_error(fmt::format("{}: expected a transform of 2D images for {}, got one that "
                                     "leads out of their plane",
                                     config.transform,
                                     moving.location),
                         "is it the transform of another pair?");
  }
}

void warp_image(const WarpConfig& config, const SpatialTransform& transform, TransformSpace space) {
  check_writable(config.output);
  const std::string& file = config.input.begin()->second;
  const std::string& grid_file = config.grid.empty() ? file : config.grid;
  const OptionsOf options = read_options(config.spacing, {file, grid_file});
  MemoryBudget budget(bytes_from_text(config.memory));
  const ImageKeeping keeping{budget, scratch_folder(config.scratch)};
  const bool labels = config.input.contains("labels");
  const StoredImage moving = labels ? store_labels(file, options(file), keeping)
                                    : store_image(file, options(file), keeping);
  const Geometry grid =
      config.grid.empty() ? moving.geometry() : read_header(grid_file, options(grid_file)).geometry;
  const PointMap map = map_of(config, transform);
  const PointList here = lattice_of(grid), there = mapped(here, map);
  check_covers(transform, config.inverse ? there : here, config.transform);
  check_dimensions(config, space, there, moving);
  check_overlap(config, there, grid, moving);
  const SampleInterpolation interpolation =
      labels ? SampleInterpolation::kNearest : sample_interpolation(config.interpolation);
  const VolumeSource warped =
      warped_image(moving.source(), map, grid, {interpolation, config.fill});
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
  check_keeps_inputs(config.input, config.output);
  check_keeps_files({{"transform", config.transform}, {"grid", config.grid}}, config.output);
  apply_threads(config.threads);
  const at::NoGradGuard no_grad;
  TransformSpace space{};
  const SpatialTransform transform = read_transform(config.transform, &space);
  if (config.input.contains("points")) {
    warp_points(config, transform);
  } else {
    warp_image(config, transform, space);
  }
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
