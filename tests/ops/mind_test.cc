// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mind.h"

#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::near;

/// The definition, voxel by voxel in double precision, image [D, H, W].
class PlainMind {
 public:
  PlainMind(const at::Tensor& image, const MindOptions& options)
      : image_(image.to(at::kDouble)), options_(options) {
    const int n[6][3] = {{0, 0, -1}, {0, 0, 1}, {0, -1, 0}, {0, 1, 0}, {-1, 0, 0}, {1, 0, 0}};
    for (int a = 0; a < 6; ++a) {
      for (int b = a + 1; b < 6; ++b) {
        int squared = 0;
        for (int i = 0; i < 3; ++i) squared += (n[a][i] - n[b][i]) * (n[a][i] - n[b][i]);
        if (squared == 2) pairs_.push_back({n[a][0], n[a][1], n[a][2], n[b][0], n[b][1], n[b][2]});
      }
    }
  }

  at::Tensor descriptors() const {
    const auto d = image_.size(0), h = image_.size(1), w = image_.size(2);
    at::Tensor above = at::empty({12, d, h, w}, at::kDouble);
    at::Tensor variance = at::empty({d, h, w}, at::kDouble);
    for (std::int64_t z = 0; z < d; ++z) {
      for (std::int64_t y = 0; y < h; ++y) {
        for (std::int64_t x = 0; x < w; ++x) {
          std::vector<double> distances;
          for (const auto& pair : pairs_) distances.push_back(distance(pair, z, y, x));
          const double least = *std::min_element(distances.begin(), distances.end());
          double sum = 0.0;
          for (std::size_t c = 0; c < 12; ++c) {
            above[static_cast<std::int64_t>(c)][z][y][x] = distances[c] - least;
            sum += distances[c] - least;
          }
          variance[z][y][x] = sum / 12.0;
        }
      }
    }
    const double mean = variance.mean().item<double>();
    return at::exp(-above / variance.clamp(0.001 * mean, 1000.0 * mean));
  }

 private:
  double value(std::int64_t z, std::int64_t y, std::int64_t x) const {
    const auto inside = [](std::int64_t i, std::int64_t n) {
      return std::clamp<std::int64_t>(i, 0, n - 1);
    };
    return values_[inside(z, image_.size(0))][inside(y, image_.size(1))][inside(x, image_.size(2))];
  }
  double distance(const std::array<int, 6>& p,
                  std::int64_t z,
                  std::int64_t y,
                  std::int64_t x) const {
    const std::int64_t r = options_.radius, d = options_.dilation;
    double sum = 0.0;
    for (std::int64_t k = -r; k <= r; ++k) {
      for (std::int64_t j = -r; j <= r; ++j) {
        for (std::int64_t i = -r; i <= r; ++i) {
          // The map of squared differences repeats at its edge, not the image under it.
          const std::int64_t cz = std::clamp<std::int64_t>(z + k, 0, image_.size(0) - 1);
          const std::int64_t cy = std::clamp<std::int64_t>(y + j, 0, image_.size(1) - 1);
          const std::int64_t cx = std::clamp<std::int64_t>(x + i, 0, image_.size(2) - 1);
          const double a = value(cz + d * p[0], cy + d * p[1], cx + d * p[2]);
          const double b = value(cz + d * p[3], cy + d * p[4], cx + d * p[5]);
          sum += (a - b) * (a - b);
        }
      }
    }
    return sum / std::pow(2.0 * static_cast<double>(r) + 1.0, 3.0);
  }

  at::Tensor image_;
  at::TensorAccessor<double, 3> values_ = image_.accessor<double, 3>();
  MindOptions options_;
  std::vector<std::array<int, 6>> pairs_;
};

TEST(Mind, EqualsItsDefinitionVoxelByVoxel) {
  const at::Tensor image = 100.0 * at::randn({2, 1, 6, 7, 19});
  for (const MindOptions& options : {MindOptions{1, 2}, MindOptions{2, 1}, MindOptions{0, 3}}) {
    const at::Tensor kernel = mind_ssc(image, options);
    for (int item = 0; item < 2; ++item)
      EXPECT_TRUE(near(kernel[item], PlainMind(image[item][0], options).descriptors(), 2e-5));
    // LibTorch's operators, which training differentiates.
    EXPECT_TRUE(near(mind_ssc(image.to(at::kDouble), options), kernel, 2e-5));
    EXPECT_TRUE(
        near(mind_ssc(image.clone().set_requires_grad(true), options).detach(), kernel, 2e-5));
  }
}

TEST(Mind, SeesNoInversionAndNoScaleOfTheGreyValues) {
  const at::Tensor image = at::randn({1, 1, 8, 9, 10});
  const at::Tensor expected = mind_ssc(image);
  EXPECT_TRUE(near(mind_ssc(-image), expected, 1e-6));
  EXPECT_TRUE(near(mind_ssc(30.0 - 7.0 * image), expected, 1e-4));
  EXPECT_LE(expected.max().item<float>(), 1.0F + 1e-6F);
  EXPECT_TRUE(near(expected.amax(1), at::ones({1, 8, 9, 10}), 1e-6));
}

TEST(Mind, OfAConstantImageAndOfASliceIsFinite) {
  EXPECT_TRUE(near(mind_ssc(at::full({1, 1, 4, 5, 6}, 3.0F)), at::ones({1, 12, 4, 5, 6}), 0.0));
  const at::Tensor slice = at::randn({1, 1, 1, 20, 21});
  const at::Tensor descriptors = mind_ssc(slice);
  EXPECT_TRUE(at::isfinite(descriptors).all().item<bool>());
  EXPECT_TRUE(near(descriptors[0], PlainMind(slice[0][0], {}).descriptors(), 2e-5));
}

TEST(Mind, BitsDoNotDependOnThreads) {
  const at::Tensor image = at::randn({1, 1, 30, 31, 33});
  set_num_threads(1);
  const at::Tensor expected = mind_ssc(image);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(mind_ssc(image), expected));
}

TEST(Mind, PassesGradientsToTheImage) {
  const at::Tensor image = at::randn({1, 1, 5, 6, 7}, at::kDouble).set_requires_grad(true);
  const at::Tensor weights = at::randn({1, 12, 5, 6, 7}, at::kDouble);
  const at::Tensor direction = at::randn_like(image);
  // The mean variance only bounds the others; none of these is near the bounds.
  (mind_ssc(image) * weights).sum().backward();
  const at::NoGradGuard no_grad;
  const auto loss = [&](double t) {
    return (mind_ssc(image + t * direction) * weights).sum().item<double>();
  };
  EXPECT_NEAR(
      (image.grad() * direction).sum().item<double>(), (loss(1e-6) - loss(-1e-6)) / 2e-6, 1e-5);
}

}  // namespace
}  // namespace triptych
