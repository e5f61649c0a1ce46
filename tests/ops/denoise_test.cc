// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/denoise.h"

#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// Value of [C, D, H, W] at a place clamped to the grid.
float clamped_at(const at::Tensor& image, std::int64_t c, std::array<std::int64_t, 3> place) {
  for (std::size_t axis = 0; axis < 3; ++axis)
    place[axis] = std::clamp<std::int64_t>(
        place[axis], 0, image.size(static_cast<std::int64_t>(axis) + 1) - 1);
  return image[c][place[0]][place[1]][place[2]].item<float>();
}

/// Calls body(offset) for all offsets of a cube.
void for_each_offset(std::int64_t radius, const auto& body) {
  for (std::int64_t d = -radius; d <= radius; ++d) {
    for (std::int64_t h = -radius; h <= radius; ++h) {
      for (std::int64_t w = -radius; w <= radius; ++w) body(std::array<std::int64_t, 3>{d, h, w});
    }
  }
}

std::array<std::int64_t, 3> sum_of(const std::array<std::int64_t, 3>& a,
                                   const std::array<std::int64_t, 3>& b) {
  return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}

TEST(MedianFilter, IsTheMiddleOfTheSortedNeighbours) {
  const at::Tensor image = at::rand({2, 4, 5, 6});
  const at::Tensor filtered = median_filter(image, 1);
  for (const std::array<std::int64_t, 3>& place :
       {std::array<std::int64_t, 3>{0, 0, 0}, {3, 4, 5}, {1, 2, 3}, {2, 0, 5}}) {
    for (std::int64_t c = 0; c < 2; ++c) {
      std::vector<float> values;
      for_each_offset(1, [&](const auto& offset) {
        values.push_back(clamped_at(image, c, sum_of(place, offset)));
      });
      std::sort(values.begin(), values.end());
      EXPECT_EQ(clamped_at(filtered, c, place), values[13]);
    }
  }
}

TEST(MedianFilter, LeavesAxesOfOneVoxelAloneAndDoesNotDependOnThreads) {
  at::Tensor image = at::zeros({1, 1, 40, 40});
  image[0][0][20].fill_(1.0);
  image[0][0][20][20] = 5.0;
  set_num_threads(1);
  const at::Tensor filtered = median_filter(image, 1);
  EXPECT_EQ(filtered.abs().max().item<float>(), 0.0F) << "a line of one voxel is no majority";
  const at::Tensor noise = at::rand({1, 9, 40, 40});
  const at::Tensor once = median_filter(noise, 2);
  set_num_threads(3);
  EXPECT_TRUE(at::equal(median_filter(noise, 2), once));
}

// A step of one axis: the optimum moves both sides towards one another by weight / length.
TEST(TotalVariation, SolvesAStepExactly) {
  at::Tensor step = at::zeros({1, 1, 1, 10});
  step.slice(3, 6).fill_(2.0);
  at::Tensor expected = at::full({1, 1, 1, 10}, 0.3 / 6.0);
  expected.slice(3, 6).fill_(2.0 - 0.3 / 4.0);
  EXPECT_TRUE(testing::near(total_variation_filter(step, 0.3, 2000), expected, 1e-4));
  // Beyond 2 * 6 * 4 / 10 both sides meet at the mean.
  EXPECT_TRUE(
      testing::near(total_variation_filter(step, 8.0, 2000), at::full({1, 1, 1, 10}, 0.8), 1e-4));
}

double tv_objective(const at::Tensor& u, const at::Tensor& f, double weight) {
  at::Tensor square = at::zeros_like(u);
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    const std::int64_t length = u.size(axis) - 1;
    square.narrow(axis, 0, length) += u.diff(1, axis).square();
  }
  return (0.5 * (u - f).square().sum() + weight * square.sqrt().sum()).item<double>();
}

TEST(TotalVariation, MinimisesItsObjectiveInThreeDimensions) {
  const at::Tensor noisy = at::rand({1, 5, 6, 7});
  const at::Tensor smooth = total_variation_filter(noisy, 0.1, 1000);
  const double least = tv_objective(smooth, noisy, 0.1);
  EXPECT_LT(least, tv_objective(noisy, noisy, 0.1));
  for (const double size : {0.1, 0.01, 0.001}) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_LT(least, tv_objective(smooth + size * at::randn_like(smooth), noisy, 0.1) + 1e-5);
    }
  }
  EXPECT_NEAR(smooth.mean().item<double>(), noisy.mean().item<double>(), 1e-5);
}

TEST(NonLocalMeans, EqualsItsDefinition) {
  const at::Tensor image = at::rand({1, 4, 5, 6});
  const NonLocalMeansOptions options{.strength = 0.3, .patch_radius = 1, .search_radius = 2};
  const at::Tensor filtered = non_local_means(image, options);
  for (const std::array<std::int64_t, 3>& place :
       {std::array<std::int64_t, 3>{2, 2, 3}, {0, 0, 0}, {3, 1, 5}}) {
    double sum = 0.0, total = 0.0;
    for_each_offset(2, [&](const auto& offset) {
      double distance = 0.0;
      for_each_offset(1, [&](const auto& within) {
        const auto own = sum_of(place, within);
        distance +=
            std::pow(clamped_at(image, 0, own) - clamped_at(image, 0, sum_of(own, offset)), 2);
      });
      const double weight = std::exp(-distance / 27.0 / (0.3 * 0.3));
      sum += weight * clamped_at(image, 0, sum_of(place, offset));
      total += weight;
    });
    EXPECT_NEAR(clamped_at(filtered, 0, place), sum / total, 1e-5);
  }
}

TEST(NonLocalMeans, DoesNotDependOnThreads) {
  const at::Tensor image = at::rand({2, 7, 8, 9});
  set_num_threads(1);
  const at::Tensor once = non_local_means(image, {.strength = 0.2});
  set_num_threads(3);
  EXPECT_TRUE(at::equal(non_local_means(image, {.strength = 0.2}), once));
}

TEST(NonLocalMeans, TreatsASliceAsAPlane) {
  const at::Tensor slice = at::rand({1, 1, 12, 12});
  const at::Tensor filtered = non_local_means(slice, {.strength = 100.0, .search_radius = 1});
  // With endless strength all weights are one: the mean of 9, not of 27 neighbours.
  const at::Tensor inside = slice[0][0].slice(0, 4, 7).slice(1, 4, 7);
  EXPECT_NEAR(filtered[0][0][5][5].item<double>(), inside.mean().item<double>(), 1e-4);
}

}  // namespace
}  // namespace triptych
