// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/elastic_field.h"
#include "framework/image/geometry.h"

#include <array>
#include <optional>

#include <Eigen/Core>

namespace triptych {

/// How a spatial transform moves the content of one frame from its input grid to an output grid.
///
/// Convention (indices in voxels, x, y, z):  input_index = matrix * (output_index +
/// elastic(output_index)) + offset. An image is pulled along it; a point of the world goes the
/// other way, from where its content was to where it lands: world_out =
/// output.world(output_from_input(input.index(world_in))).
struct GridMap {
  Geometry input;
  Geometry output;
  Eigen::Matrix3d matrix = Eigen::Matrix3d::Identity();
  Eigen::Vector3d offset = Eigen::Vector3d::Zero();
  std::optional<ElasticField> elastic;
  /// Where the elastic field is asked, when it lies on another grid than the output: at matrix *
  /// output_index + offset; its answer is turned back.
  struct ElasticPlace {
    Eigen::Matrix3d matrix;
    Eigen::Vector3d offset;
  };
  std::optional<ElasticPlace> elastic_place;
  /// Gaussian [D, H, W] in input voxels that intensities are smoothed with before they are sampled
  /// more coarsely.
  std::array<double, 3> smoothing_sigma{0.0, 0.0, 0.0};

  /// Elastic displacement in output voxels; zero without a field.
  Eigen::Vector3d bend(const Eigen::Vector3d& output_index) const;
  Eigen::Vector3d input_from_output(const Eigen::Vector3d& index) const;
  /// The inverse; with an elastic field by fixed-point iteration to 1e-9 voxels.
  Eigen::Vector3d output_from_input(const Eigen::Vector3d& index) const;
  /// Where the content at a world position of the input lands.
  Eigen::Vector3d output_world(const Eigen::Vector3d& input_world_mm) const;
  /// Where the content at a world position of the output came from.
  Eigen::Vector3d input_world(const Eigen::Vector3d& output_world_mm) const;
  /// Derivative of output_world with respect to input_world_mm, at an output index.
  Eigen::Matrix3d world_jacobian(const Eigen::Vector3d& output_index) const;
};

/// Output axis i [D, H, W] runs along input axis order[i], backwards when flipped[i]. The content
/// turns about the grid's centre, which stays in the world; directions stay, sizes and spacings go
/// with the axes.
GridMap permuted_axes(const Geometry& input,
                      const std::array<int, 3>& order,
                      const std::array<bool, 3>& flipped);

/// The same motion of the world for an entry of the frame on a grid of its own. Its output grid has
/// the axes of the map's output, and to that the voxel size, number of voxels and shift that `grid`
/// has to the map's input, so a motion that changes no size keeps that of the entry. Axes of both
/// grids should run alike.
GridMap on_grid(const GridMap& map, const Geometry& grid);

/// The grid of `region` of the input, which may stick out; content stays where it is in the world.
GridMap cut_out(const Geometry& input, const Region& region);

}  // namespace triptych
