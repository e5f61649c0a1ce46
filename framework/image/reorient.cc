// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/image/resample.h"

#include <array>
#include <cmath>
#include <string>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

/// World axis (0..2) and sign of each letter, in LPS.
struct Heading {
  int world = 0;
  double sign = 1.0;
};

std::array<Heading, 3> headings(const std::string& orientation) {
  static const std::string kPositive = "LPS";
  static const std::string kNegative = "RAI";
  std::array<Heading, 3> result;
  std::array<bool, 3> seen{};
  bool valid = orientation.size() == 3;
  for (std::size_t axis = 0; valid && axis < 3; ++axis) {
    const auto positive = kPositive.find(orientation[axis]);
    const auto found = positive != std::string::npos ? positive : kNegative.find(orientation[axis]);
    valid = found != std::string::npos && !seen[found];
    if (!valid) break;
    seen[found] = true;
    result[axis] = {static_cast<int>(found), positive != std::string::npos ? 1.0 : -1.0};
  }
  if (!valid) {
    throw geometry_error(fmt::format(
        "orientation: expected three letters, one each of L/R, P/A and S/I, such as LPS, got '{}'",
        orientation));
  }
  return result;
}

}  // namespace

Volume reorient(const Volume& volume, const std::string& orientation) {
  check_volume(volume, "reorient");
  const auto wanted = headings(orientation);
  const std::string letters = volume.geometry.orientation();
  const auto current = headings(letters.substr(letters.size() - 3));
  Volume result = volume;
  std::array<std::int64_t, 4> order{
      0, 0, 0, 0};  // source axis of each axis of the result, tensor order
  std::vector<std::int64_t> flipped;
  Eigen::Vector3d first =
      Eigen::Vector3d::Zero();  // source index (x, y, z) of the result's first voxel
  for (int axis = 0; axis < 3; ++axis) {
    int source = 0;
    while (current[source].world != wanted[axis].world) ++source;
    const bool flip = current[source].sign != wanted[axis].sign;
    order[3 - axis] = 3 - source;
    if (flip) {
      flipped.push_back(3 - axis);
      first[source] = static_cast<double>(volume.geometry.shape[2 - source] - 1);
    }
    result.geometry.shape[2 - axis] = volume.geometry.shape[2 - source];
    result.geometry.spacing[axis] = volume.geometry.spacing[source];
    result.geometry.direction.col(axis) =
        (flip ? -1.0 : 1.0) * volume.geometry.direction.col(source);
  }
  result.geometry.origin = volume.geometry.world_from_index(first);
  result.data = volume.data.permute(order);
  if (!flipped.empty()) result.data = result.data.flip(flipped);
  result.data = result.data.contiguous();
  return result;
}

}  // namespace triptych
