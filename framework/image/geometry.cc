// SPDX-License-Identifier: Apache-2.0
#include "framework/image/geometry.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <Eigen/LU>
#include <fmt/core.h>

namespace triptych {
namespace {

// Letters of the positive and negative world axes x, y, z in the LPS frame.
constexpr char kPositive[3] = {'L', 'P', 'S'};
constexpr char kNegative[3] = {'R', 'A', 'I'};

std::int64_t size_along(const Geometry& geometry, int axis_xyz) {
  return geometry.shape[2 - axis_xyz];
}

std::string numbers(const Eigen::Vector3d& values, const char* separator) {
  return fmt::format(
      "{:.6g}{}{:.6g}{}{:.6g}", values[0], separator, values[1], separator, values[2]);
}

std::string size_text(const Geometry& geometry) {
  return fmt::format("{}x{}x{}", geometry.shape[2], geometry.shape[1], geometry.shape[0]);
}

bool same_spacing(const Geometry& a, const Geometry& b, double tolerance) {
  return a.spacing_known == b.spacing_known &&
         ((a.spacing - b.spacing).array().abs() <= tolerance * a.spacing.array().abs()).all();
}

bool same_origin(const Geometry& a, const Geometry& b, double tolerance) {
  return ((a.direction.transpose() * (a.origin - b.origin)).array().abs() <=
          tolerance * a.spacing.array().abs())
      .all();
}

bool same_direction(const Geometry& a, const Geometry& b, double tolerance) {
  return ((a.direction - b.direction).array().abs() <= tolerance).all();
}

std::string spacing_text(const Geometry& geometry) {
  return geometry.spacing_known ? numbers(geometry.spacing, "x") + " mm" : std::string("unknown");
}

std::string direction_text(const Eigen::Matrix3d& direction) {
  const auto row = [&](int index) { return numbers(direction.row(index).transpose(), ", "); };
  return fmt::format("[{}; {}; {}]", row(0), row(1), row(2));
}

}  // namespace

Eigen::Vector3d Geometry::world_from_index(const Eigen::Vector3d& index_xyz) const {
  return origin + direction * spacing.cwiseProduct(index_xyz);
}

Eigen::Vector3d Geometry::index_from_world(const Eigen::Vector3d& world_mm) const {
  return (direction.inverse() * (world_mm - origin)).cwiseQuotient(spacing);
}

double Geometry::anisotropy() const {
  double smallest = 0.0;
  double largest = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    if (size_along(*this, axis) < 2) continue;
    smallest = smallest == 0.0 ? spacing[axis] : std::min(smallest, spacing[axis]);
    largest = std::max(largest, spacing[axis]);
  }
  return smallest == 0.0 ? 1.0 : largest / smallest;
}

Geometry Geometry::cropped(const Region& region) const {
  Geometry result = *this;
  result.shape = region.size;
  result.origin = world_from_index({static_cast<double>(region.start[2]),
                                    static_cast<double>(region.start[1]),
                                    static_cast<double>(region.start[0])});
  return result;
}

Geometry Geometry::resampled_to(const Eigen::Vector3d& spacing_mm) const {
  if (!spacing_known) {
    throw geometry_error("the image states no spacing, so it cannot be resampled to millimetres",
                         "state it with spacing=");
  }
  if (!(spacing_mm.array() > 0.0).all() || !spacing_mm.allFinite()) {
    throw geometry_error(fmt::format("target spacing: expected positive lengths, got {} mm",
                                     numbers(spacing_mm, "x")));
  }
  Geometry result = *this;
  Eigen::Vector3d first = Eigen::Vector3d::Zero();
  for (int axis = 0; axis < 3; ++axis) {
    const auto size = size_along(*this, axis);
    if (size < 2) continue;  // an axis of one voxel (a 2D image) has nothing to interpolate
    const double factor = spacing_mm[axis] / spacing[axis];
    result.spacing[axis] = spacing_mm[axis];
    // The margin keeps 10 / 0.1 from becoming 101 voxels.
    const double exact = static_cast<double>(size) / factor;
    result.shape[2 - axis] = std::max<std::int64_t>(1, std::llround(std::ceil(exact - 1e-6)));
    first[axis] = 0.5 * factor - 0.5;
  }
  result.origin = world_from_index(first);
  return result;
}

