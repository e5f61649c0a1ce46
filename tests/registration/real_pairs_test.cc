// SPDX-License-Identifier: Apache-2.0
// Real pairs of images, when the data is there.
#include "framework/core/parallel.h"
#include "framework/image/io.h"
#include "framework/image/landmarks.h"
#include "framework/ops/jacobian.h"
#include "framework/ops/warp.h"
#include "framework/registration/deformable_alignment.h"

#include <filesystem>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

const std::string kFolder = std::string(TRIPTYCH_SOURCE_DIR) + "/../shared/data/";

RegistrationImage image_of(const std::string& name) {
  return registration_image(read_volume(kFolder + name), std::nullopt, name);
}

/// Mean over the labels 1 .. `labels` of 2 |a and b| / (|a| + |b|).
double mean_dice(const at::Tensor& a, const at::Tensor& b, std::int64_t labels) {
  double sum = 0.0;
  for (std::int64_t label = 1; label <= labels; ++label) {
    const at::Tensor in_a = a == label, in_b = b == label;
    const auto count = [](const at::Tensor& x) { return x.sum().item<double>(); };
    sum += 2.0 * count(in_a.logical_and(in_b)) / (count(in_a) + count(in_b));
  }
  return sum / static_cast<double>(labels);
}

/// T1 brains of two subjects with 13 structures (13-class FreeSurfer labels).
TEST(RealPairs, BrainsOfTwoSubjectsWithoutTraining) {
  if (!std::filesystem::exists(kFolder + "brain_t1_labels"))
    GTEST_SKIP() << "no shared data beside the project";
  const RegistrationImage fixed = image_of("brain_t1_labels/subA_t1.nii.gz");
  const RegistrationImage moving = image_of("brain_t1_labels/subB_t1.nii.gz");
  const Volume fixed_labels = read_labels(kFolder + "brain_t1_labels/subA_labels13.nii.gz");
  const Volume moving_labels = read_labels(kFolder + "brain_t1_labels/subB_labels13.nii.gz");
  AffineMap start;  // of largest normalised correlation
  start.matrix << 0.92767, 0.025859, -0.063359, -0.031696, 0.927117, 0.262506, 0.086062, -0.328212,
      0.80553;
  start.offset = {-2.94734, 11.96208, 3.33293};
  const auto dice_of = [&](const SpatialTransform& transform) {
    const at::Tensor u = displacement_on(transform, fixed_labels.geometry).unsqueeze(0);
    const at::Tensor seen = warp_labels(
        moving_labels.data.unsqueeze(0), moving_labels.geometry, u, fixed_labels.geometry, 0);
    return mean_dice(seen[0], fixed_labels.data, 13);
  };
  EXPECT_NEAR(dice_of(start), 0.595, 0.002);

  set_num_threads(2);
  const DisplacementField field = align_deformable(fixed, moving, start, mind_features());
  EXPECT_GT(dice_of(SpatialTransform({field, start})), 0.76);
  const at::Tensor determinant =
      jacobian_determinant(field.displacement_mm.unsqueeze(0), field.geometry);
  EXPECT_LE(jacobian_statistics(determinant, fixed.values[0] > 0).folded_share, 1e-3);
}

/// Exhaled and inhaled state of a breathing volunteer; the liver slides by 22 mm.
TEST(RealPairs, LiverWhileBreathing) {
  const std::string folder = "liver_4dmri/";
  if (!std::filesystem::exists(kFolder + folder))
    GTEST_SKIP() << "no shared data beside the project";
  set_num_threads(2);
  const DisplacementField field = align_deformable(image_of(folder + "fixed_exhale.mha"),
                                                   image_of(folder + "moving_cycle.mha"),
                                                   {},
                                                   mind_features());
  const auto points = [&](const std::string& name) {
    return read_landmarks(kFolder + folder + name);
  };
  const auto mean_distance = [&](const Landmarks& from, const Landmarks& to) {
    double sum = 0.0;
    for (std::size_t i = 0; i < from.size(); ++i)
      sum += (field.map(from[i].position_mm) - to[i].position_mm).norm();
    return sum / static_cast<double>(from.size());
  };
  EXPECT_LT(mean_distance(points("fixed_exhale_landmarks_liver.vtk"),
                          points("moving_cycle_landmarks_liver.vtk")),
            3.0);
  EXPECT_LT(
      mean_distance(points("fixed_exhale_landmarks.csv"), points("moving_cycle_landmarks.csv")),
      3.6);
}

}  // namespace
}  // namespace triptych
