// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/error.h"
#include "framework/image/volume.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace triptych {

/// A folder that disappears with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "triptych_image_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Names of everything in it, hidden files too.
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      result.push_back(entry.path().filename().string());
    return result;
  }

 private:
  std::filesystem::path path_;
};

/// Odd sizes, three different spacings, a far origin and a rotation about no axis of the frame.
inline Geometry oblique_geometry(Index3 shape = {5, 7, 9}) {
  Geometry geometry;
  geometry.shape = shape;
  geometry.spacing = {0.7, 1.3, 2.9};
  geometry.origin = {-12.25, 34.5, 101.125};
  geometry.direction =
      Eigen::AngleAxisd(0.6, Eigen::Vector3d(1.0, -2.0, 0.5).normalized()).toRotationMatrix();
  return geometry;
}

/// Every voxel differs from its neighbours along every axis; the values use the range of the type.
inline Volume sample_volume(at::ScalarType type,
                            std::int64_t channels = 1,
                            const Geometry& geometry = oblique_geometry()) {
  const std::int64_t count = channels * geometry.voxels();
  at::Tensor values = at::arange(count, at::kDouble).mul(37.0).fmod(251.0);
  if (type == at::kChar) values.sub_(125.0);
  if (type == at::kShort || type == at::kInt || type == at::kLong) values.sub_(100.0).mul_(200.0);
  if (type == at::kFloat || type == at::kDouble) values.sub_(100.0).mul_(0.37);
  if (type == at::kLong) values.mul_(1.0e6);
  Volume volume;
  volume.data =
      values.to(type).view({channels, geometry.shape[0], geometry.shape[1], geometry.shape[2]});
  volume.geometry = geometry;
  return volume;
}

inline void expect_same_geometry(const Geometry& got, const Geometry& expected, double tolerance) {
  EXPECT_EQ(got.shape, expected.shape);
  EXPECT_EQ(got.spacing_known, expected.spacing_known);
  EXPECT_LE((got.spacing - expected.spacing).cwiseAbs().maxCoeff(), tolerance) << got.text();
  EXPECT_LE((got.origin - expected.origin).cwiseAbs().maxCoeff(), 100.0 * tolerance) << got.text();
  EXPECT_LE((got.direction - expected.direction).cwiseAbs().maxCoeff(), tolerance) << got.direction;
}

inline void expect_same_data(const at::Tensor& got, const at::Tensor& expected) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_EQ(got.scalar_type(), expected.scalar_type());
  EXPECT_TRUE(got.to(at::kDouble).equal(expected.to(at::kDouble)));
}

/// The message of the Error that `body` throws, with its category in front: "io: ...". Empty when
/// nothing is thrown.
template <typename Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos)
        << "one line: " << error.what();
    return error.category() + ": " + error.what();
  }
  return "";
}

}  // namespace triptych
