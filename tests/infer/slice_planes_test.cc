// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/slice_planes.h"

#include "framework/infer/plane_sampling.h"

#include "tests/infer/analytic_volume.h"
#include "tests/support/tensor_matchers.h"

#include <set>

#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(SlicePlanes, OneThreeAndNineSetsOfDifferentPlanes) {
  const Index3 shape{12, 17, 23};
  EXPECT_EQ(make_plane_sets(shape, 1).size(), 1U);
  EXPECT_EQ(make_plane_sets(shape, 3).size(), 3U);
  const auto sets = make_plane_sets(shape, 9);
  ASSERT_EQ(sets.size(), 9U);
  std::set<std::string> names;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    names.insert(sets[i].name);
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_LT(std::abs(sets[i].normal.dot(sets[j].normal)), 0.99) << sets[i].name;
  }
  EXPECT_EQ(names.size(), 9U);
  EXPECT_TRUE(names.contains("pc+45p"));
  EXPECT_EQ(testing::error_message("schema", [&] { make_plane_sets(shape, 4); }),
            "infer.planes: expected 1, 3 or 9, got 4");
}

TEST(SlicePlanes, GridsAreOrthonormalAndHoldTheWholeVolume) {
  const Index3 shape{12, 17, 23};
  for (const PlaneSet& planes : make_plane_sets(shape, 9)) {
    Eigen::Matrix3d frame;
    frame << planes.normal, planes.row, planes.column;
    EXPECT_TRUE((frame.transpose() * frame).isIdentity(1e-12)) << planes.name;
    for (int corner = 0; corner < 8; ++corner) {
      Eigen::Vector3d voxel;
      for (int k = 0; k < 3; ++k)
        voxel[k] = (corner >> k & 1) != 0 ? static_cast<double>(shape[k] - 1) : 0.0;
      const Eigen::Vector3d place = frame.transpose() * (voxel - planes.origin);
      const Eigen::Vector3d last(planes.slices - 1, planes.rows - 1, planes.columns - 1);
      EXPECT_GE(place.minCoeff(), -1e-6) << planes.name;
      EXPECT_GE((last - place).minCoeff(), -1e-6) << planes.name;
    }
  }
}

TEST(SlicePlanes, WindowsHoldEveryPixelInTheVolumeAndNoMore) {
  const Index3 shape{7, 9, 12};
  for (const PlaneSet& planes : make_plane_sets(shape, 9)) {
    for (std::int64_t s = 0; s < planes.slices; ++s) {
      const SliceWindow whole{0, 0, planes.rows, planes.columns},
          window = window_in_volume(planes, shape, s);
      const auto inside = inside_mask(planes, shape, s, whole);
      SliceWindow expected;
      for (std::int64_t i = 0; i < whole.rows; ++i) {
        for (std::int64_t j = 0; j < whole.columns; ++j) {
          if (inside[static_cast<std::size_t>(i * whole.columns + j)] == 0) continue;
          if (expected.empty()) expected = {i, j, 1, 1};
          expected.columns =
              std::max(expected.column + expected.columns, j + 1) - std::min(expected.column, j);
          expected.column = std::min(expected.column, j);
          expected.rows = i - expected.row + 1;
        }
      }
      EXPECT_EQ(window.empty(), expected.empty()) << planes.name << " slice " << s;
      if (expected.empty()) continue;
      EXPECT_EQ(window, expected) << planes.name << " slice " << s;
    }
  }
}

TEST(SlicePlanes, AnisotropicVoxelsAreRefusedWithAHint) {
  Geometry geometry;
  geometry.shape = {20, 20, 20};
  geometry.spacing = {0.5, 0.5, 1.0};
  const std::string message =
      testing::error_message("geometry", [&] { check_isotropic(geometry); });
  EXPECT_NE(message.find("0.5 x 0.5 x 1 mm"), std::string::npos) << message;
  geometry.spacing = {0.5, 0.5, 0.51};
  check_isotropic(geometry);
  geometry.shape = {1, 20, 20};
  geometry.spacing = {0.5, 0.5, 3.0};
  check_isotropic(geometry);
}

TEST(PlaneSampling, AlignedSlabsAreSlicesWithRepeatedEdges) {
  const at::Tensor volume = at::rand({2, 5, 6, 7});
  for (const PlaneSet& planes : make_plane_sets({5, 6, 7}, 3)) {
    const SliceWindow window = window_in_volume(planes, {5, 6, 7}, 0);
    const at::Tensor slab = sample_slab(volume, planes, 0, 3, window);
    const std::int64_t axis = 1 + planes.axis;
    EXPECT_TRUE(at::equal(slab[0].select(1, 0), volume.select(axis, 0)));
    EXPECT_TRUE(at::equal(slab[0].select(1, 1), volume.select(axis, 0)));
    EXPECT_TRUE(at::equal(slab[0].select(1, 2), volume.select(axis, 1)));
  }
}

TEST(PlaneSampling, ObliqueSlicesOfALinearRampAreExactInsideAndClampedOutside) {
  const Index3 shape{8, 10, 9};
  const at::Tensor ramp =
      (at::arange(8).view({-1, 1, 1}) * 2.0 + at::arange(10).view({1, -1, 1}) * 3.0 +
       at::arange(9).view({1, 1, -1}) * 5.0)
          .to(at::kFloat)
          .unsqueeze(0);
  for (const PlaneSet& planes : make_plane_sets(shape, 9)) {
    for (std::int64_t s = 0; s < planes.slices; ++s) {
      const SliceWindow window{0, 0, planes.rows, planes.columns};
      const at::Tensor slice = sample_slab(ramp, planes, s, 1, window)[0][0][0];
      for (std::int64_t i = 0; i < planes.rows; i += 2) {
        for (std::int64_t j = 0; j < planes.columns; ++j) {
          Eigen::Vector3d at = planes.position(s, i, j);
          for (int k = 0; k < 3; ++k)
            at[k] = std::clamp(at[k], 0.0, static_cast<double>(shape[k] - 1));
          EXPECT_NEAR(slice[i][j].item<float>(), 2 * at[0] + 3 * at[1] + 5 * at[2], 1e-4)
              << planes.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace triptych
