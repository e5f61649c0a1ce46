// SPDX-License-Identifier: Apache-2.0
#include "framework/data/harmonise.h"

#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::BallScene;
using testing::error_message;
using testing::make_chain;
using testing::make_transform;
using testing::near;

class IntensityTransforms : public ::testing::TestWithParam<const char*> {};

TEST_P(IntensityTransforms, ChangeIntensitiesOnlyAndReplay) {
  const Sample original = BallScene({6, 12, 12}).sample;
  const at::Tensor before = original.at("image").data.clone();
  Sample first = original;
  const std::string yaml = fmt::format("{{name: {}}}", GetParam());
  make_chain({yaml})(first, RandomStream(3));
  EXPECT_FALSE(at::equal(first.at("image").data, before));
  EXPECT_TRUE(at::equal(original.at("image").data, before)) << "the input was written to";
  EXPECT_TRUE(at::equal(first.at("label").data, original.at("label").data));
  EXPECT_TRUE(at::equal(first.at("points").data, original.at("points").data));
  EXPECT_EQ(first.at("image").data.scalar_type(), at::kFloat);
  Sample second = original;
  make_transform(yaml)->apply(second, first.history.at(0).second);
  EXPECT_TRUE(at::equal(first.at("image").data, second.at("image").data));
}

TEST_P(IntensityTransforms, LeaveUnnamedEntriesAloneAndRefuseOthers) {
  Sample sample = BallScene({6, 12, 12}).sample;
  sample.entries["clean"] = sample.at("image");
  const at::Tensor before = sample.at("clean").data.clone();
  make_chain({fmt::format("{{name: {}, entries: [image]}}", GetParam())})(sample, RandomStream(3));
  EXPECT_TRUE(at::equal(sample.at("clean").data, before));
  EXPECT_FALSE(at::equal(sample.at("image").data, before));
  const auto apply = [&](const char* entry) {
    make_chain({fmt::format("{{name: {}, entries: [{}]}}", GetParam(), entry)})(sample,
                                                                                RandomStream(3));
  };
  EXPECT_THAT(error_message("data", [&] { apply("label"); }),
              ::testing::HasSubstr("expected intensities in entry 'label', got label"));
  EXPECT_THAT(error_message("data", [&] { apply("imag"); }),
              ::testing::HasSubstr("did you mean 'image'"));
}

INSTANTIATE_TEST_SUITE_P(Data,
                         IntensityTransforms,
                         ::testing::Values("brightness",
                                           "contrast",
                                           "gamma",
                                           "gaussian_noise",
                                           "gaussian_blur",
                                           "bias_field",
                                           "rician_noise",
                                           "ghosting",
                                           "signal_void",
                                           "downsample"),
                         [](const auto& test) { return std::string(test.param); });

Sample ramp() { return testing::numbered_sample("ramp", {2, 5, 10}); }

TEST(Brightness, AddsAConstant) {
  Sample sample = ramp();
  make_transform("{name: brightness}")->apply(sample, {{"shift", {0.25}}});
  EXPECT_TRUE(near(sample.at("image").data, ramp().at("image").data + 0.25, 1e-6));
}

TEST(Contrast, SpreadsValuesAboutTheMean) {
  Sample sample = ramp();
  make_transform("{name: contrast}")->apply(sample, {{"factor", {2.0}}});
  const at::Tensor before = ramp().at("image").data;
  EXPECT_TRUE(near(sample.at("image").data, (before - before.mean()) * 2.0 + before.mean(), 1e-4));
}

TEST(Gamma, KeepsTheEndsOfTheGreyScale) {
  Sample sample = ramp();
  make_transform("{name: gamma}")->apply(sample, {{"gamma", {2.0}}});
  EXPECT_TRUE(
      near(sample.at("image").data, (ramp().at("image").data / 99.0).square() * 99.0, 1e-3));
}

TEST(GaussianNoise, HasTheDeviationDrawn) {
  Sample sample = testing::numbered_sample("n", {20, 50, 50});
  const at::Tensor before = sample.at("image").data;
  sample.at("image").data = at::zeros_like(before);
  make_transform("{name: gaussian_noise}")->apply(sample, {{"sigma", {0.3}}, {"seed", {12345.0}}});
  EXPECT_NEAR(sample.at("image").data.std().item<double>(), 0.3, 0.005);
  EXPECT_NEAR(sample.at("image").data.mean().item<double>(), 0.0, 0.005);
}

TEST(GaussianBlur, KeepsTheSumAndStaysInTheSliceInTwoDimensions) {
  Sample sample = testing::numbered_sample("n", {5, 21, 21});
  at::Tensor impulse = at::zeros_like(sample.at("image").data);
  impulse[0][2][10][10] = 1.0;
  sample.at("image").data = impulse;
  make_transform("{name: gaussian_blur}")->apply(sample, {{"sigma", {1.5}}});
  const at::Tensor blurred = sample.at("image").data;
  EXPECT_NEAR(blurred.sum().item<double>(), 1.0, 1e-5);
  EXPECT_NEAR(blurred.select(1, 2).sum().item<double>(), 1.0, 1e-5);
  EXPECT_NEAR(blurred[0][2][10][10].item<double>(), 1.0 / (2.0 * 3.14159265 * 2.25), 1e-3);
}

