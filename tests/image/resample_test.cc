// SPDX-License-Identifier: Apache-2.0
#include "framework/image/resample.h"

#include "framework/core/parallel.h"

#include "tests/image/sample_volumes.h"

#include <cmath>

namespace triptych {
namespace {

using ::testing::HasSubstr;

/// 0, 1, 2, .. along x on a grid of 1 mm.
Volume ramp(std::int64_t size) {
  Volume volume;
  volume.geometry.shape = {1, 1, size};
  volume.data = at::arange(size, at::kFloat).view({1, 1, 1, size});
  return volume;
}

std::vector<float> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

TEST(Resample, LinearInterpolatesBetweenVoxelsAndRepeatsTheEdge) {
  const Volume half = resample_to_spacing(ramp(4), {0.5, 1.0, 1.0}, Interpolation::kLinear);
  EXPECT_THAT(values(half.data),
              ::testing::Pointwise(::testing::FloatNear(1e-6f),
                                   {0.0f, 0.25f, 0.75f, 1.25f, 1.75f, 2.25f, 2.75f, 3.0f}));
  EXPECT_DOUBLE_EQ(half.geometry.origin[0], -0.25);
}

TEST(Resample, FillsWhatLiesBeyondTheBorderHalfVoxel) {
  const Volume source = ramp(3);
  Geometry target = source.geometry;
  target.shape = {1, 1, 8};
  target.spacing[0] = 0.5;
  target.origin[0] = -1.0;  // positions -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5
  EXPECT_THAT(values(resample(source, target, Interpolation::kLinear, -7.0).data),
              ::testing::ElementsAre(-7.0f, 0.0f, 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 2.0f));
  EXPECT_THAT(values(resample(source, target, Interpolation::kNearest, -7.0).data),
              ::testing::ElementsAre(-7.0f, 0.0f, 0.0f, 1.0f, 1.0f, 2.0f, 2.0f, 2.0f));
}

TEST(Resample, NearestKeepsTheType) {
  for (const auto type : {at::kByte, at::kShort, at::kInt, at::kLong, at::kFloat, at::kDouble}) {
    const Volume volume = sample_volume(type, 2);
    const Volume same = resample(volume, volume.geometry, Interpolation::kNearest);
    expect_same_data(same.data, volume.data);
  }
}

TEST(Resample, IsTheIdentityOnItsOwnGrid) {
  const Volume volume = sample_volume(at::kFloat, 2);
  EXPECT_LE((resample(volume, volume.geometry, Interpolation::kLinear).data - volume.data)
                .abs()
                .max()
                .item<float>(),
            1e-4f);
}

TEST(Resample, ReproducesALinearFunctionOnAnyRotatedGrid) {
  Volume volume;
  volume.geometry = oblique_geometry({12, 14, 16});
  volume.data = at::empty({1, 12, 14, 16});
  const auto value = [](const Eigen::Vector3d& world) {
    return 2.0 + world.dot(Eigen::Vector3d(0.5, -0.25, 0.125));
  };
  auto data = volume.data.accessor<float, 4>();
  for (int z = 0; z < 12; ++z) {
    for (int y = 0; y < 14; ++y) {
      for (int x = 0; x < 16; ++x)
        data[0][z][y][x] = static_cast<float>(
            value(volume.geometry.world_from_index({x + 0.0, y + 0.0, z + 0.0})));
    }
  }
  Geometry target;
  target.shape = {5, 6, 7};
  target.spacing = {0.3, 0.4, 0.5};
  target.direction = Eigen::AngleAxisd(0.3, Eigen::Vector3d::UnitX()).toRotationMatrix();
  target.origin = volume.geometry.world_from_index({7.0, 6.0, 5.0});
  const at::Tensor result = resample(volume, target, Interpolation::kLinear).data;
  for (int z = 0; z < 5; ++z) {
    const double expected = value(target.world_from_index({3.0, 2.0, z + 0.0}));
    EXPECT_NEAR(result[0][z][2][3].item<double>(), expected, 1e-4);
  }
}

TEST(Resample, SmoothsBeforeShrinking) {
  // sigma = 0.5 sqrt(4^2 - 1) voxels: a checkerboard of one voxel all but disappears, a constant
  // stays.
  Volume volume = ramp(64);
  volume.data = volume.data.fmod(2.0);
  const at::Tensor coarse =
      resample_to_spacing(volume, {4.0, 1.0, 1.0}, Interpolation::kLinear).data;
  EXPECT_LE((coarse.narrow(3, 2, 12) - 0.5).abs().max().item<float>(), 1e-3f);
  volume.data.fill_(3.0);
  EXPECT_LE((resample_to_spacing(volume, {4.0, 1.0, 1.0}, Interpolation::kLinear).data - 3.0)
                .abs()
                .max()
                .item<float>(),
            1e-5f);
}

TEST(Resample, MatchesTheGaussianOfTheFormula) {
  Volume impulse = ramp(33);
  impulse.data.zero_();
  impulse.data[0][0][0][16] = 1.0f;
  const double sigma = 0.5 * std::sqrt(2.0 * 2.0 - 1.0);
  double sum = 0.0;
  for (int i = -8; i <= 8; ++i) sum += std::exp(-0.5 * i * i / (sigma * sigma));
  Geometry target = impulse.geometry;
  target.spacing[0] = 2.0;
  target.shape[2] = 17;
  const auto smooth = values(resample(impulse, target, Interpolation::kLinear).data);
  EXPECT_NEAR(smooth[8], 1.0 / sum, 1e-3);
  EXPECT_NEAR(smooth[9], std::exp(-0.5 * 4.0 / (sigma * sigma)) / sum, 1e-3);
}

TEST(Resample, DoesNotDependOnTheNumberOfThreads) {
  const Volume volume = sample_volume(at::kFloat, 2, oblique_geometry({20, 21, 22}));
  Geometry target = volume.geometry.resampled_to({1.1, 1.1, 1.1});
  for (const bool rotated : {false, true}) {
    if (rotated) target.direction = Eigen::Matrix3d::Identity();
    for (const auto interpolation : {Interpolation::kLinear, Interpolation::kNearest}) {
      set_num_threads(1);
      const at::Tensor one = resample(volume, target, interpolation).data;
      set_num_threads(4);
      EXPECT_TRUE(one.equal(resample(volume, target, interpolation).data));
    }
  }
}

TEST(Resample, RefusesToMixKnownAndUnknownSpacing) {
  Volume volume = ramp(4);
  Geometry target = volume.geometry;
  target.spacing_known = false;
  EXPECT_THAT(message_of([&] { resample(volume, target, Interpolation::kLinear); }),
              HasSubstr("expected both spacings to be known"));
}

TEST(Reorient, EveryVoxelKeepsItsPlaceInTheWorld) {
  const Volume volume = sample_volume(at::kShort, 2);
  for (const char* wanted : {"LPS", "RAS", "PSR", "SAL", "IRP"}) {
    const Volume turned = reorient(volume, wanted);
    const std::string got = turned.geometry.orientation();
    EXPECT_EQ(got.substr(got.size() - 3), wanted);
    const Index3& shape = turned.geometry.shape;
    for (const Index3& index :
         {Index3{0, 0, 0}, Index3{shape[0] - 1, 0, 1}, Index3{1, shape[1] - 1, shape[2] - 1}}) {
      const Eigen::Vector3d world =
          turned.geometry.world_from_index({double(index[2]), double(index[1]), double(index[0])});
      const Eigen::Vector3d before = volume.geometry.index_from_world(world);
      const auto at = [&](int axis) { return std::lround(before[axis]); };
      EXPECT_EQ(turned.data[1][index[0]][index[1]][index[2]].item<int>(),
                volume.data[1][at(2)][at(1)][at(0)].item<int>());
    }
    expect_same_data(reorient(turned, volume.geometry.orientation().substr(8)).data, volume.data);
  }
}

TEST(Reorient, RefusesWhatIsNoOrientation) {
  for (const char* wrong : {"LPX", "LRS", "LP", "lps", ""}) {
    EXPECT_THAT(message_of([&] { reorient(sample_volume(at::kByte), wrong); }),
                HasSubstr("expected three letters"))
        << wrong;
  }
}

}  // namespace
}  // namespace triptych
