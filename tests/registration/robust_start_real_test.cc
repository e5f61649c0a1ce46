// SPDX-License-Identifier: Apache-2.0
#include "framework/image/io.h"
#include "framework/image/landmarks.h"
#include "framework/ops/warp.h"
#include "framework/registration/robust_start.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using Points = std::vector<Eigen::Vector3d>;

std::string data(const std::string& name) {
  return std::string(TRIPTYCH_SOURCE_DIR) + "/../shared/data/" + name;
}

RegistrationImage image(const std::string& name) {
  return registration_image(read_volume(data(name)), std::nullopt, name);
}

AffineMap start(const std::string& fixed, const std::string& moving, const std::string& model) {
  RobustStartOptions options;
  options.model = model;
  return robust_start(image(fixed), image(moving), options);
}

Points landmarks(const std::string& name) {
  Points points;
  for (const Landmark& landmark : read_landmarks(data(name)))
    points.push_back(landmark.position_mm);
  return points;
}

/// A table of a running number, column and row, in pixels.
Points pixels(const std::string& name) {
  std::ifstream file(data(name));
  std::string line;
  std::getline(file, line);
  Points points;
  while (std::getline(file, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream words(line);
    double number = 0.0, column = 0.0, row = 0.0;
    words >> number >> column >> row;
    points.emplace_back(column, row, 0.0);
  }
  return points;
}

double mean_distance(const AffineMap& map, const Points& fixed, const Points& moving) {
  double sum = 0.0;
  for (std::size_t i = 0; i < fixed.size(); ++i) sum += (map.map(fixed[i]) - moving[i]).norm();
  return sum / static_cast<double>(fixed.size());
}

/// Mean Dice of the labels that either has, 1 and on.
double mean_dice(const AffineMap& map, const std::string& fixed, const std::string& moving) {
  const Volume a = read_labels(data(fixed)), b = read_labels(data(moving));
  const at::Tensor displacement = displacement_on(map, a.geometry).unsqueeze(0);
  const at::Tensor seen = warp_labels(b.data.unsqueeze(0), b.geometry, displacement, a.geometry)[0];
  const std::int64_t last =
      std::max(a.data.max().item<std::int64_t>(), b.data.max().item<std::int64_t>());
  double sum = 0.0;
  int labels = 0;
  for (std::int64_t label = 1; label <= last; ++label) {
    const at::Tensor in_fixed = a.data == label, in_moving = seen == label;
    const double both = (in_fixed & in_moving).sum().item<double>();
    const double total = in_fixed.sum().item<double>() + in_moving.sum().item<double>();
    if (total == 0.0) continue;
    sum += 2.0 * both / total;
    ++labels;
  }
  return sum / labels;
}

class RobustStartOnRealImages : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(data("README.md")))
      GTEST_SKIP() << "no shared data beside the project";
  }
};

TEST_F(RobustStartOnRealImages, SkullsOfTwoStrains38DegreesApart) {
  const AffineMap map =
      start("mouse_skull_uct/A_J.nii.gz", "mouse_skull_uct/C57BL6_J.nii.gz", "rigid");
  EXPECT_LT(mean_distance(map,
                          landmarks("mouse_skull_uct/A_J_landmarks.csv"),
                          landmarks("mouse_skull_uct/C57BL6_J_landmarks.csv")),
            0.55);  // mm; the best rigid fit of the landmarks leaves 0.44
}

TEST_F(RobustStartOnRealImages, SkullAndAtlas134DegreesApart) {
  const AffineMap map =
      start("mouse_skull_uct/C57BL6_J.nii.gz", "mouse_skull_uct/template.nii.gz", "affine");
  EXPECT_LT(mean_distance(map,
                          landmarks("mouse_skull_uct/C57BL6_J_landmarks.csv"),
                          landmarks("mouse_skull_uct/template_landmarks.csv")),
            0.50);  // mm; the best affine fit leaves 0.41
}

TEST_F(RobustStartOnRealImages, BrainsOfTwoPeople) {
  const AffineMap map =
      start("brain_t1_labels/subA_t1.nii.gz", "brain_t1_labels/subB_t1.nii.gz", "affine");
  EXPECT_GT(
      mean_dice(
          map, "brain_t1_labels/subA_labels13.nii.gz", "brain_t1_labels/subB_labels13.nii.gz"),
      0.575);
}

TEST_F(RobustStartOnRealImages, SpineInTwoContrastsAndFieldsOfView) {
  const AffineMap map = start("spine_t1_t2/t1.nii.gz", "spine_t1_t2/t2.nii.gz", "affine");
  const std::string t1 = "spine_t1_t2/t1_cord.nii.gz", t2 = "spine_t1_t2/t2_cord.nii.gz";
  EXPECT_GT(mean_dice(map, t1, t2), mean_dice({}, t1, t2));
}

TEST_F(RobustStartOnRealImages, SectionsInTwoStains) {
  const AffineMap map =
      start("histology_pair/fixed_HE.jpg", "histology_pair/moving_proSPC.jpg", "affine");
  EXPECT_LT(mean_distance(map,
                          pixels("histology_pair/fixed_HE_landmarks.csv"),
                          pixels("histology_pair/moving_proSPC_landmarks.csv")),
            8.0);  // pixels; 76 before, 7.2 after the best rigid fit
}

TEST_F(RobustStartOnRealImages, RadiographsOfTurnedHands) {
  const AffineMap map = start("hands_xray_2d/fixed.png", "hands_xray_2d/moving.png", "affine");
  EXPECT_LT(mean_distance(map,
                          pixels("hands_xray_2d/fixed_landmarks.csv"),
                          pixels("hands_xray_2d/moving_landmarks.csv")),
            6.3);  // pixels; 21.7 before, 6.3 after the best rigid fit
}

}  // namespace
}  // namespace triptych