TEST(Harmonise, FindsExactPercentiles) {
  at::Tensor values = at::randn({1, 7, 31, 29}).mul(100.0).to(at::kFloat);
  const IntensityStatistics found = measure_intensities(values, 0.5, 99.9);
  const at::Tensor expected =
      at::quantile(values.flatten().to(at::kDouble), at::tensor({0.005, 0.999}, at::kDouble));
  EXPECT_NEAR(found.low, expected[0].item<double>(), 1e-9);
  EXPECT_NEAR(found.high, expected[1].item<double>(), 1e-9);
  EXPECT_NEAR(found.mean, values.mean().item<double>(), 1e-3);
  EXPECT_NEAR(found.deviation, values.std(false).item<double>(), 1e-2);
  EXPECT_EQ(found.minimum, values.min().item<double>());
  EXPECT_EQ(found.maximum, values.max().item<double>());
}

TEST(Harmonise, DoesNotDependOnTheBlocks) {
  const at::Tensor values = at::randn({1, 8, 10, 10});
  const auto whole = measure_intensities(values, 1.0, 98.0);
  const auto blocks = measure_intensities(
      [&](const auto& block) {
        for (std::int64_t d = 0; d < 8; d += 3)
          block(values.narrow(1, d, std::min<std::int64_t>(3, 8 - d)));
      },
      1.0,
      98.0);
  EXPECT_EQ(whole.low, blocks.low);
  EXPECT_EQ(whole.high, blocks.high);
  EXPECT_EQ(whole.deviation, blocks.deviation);
}

TEST(Harmonise, CountsValuesThatAreNotFinite) {
  const at::Tensor values = at::tensor({1.0F, NAN, 3.0F, INFINITY, 2.0F}).view({1, 1, 1, 5});
  const IntensityStatistics found = measure_intensities(values, 0.0, 100.0);
  EXPECT_EQ(found.not_finite, 2);
  EXPECT_EQ(found.low, 1.0);
  EXPECT_EQ(found.high, 3.0);
}

TEST(Harmonise, ClipsAndScalesToTheUnitRange) {
  Sample sample = testing::numbered_sample("n", {10, 20, 20});
  make_chain({"{name: harmonise}"})(sample, RandomStream(1));
  const at::Tensor values = sample.at("image").data;
  EXPECT_EQ(values.min().item<double>(), 0.0);
  EXPECT_EQ(values.max().item<double>(), 1.0);
  EXPECT_NEAR(values.eq(0.0).to(at::kDouble).mean().item<double>(), 0.005, 0.001);
  EXPECT_NEAR(values.eq(1.0).to(at::kDouble).mean().item<double>(), 0.001, 0.0006);
}

TEST(Harmonise, ResamplesImageAndLabelTogether) {
  Sample sample = BallScene({20, 24, 28}).sample;
  make_chain({"{name: harmonise, mode: zscore, spacing_mm: [0.5]}"})(sample, RandomStream(1));
  EXPECT_TRUE(same_grid(sample.at("image").geometry, sample.at("label").geometry));
  EXPECT_TRUE(sample.at("image").geometry.spacing.isApprox(Eigen::Vector3d::Constant(0.5)));
  EXPECT_EQ(sample.at("label").data.scalar_type(), at::kLong);
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(testing::value_at(sample.at("label"), testing::point_of(sample.at("points"), i)),
                1.0,
                1e-9);
  }
}

TEST(Harmonise, RefusesAnImageWithoutContrast) {
  Sample sample = ramp();
  sample.at("image").data = at::full_like(sample.at("image").data, 4.0);
  EXPECT_THAT(
      error_message("data", [&] { make_chain({"{name: harmonise}"})(sample, RandomStream(1)); }),
      ::testing::HasSubstr(
          "sample ramp: 'image': expected an image with contrast, got 4 everywhere"));
}

TEST(Harmonise, KeepsContrastOutsideThePercentiles) {
  at::Tensor values = at::zeros({1, 10, 100, 100});
  values[0][5][5][5] = 8.0;
  const auto map = fit_intensities(measure_intensities(values, 0.5, 99.9), {}, "sparse");
  EXPECT_EQ(map.apply(values).max().item<double>(), 1.0);
}

TEST(Harmonise, MapsAWindow) {
  HarmoniseConfig config;
  config.mode = "window";
  config.window = {-100.0, 300.0};
  const auto map = fit_intensities({}, config, "ct");
  EXPECT_TRUE(near(map.apply(at::tensor({-1000.0F, -100.0F, 100.0F, 300.0F, 900.0F})),
                   at::tensor({0.0F, 0.0F, 0.5F, 1.0F, 1.0F}),
                   1e-6));
}

TEST(TransformChain, GivesEachTransformAStreamOfItsOwn) {
  const Sample original = BallScene({4, 12, 12}).sample;
  Sample a = original;
  Sample b = original;
  make_chain({"{name: brightness}", "{name: random_flip, probability: 0.5, axes: [0, 1, 2]}"})(
      a, RandomStream(9));
  make_chain({"{name: gaussian_noise}", "{name: random_flip, probability: 0.5, axes: [0, 1, 2]}"})(
      b, RandomStream(9));
  EXPECT_EQ(a.history.at(1), b.history.at(1))
      << "another first transform changed what the second draws";
  EXPECT_EQ(a.history.at(0).first, "brightness");
}

TEST(TransformChain, NamesAnUnknownTransform) {
  EXPECT_THAT(error_message("schema", [] { make_chain({"{name: brightnes}"}); }),
              ::testing::HasSubstr("brightness"));
}

}  // namespace
}  // namespace triptych
