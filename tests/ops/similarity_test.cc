// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/similarity.h"

#include "framework/core/parallel.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/field_regulariser.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <functional>

#include <ATen/ATen.h>
#include <Eigen/Dense>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::field_of;
using testing::middle_of;
using testing::near;
using testing::oblique_grid;

/// Gradient of a float32 loss along a direction against central differences in float64.
void expect_gradient(const std::function<at::Tensor(const at::Tensor&)>& loss,
                     const at::Tensor& at_values,
                     double tolerance) {
  const at::Tensor x = at_values.to(at::kFloat).set_requires_grad(true);
  loss(x).backward();
  const at::Tensor direction = at::randn_like(at_values);
  const double h = 1e-5;
  const double expected =
      (loss(at_values + h * direction) - loss(at_values - h * direction)).item<double>() /
      (2.0 * h);
  EXPECT_NEAR((x.grad() * direction).sum().item<double>(), expected, tolerance);
}

at::Tensor smooth_noise(const Index3& shape) {
  const at::Tensor coarse = at::randn({1, 1, 4, 4, 4}, at::kDouble);
  return at::upsample_trilinear3d(coarse, {shape[0], shape[1], shape[2]}, true);
}

TEST(BoxSum, EqualsPoolingAndIsItsOwnAdjoint) {
  const at::Tensor x = at::randn({2, 3, 5, 9, 37}), y = at::randn({2, 3, 5, 9, 37});
  for (const Index3& radius :
       {Index3{1, 2, 3}, Index3{0, 1, 4}, Index3{7, 5, 0}, Index3{2, 6, 9}}) {
    const at::Tensor sum = box_sum(x, radius);
    EXPECT_TRUE(near(sum, box_sum(x.to(at::kDouble), radius), 1e-4));
    EXPECT_NEAR((sum * y).sum(at::kDouble).item<double>(),
                (box_sum(y, radius) * x).sum(at::kDouble).item<double>(),
                2e-2);
  }
  set_num_threads(1);
  const at::Tensor once = box_sum(x, {2, 2, 2});
  set_num_threads(5);
  EXPECT_TRUE(at::equal(box_sum(x, {2, 2, 2}), once));
}

TEST(LocalNcc, IsOneForAffineGreyValuesAndSmallForNoise) {
  const at::Tensor image = at::randn({1, 1, 16, 17, 18});
  EXPECT_NEAR(local_ncc(image, 1000.0 - 40.0 * image).item<double>(), 1.0, 1e-3);
  EXPECT_LT(local_ncc(image, at::randn_like(image)).item<double>(), 0.05);
  EXPECT_NEAR(local_ncc(image, at::ones_like(image)).item<double>(), 0.0, 1e-9);
}

TEST(LocalNcc, EqualsTheCorrelationInEachWindow) {
  const at::Tensor a = at::randn({5, 6, 7}, at::kDouble), b = a + at::randn({5, 6, 7}, at::kDouble);
  double sum = 0.0;
  for (std::int64_t z = 0; z < 5; ++z) {
    for (std::int64_t y = 0; y < 6; ++y) {
      for (std::int64_t x = 0; x < 7; ++x) {
        const auto window = [&](const at::Tensor& t) {
          at::Tensor part = t;
          const std::int64_t centre[3] = {z, y, x};
          for (std::int64_t axis = 0; axis < 3; ++axis) {
            const std::int64_t first = std::max<std::int64_t>(0, centre[axis] - 1);
            part = part.slice(axis, first, centre[axis] + 2);
          }
          return part - part.mean();
        };
        const at::Tensor f = window(a), m = window(b);
        sum += ((f * m).sum().square() / (f.square().sum() * m.square().sum())).item<double>();
      }
    }
  }
  LocalNccOptions options{1, 1e-12};
  EXPECT_NEAR(
      local_ncc(
          a.to(at::kFloat).view({1, 1, 5, 6, 7}), b.to(at::kFloat).view({1, 1, 5, 6, 7}), options)
          .item<double>(),
      sum / 210.0,
      1e-4);
}

TEST(LocalNcc, ReadsNothingWhereTheMaskIsZero) {
  const at::Tensor f = at::randn({1, 1, 6, 8, 20}), m = f + 0.5 * at::randn_like(f);
  at::Tensor mask = at::ones_like(f);
  mask.narrow(4, 10, 10).zero_();
  at::Tensor spoiled = m.clone();
  spoiled.narrow(4, 10, 10).fill_(50.0);
  EXPECT_NEAR(local_ncc(f, m, {2}, mask).item<double>(),
              local_ncc(f, spoiled, {2}, mask).item<double>(),
              1e-5);
  EXPECT_NEAR(local_ncc(f, m, {2}, mask).item<double>(),
              local_ncc(f.narrow(4, 0, 10), m.narrow(4, 0, 10), {2}).item<double>(),
              1e-4);
}