std::string Geometry::text() const {
  const std::string voxels =
      spacing_known ? fmt::format("{} voxels of {} mm", size_text(*this), numbers(spacing, "x"))
                    : fmt::format("{} voxels of unknown spacing", size_text(*this));
  return fmt::format("{}, origin ({}), direction {}", voxels, numbers(origin, ", "), orientation());
}

std::string Geometry::orientation() const {
  std::string letters = "???";
  Eigen::Matrix3d left = direction.cwiseAbs();
  bool oblique = false;
  // The three largest entries with distinct rows and columns: every world axis is named once.
  for (int step = 0; step < 3; ++step) {
    int world = 0;
    int axis = 0;
    const double largest = left.maxCoeff(&world, &axis);
    oblique |= largest < 1.0 - 1e-6;
    letters[axis] = direction(world, axis) >= 0.0 ? kPositive[world] : kNegative[world];
    left.row(world).setConstant(-1.0);
    left.col(axis).setConstant(-1.0);
  }
  return oblique ? "oblique " + letters : letters;
}

bool same_grid(const Geometry& a, const Geometry& b, double tolerance) {
  return a.shape == b.shape && same_spacing(a, b, tolerance) && same_origin(a, b, tolerance) &&
         same_direction(a, b, tolerance);
}

void check_same_grid(const Geometry& a,
                     const std::string& name_a,
                     const Geometry& b,
                     const std::string& name_b) {
  constexpr double kTolerance = 1e-3;
  std::vector<std::string> differences;
  const auto note = [&](const char* what, const std::string& in_a, const std::string& in_b) {
    differences.push_back(fmt::format("{} {} against {}", what, in_a, in_b));
  };
  if (a.shape != b.shape) note("size", size_text(a), size_text(b));
  if (!same_spacing(a, b, kTolerance)) note("spacing", spacing_text(a), spacing_text(b));
  if (!same_origin(a, b, kTolerance)) {
    note("origin",
         fmt::format("({})", numbers(a.origin, ", ")),
         fmt::format("({})", numbers(b.origin, ", ")));
  }
  if (!same_direction(a, b, kTolerance)) {
    note("direction", direction_text(a.direction), direction_text(b.direction));
  }
  if (differences.empty()) return;
  throw geometry_error(
      fmt::format(
          "{} and {}: expected the same grid, got {}", name_a, name_b, join(differences, "; ")),
      "resample one onto the grid of the other");
}

void check_valid(const Geometry& geometry, const std::string& name) {
  for (int axis = 0; axis < 3; ++axis) {
    const char letter = "xyz"[axis];
    if (size_along(geometry, axis) < 1) {
      throw geometry_error(fmt::format("{}: expected at least one voxel along {}, got size {}",
                                       name,
                                       letter,
                                       size_text(geometry)));
    }
    if (!(geometry.spacing[axis] > 0.0) || !std::isfinite(geometry.spacing[axis])) {
      throw geometry_error(fmt::format("{}: expected a positive spacing along {}, got {:g} mm",
                                       name,
                                       letter,
                                       geometry.spacing[axis]));
    }
  }
  if (!geometry.origin.allFinite()) {
    throw geometry_error(fmt::format(
        "{}: expected a finite origin, got ({})", name, numbers(geometry.origin, ", ")));
  }
  const Eigen::Matrix3d product = geometry.direction.transpose() * geometry.direction;
  const double deviation = (product - Eigen::Matrix3d::Identity()).cwiseAbs().maxCoeff();
  if (!(deviation <= 1e-3)) {  // also true for NaN
    throw geometry_error(fmt::format("{}: expected an orthonormal direction matrix, got {}",
                                     name,
                                     direction_text(geometry.direction)),
                         "resample the image onto an orthogonal grid first");
  }
}

}  // namespace triptych
