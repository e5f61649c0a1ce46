// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/image/landmarks.h"

#include "tests/app/program.h"

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace triptych {

inline constexpr double kSpacing = 0.5;
inline const Index3 kShape{36, 40, 44};
inline const Eigen::Vector3d kShiftVoxels(2.0,
                                          -3.0,
                                          1.0);  // x, y, z: moving index = fixed index - shift

/// Smooth random grey values 0..255 of a world larger than both fields of view.
inline at::Tensor world() {
  at::manual_seed(3);
  const at::Tensor coarse = at::rand({1, 1, 13, 14, 15});
  const at::Tensor fine = at::upsample_trilinear3d(coarse, {48, 52, 56}, /*align_corners=*/true);
  return fine[0].sub(fine.min()).div(fine.max() - fine.min()).mul(255.0).round();
}

inline Volume cut(const at::Tensor& values, const Eigen::Vector3d& first_xyz) {
  const at::Tensor part = values.narrow(1, static_cast<std::int64_t>(first_xyz.z()), kShape[0])
                              .narrow(2, static_cast<std::int64_t>(first_xyz.y()), kShape[1])
                              .narrow(3, static_cast<std::int64_t>(first_xyz.x()), kShape[2]);
  Geometry geometry;
  geometry.shape = kShape;
  geometry.spacing = Eigen::Vector3d::Constant(kSpacing);
  return {part.to(at::kByte).contiguous(), geometry, "", {}};
}

/// A pair that differs by a shift of whole voxels, with labels, masks and landmarks.
class RegisteredPair : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::fresh_folder("register");
    const Eigen::Vector3d first(6.0, 6.0, 6.0);
    const at::Tensor values = world();
    const at::Tensor labels = values.gt(140).to(at::kLong) + values.gt(180).to(at::kLong);
    write_volume(path("fixed.nii.gz"), cut(values, first));
    write_volume(path("moving.nii.gz"), cut(values, first + kShiftVoxels));
    write_labels(path("fixed_labels.nii.gz"), cut(labels, first), numbered_classes(3));
    write_labels(
        path("moving_labels.nii.gz"), cut(labels, first + kShiftVoxels), numbered_classes(3));
    Volume mask = cut(values, first);
    mask.data = at::ones_like(mask.data);
    mask.data.narrow(3, 0, 2).zero_();
    write_labels(path("fixed_mask.nii.gz"), mask, numbered_classes(2));
    Landmarks fixed, moving;
    const std::vector<Eigen::Vector3d> indices = {
        {10, 12, 9}, {30, 20, 12}, {22, 30, 25}, {15, 18, 20}, {33, 11, 28}};
    for (const Eigen::Vector3d& index : indices) {
      const std::string label = "p" + std::to_string(fixed.size());
      fixed.push_back({label, kSpacing * index});
      moving.push_back({label, kSpacing * (index - kShiftVoxels)});
    }
    moving.push_back({"stray", {0.0, 0.0, 0.0}});
    write_landmarks(path("fixed.csv"), fixed);
    write_landmarks(path("moving.csv"), moving);
  }
  static std::string path(const std::string& name) { return (folder_ / name).string(); }
  static testing::Finished run(std::vector<std::string> words) {
    return testing::run_program(words, folder_);
  }
  static testing::Finished align(std::vector<std::string> more) {
    std::vector<std::string> words = {
        "register", "input.fixed=fixed.nii.gz", "input.moving=moving.nii.gz"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static std::string failure(const std::vector<std::string>& words, int code) {
    const auto finished = run(words);
    EXPECT_EQ(finished.code, code) << finished.err;
    const auto error = finished.err.find("error[");
    EXPECT_NE(error, std::string::npos) << finished.err;
    return error == std::string::npos ? finished.err : finished.err.substr(error);
  }
  /// Words of a registration of two files that fails.
  static std::string pair_failure(const std::string& fixed,
                                  const std::string& moving,
                                  std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "register", "input.fixed=" + fixed, "input.moving=" + moving, "output=never"};
    words.insert(words.end(), more.begin(), more.end());
    const std::string err = failure(words, 1);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "never")) << err;
    return err;
  }
  static nlohmann::json record(const std::string& output) {
    return nlohmann::json::parse(read_file(folder_ / output / "registration.json"));
  }
  static inline std::filesystem::path folder_;
};

}  // namespace triptych