TEST(LocalNcc, PassesGradients) {
  const at::Tensor f = smooth_noise({7, 8, 9}), m = smooth_noise({7, 8, 9});
  expect_gradient(
      [&](const at::Tensor& x) { return local_ncc(f.to(x.scalar_type()), x, {2}); }, m, 2e-3);
  expect_gradient(
      [&](const at::Tensor& x) { return local_ncc(x, f.to(x.scalar_type()), {2}); }, m, 2e-3);
}

TEST(JointHistogram, KernelEqualsDenseWindows) {
  const at::Tensor f = at::randn({2, 1, 9, 20, 21}), m = at::randn({2, 1, 9, 20, 21});
  const at::Tensor mask = (at::rand_like(f) < 0.7).to(at::kFloat);
  const at::Tensor kernel = joint_histogram(f, m, {16}, mask);
  const at::Tensor dense =
      joint_histogram(f.to(at::kDouble), m.to(at::kDouble), {16}, mask.to(at::kDouble));
  EXPECT_TRUE(near(kernel, dense, 1e-6));
  EXPECT_TRUE(near(kernel.sum({1, 2}), at::ones({2}), 1e-5));
  set_num_threads(1);
  const at::Tensor large = at::randn({1, 1, 20, 70, 70}), other = at::randn_like(large);
  const at::Tensor once = joint_histogram(large, other);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(joint_histogram(large, other), once));
}

TEST(MutualInformation, OfIndependentAndOfEqualImages) {
  // Uniform grey values: the information of an image with itself falls short of ln(bins) by the
  // width of the windows; independence gives about 0.
  const at::Tensor a = at::rand({1, 1, 40, 40, 40}), b = at::rand({1, 1, 40, 40, 40});
  const double self = mutual_information(joint_histogram(a, a)).item<double>();
  const double inverse = mutual_information(joint_histogram(a, 5.0 - 3.0 * a)).item<double>();
  const double none = mutual_information(joint_histogram(a, b)).item<double>();
  EXPECT_GT(self, 1.8);
  EXPECT_LT(self, std::log(32.0));
  EXPECT_NEAR(inverse, self, 1e-3);
  EXPECT_LT(std::abs(none), 0.01);
  EXPECT_NEAR(normalised_mutual_information(joint_histogram(a, b)).item<double>(), 1.0, 2e-3);
  EXPECT_GT(normalised_mutual_information(joint_histogram(a, a)).item<double>(), 1.3);
  const at::Tensor flat = at::ones_like(a);
  EXPECT_NEAR(mutual_information(joint_histogram(a, flat)).item<double>(), 0.0, 1e-5);
}

TEST(MutualInformation, OfAGivenTableEqualsItsDefinition) {
  const at::Tensor table = at::tensor({0.3, 0.1, 0.2, 0.4}, at::kDouble).view({1, 2, 2});
  const auto h = [](std::initializer_list<double> p) {
    double sum = 0.0;
    for (const double v : p) sum -= v * std::log(v);
    return sum;
  };
  const double rows = h({0.4, 0.6}), columns = h({0.5, 0.5}), joint = h({0.3, 0.1, 0.2, 0.4});
  EXPECT_NEAR(mutual_information(table).item<double>(), rows + columns - joint, 1e-12);
  EXPECT_NEAR(normalised_mutual_information(table).item<double>(), (rows + columns) / joint, 1e-12);
}

TEST(MutualInformation, PassesGradients) {
  // The extremes stay where they are, so that the range is constant, as the gradient takes it.
  const auto held = [](const at::Tensor& inner) {
    return at::cat({at::full({1}, -9.0, inner.options()),
                    inner.flatten(),
                    at::full({1}, 9.0, inner.options())})
        .view({1, 1, 1, 1, -1});
  };
  const at::Tensor f = held(at::randn({400}, at::kDouble));
  const at::Tensor m = at::randn({400}, at::kDouble);
  for (const auto measure : {mutual_information, normalised_mutual_information}) {
    expect_gradient(
        [&](const at::Tensor& x) {
          return measure(joint_histogram(f.to(x.scalar_type()), held(x)));
        },
        m,
        2e-4);
    expect_gradient(
        [&](const at::Tensor& x) {
          return measure(joint_histogram(held(x), f.to(x.scalar_type())));
        },
        m,
        2e-4);
  }
}

