// SPDX-License-Identifier: Apache-2.0
// Maps of an isotropic U-net turn with the image.
#include "framework/config/yaml_reader.h"
#include "framework/core/nn.h"
#include "framework/model/backbone.h"
#include "framework/model/isotropic_kernel.h"

#include "tests/support/tensor_matchers.h"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace triptych {
namespace {

std::shared_ptr<Backbone> net(const std::string& keys) {
  const auto made = BackboneRegistry::instance().create(
      config::parse_yaml("{name: unet, width: 4, depth: 1, normalisation: instance, " + keys + "}",
                         "backbone.yaml"),
      BackboneInput{1});
  made->eval();
  return made;
}

TEST(IsotropicUnet, TurnsItsMapsExactlyWithQuarterTurns) {
  const torch::NoGradGuard no_grad;
  const auto volumes = net("dimensions: 3, isotropic: true");
  const at::Tensor volume = torch::randn({1, 1, 16, 16, 16});
  const auto slices = net("dimensions: 2, isotropic: true");
  const at::Tensor slice = torch::randn({1, 1, 1, 16, 16});
  const FeaturePyramid of_slice = slices->forward(slice), of_volume = volumes->forward(volume);
  const FeaturePyramid mirrored = volumes->forward(volume.flip({2}));
  for (std::int64_t level = 0; level < 2; ++level) {
    EXPECT_TRUE(testing::near(mirrored.level(level), of_volume.level(level).flip({2}), 1e-4));
    for (const auto& [first, second] : {std::pair{2, 3}, {3, 4}, {4, 2}}) {
      EXPECT_TRUE(testing::near(volumes->forward(volume.rot90(1, {first, second})).level(level),
                                of_volume.level(level).rot90(1, {first, second}),
                                1e-4));
    }
    EXPECT_TRUE(testing::near(slices->forward(slice.rot90(1, {3, 4})).level(level),
                              of_slice.level(level).rot90(1, {3, 4}),
                              1e-4));
  }
}

TEST(IsotropicKernel, HasTheMeanOfTapsAtEqualDistance) {
  const at::Tensor kernel =
      isotropic_kernel(torch::arange(9, torch::kFloat).square().view({1, 1, 3, 3}));
  // 0 1 4 / 9 16 25 / 36 49 64: corners 26, sides 21, middle 16.
  const at::Tensor expected =
      torch::tensor({26, 21, 26, 21, 16, 21, 26, 21, 26}, torch::kFloat).view({1, 1, 3, 3});
  EXPECT_TRUE(testing::near(kernel, expected, 1e-5));
  EXPECT_TRUE(testing::near(isotropic_kernel(torch::arange(8, torch::kFloat).view({1, 1, 2, 2, 2})),
                            torch::full({1, 1, 2, 2, 2}, 3.5),
                            1e-6));
  EXPECT_DOUBLE_EQ(taps_per_distance(3, 3), 27.0 / 4.0);
  EXPECT_DOUBLE_EQ(taps_per_distance(2, 2), 4.0);
}

}  // namespace
}  // namespace triptych
