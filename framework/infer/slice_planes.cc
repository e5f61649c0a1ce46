// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/slice_planes.h"

#include "framework/core/error.h"
#include "framework/data/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace triptych {
namespace {

constexpr const char* kAlignedNames[3] = {"rc", "pc", "pr"};
constexpr const char* kAxisNames[3] = {"p", "r", "c"};

/// Samples at unit distance that cover the volume's extent along a unit direction, centred on it.
std::int64_t samples_along(const Eigen::Vector3d& direction, const Index3& shape) {
  double extent = 0.0;
  for (int k = 0; k < 3; ++k) extent += std::abs(direction[k]) * static_cast<double>(shape[k] - 1);
  return static_cast<std::int64_t>(std::ceil(extent - 1e-6)) + 1;
}

void place_grid(PlaneSet& planes, const Index3& shape) {
  planes.slices = samples_along(planes.normal, shape);
  planes.rows = samples_along(planes.row, shape);
  planes.columns = samples_along(planes.column, shape);
  Eigen::Vector3d centre;
  for (int k = 0; k < 3; ++k) centre[k] = 0.5 * static_cast<double>(shape[k] - 1);
  planes.origin = centre - 0.5 * static_cast<double>(planes.slices - 1) * planes.normal -
                  0.5 * static_cast<double>(planes.rows - 1) * planes.row -
                  0.5 * static_cast<double>(planes.columns - 1) * planes.column;
}

PlaneSet aligned_planes(const Index3& shape, int axis) {
  PlaneSet planes;
  planes.name = kAlignedNames[axis];
  planes.axis = axis;
  planes.normal = Eigen::Vector3d::Unit(kSliceOrder[axis][0]);
  planes.row = Eigen::Vector3d::Unit(kSliceOrder[axis][1]);
  planes.column = Eigen::Vector3d::Unit(kSliceOrder[axis][2]);
  place_grid(planes, shape);
  planes.origin = Eigen::Vector3d::Zero();  // exactly, so that sampling hits voxels exactly
  return planes;
}

PlaneSet turned_planes(const Index3& shape, int axis, int about) {
  const double half_root = std::sqrt(0.5);
  const int first = about == 0 ? 1 : 0, second = about == 2 ? 1 : 2;
  const auto turned = [&](const Eigen::Vector3d& v) {
    Eigen::Vector3d result = v;
    result[first] = half_root * (v[first] - v[second]);
    result[second] = half_root * (v[first] + v[second]);
    return result;
  };
  PlaneSet planes = aligned_planes(shape, axis);
  planes.name += std::string("+45") + kAxisNames[about];
  planes.axis_aligned = false;
  planes.normal = turned(planes.normal);
  planes.row = turned(planes.row);
  planes.column = turned(planes.column);
  place_grid(planes, shape);
  return planes;
}

/// Narrows [low, high] to the parameters t with 0 <= start + t * step <= last.
void clip_line(double start, double step, double last, double& low, double& high) {
  const double a = -kInsideTolerance - start, b = last + kInsideTolerance - start;
  if (std::abs(step) < 1e-12) {
    if (a > 0.0 || b < 0.0) high = -std::numeric_limits<double>::infinity();
    return;
  }
  low = std::max(low, std::min(a / step, b / step));
  high = std::min(high, std::max(a / step, b / step));
}

}  // namespace

std::vector<PlaneSet> make_plane_sets(const Index3& shape, int count) {
  if (count != 1 && count != 3 && count != 9) {
    throw ConfigError("schema", fmt::format("infer.planes: expected 1, 3 or 9, got {}", count));
  }
  std::vector<PlaneSet> sets = {aligned_planes(shape, 0)};
  if (count == 1) return sets;
  for (int axis = 1; axis < 3; ++axis) sets.push_back(aligned_planes(shape, axis));
  if (count == 3) return sets;
  for (int about = 0; about < 3; ++about) {
    for (int axis = 0; axis < 3; ++axis) {
      if (axis != about)
        sets.push_back(turned_planes(shape, axis, about));  // the third one keeps its planes
    }
  }
  return sets;
}

SliceWindow window_in_volume(const PlaneSet& planes, const Index3& shape, std::int64_t slice) {
  if (planes.axis_aligned) return {0, 0, planes.rows, planes.columns};
  std::int64_t first_row = planes.rows, last_row = -1, first_column = planes.columns,
               last_column = -1;
  for (std::int64_t i = 0; i < planes.rows; ++i) {
    const Eigen::Vector3d start =
        planes.position(static_cast<double>(slice), static_cast<double>(i), 0.0);
    double low = 0.0, high = static_cast<double>(planes.columns - 1);
    for (int k = 0; k < 3; ++k)
      clip_line(start[k], planes.column[k], static_cast<double>(shape[k] - 1), low, high);
    const double first = std::ceil(low - 1e-9), last = std::floor(high + 1e-9);
    if (!(first <= last)) continue;
    first_row = std::min(first_row, i);
    last_row = i;
    first_column = std::min(first_column, static_cast<std::int64_t>(first));
    last_column = std::max(last_column, static_cast<std::int64_t>(last));
  }
  if (last_row < 0) return {};
  return {first_row, first_column, last_row - first_row + 1, last_column - first_column + 1};
}

void check_isotropic(const Geometry& geometry, double tolerance) {
  if (!geometry.spacing_known || geometry.anisotropy() <= 1.0 + tolerance) return;
  throw geometry_error(fmt::format("prediction along several slicing axes: expected cubic voxels, "
                                   "got spacing {:.4g} x {:.4g} x {:.4g} mm",
                                   geometry.spacing[0],
                                   geometry.spacing[1],
                                   geometry.spacing[2]),
                       "resample the volume to one spacing (harmonise.spacing in the data set, "
                       "spacing= if the file's is wrong) "
                       "or set infer.planes=1");
}

}  // namespace triptych