TEST(SoftLabelDice, CountsTheForegroundClassesThatAreThere) {
  const at::Tensor a = at::zeros({1, 4, 1, 1, 6}), b = at::zeros({1, 4, 1, 1, 6});
  a[0][1].slice(2, 0, 3).fill_(1.0);
  b[0][1].slice(2, 1, 4).fill_(1.0);
  a[0][2].slice(2, 4, 5).fill_(1.0);
  EXPECT_NEAR(soft_label_dice(a, b).item<double>(), 0.5 * (2.0 * 2.0 / 6.0 + 0.0), 1e-6);
  EXPECT_NEAR(soft_label_dice(a, a).item<double>(), 1.0, 1e-6);
  EXPECT_EQ(soft_label_dice(at::zeros_like(a), at::zeros_like(a)).item<double>(), 1.0);
}

TEST(FieldRegularisers, AreZeroForWhatTheyAllow) {
  const Geometry grid = oblique_grid({5, 6, 7});
  const at::Tensor shift = field_of(grid, [](const auto&) { return Eigen::Vector3d(1, -2, 3); });
  Eigen::Matrix3d a;
  a << 0.1, 0.2, -0.3, 0.05, -0.15, 0.1, 0.2, 0.3, -0.05;
  const at::Tensor affine =
      field_of(grid, [&](const Eigen::Vector3d& x) { return Eigen::Vector3d(a * x); });
  EXPECT_NEAR(diffusion_energy(shift, grid).item<double>(), 0.0, 1e-20);
  // Derivatives along the grid's axes are those along x, y, z turned: the sum of squares stays.
  EXPECT_NEAR(diffusion_energy(affine, grid).item<double>(), a.squaredNorm() / 9.0, 1e-10);
  EXPECT_NEAR(bending_energy(affine, grid).item<double>(), 0.0, 1e-18);
  EXPECT_EQ(folding_penalty(affine, grid).item<double>(), 0.0);
  const Eigen::Matrix3d mirror = Eigen::Vector3d(-2.0, 0.0, 0.0).asDiagonal();
  const at::Tensor folded =
      field_of(grid, [&](const Eigen::Vector3d& x) { return Eigen::Vector3d(mirror * x); });
  EXPECT_NEAR(folding_penalty(folded, grid).item<double>(), 1.0, 1e-9);
}

TEST(FieldRegularisers, BendingEnergyOfAParabola) {
  const Geometry grid = oblique_grid({6, 7, 8});
  const Eigen::Vector3d middle = middle_of(grid);
  // u_x = 0.5 q' H q in grid coordinates q: the second derivatives are H everywhere.
  Eigen::Matrix3d h;
  h << 0.4, 0.1, -0.2, 0.1, -0.3, 0.05, -0.2, 0.05, 0.6;
  const at::Tensor field = field_of(grid, [&](const Eigen::Vector3d& x) {
    const Eigen::Vector3d q = grid.direction.transpose() * (x - middle);
    return Eigen::Vector3d(0.5 * q.dot(h * q), 0.0, 0.0);
  });
  EXPECT_NEAR(bending_energy(field, grid).item<double>(), h.squaredNorm() / 3.0, 1e-9);
}

TEST(FieldRegularisers, PassGradients) {
  const Geometry grid = oblique_grid({5, 6, 7});
  const at::Tensor u = 0.6 * at::randn({1, 3, 5, 6, 7}, at::kDouble);
  expect_gradient([&](const at::Tensor& x) { return diffusion_energy(x, grid); }, u, 2e-4);
  expect_gradient([&](const at::Tensor& x) { return bending_energy(x, grid); }, u, 2e-3);
  expect_gradient([&](const at::Tensor& x) { return folding_penalty(x, grid, 0.5); }, u, 2e-3);
}

TEST(FieldRegularisers, TakeASliceAsTwoDimensional) {
  Geometry grid;
  grid.shape = {1, 6, 7};
  const at::Tensor u = at::randn({1, 3, 1, 6, 7}, at::kDouble);
  EXPECT_TRUE(std::isfinite(diffusion_energy(u, grid).item<double>()));
  EXPECT_TRUE(std::isfinite(bending_energy(u, grid).item<double>()));
}

}  // namespace
}  // namespace triptych
