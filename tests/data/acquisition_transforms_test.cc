// SPDX-License-Identifier: Apache-2.0
// Transforms that imitate the acquisition of magnetic resonance images.
#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::make_chain;
using testing::make_transform;
using testing::near;

/// An image of `value` everywhere, of two channels.
Sample even_sample(const Index3& shape, double value) {
  Sample sample = testing::numbered_sample("even", shape);
  sample.at("image").data =
      at::full({2, shape[0], shape[1], shape[2]}, value, at::TensorOptions(at::kFloat));
  return sample;
}

at::Tensor applied(Sample sample, const std::string& yaml, const TransformParameters& parameters) {
  make_transform(yaml)->apply(sample, parameters);
  return sample.at("image").data;
}

TEST(BiasField, IsSmoothAndLogNormal) {
  const auto field = [](double deviation) {
    return applied(even_sample({8, 32, 32}, 2.0),
                   "{name: bias_field}",
                   {{"deviation", {deviation}}, {"seed", {7.0}}});
  };
  EXPECT_TRUE(near(field(0.0), at::full({2, 8, 32, 32}, 2.0), 0.0));
  const at::Tensor weak = (field(0.2) / 2.0).log();
  EXPECT_TRUE(near((field(0.4) / 2.0).log(), 2.0 * weak, 1e-4));
  EXPECT_TRUE(at::equal(weak[0], weak[1]));
  EXPECT_GT(weak.max().item<double>() - weak.min().item<double>(), 0.05);
  for (const int axis : {1, 2, 3}) EXPECT_LT(weak.diff(1, axis).abs().max().item<double>(), 0.08);
}

TEST(RicianNoise, HasTheMomentsOfTheDistribution) {
  const TransformParameters drawn{{"sigma", {0.1}}, {"seed", {7.0}}};
  const at::Tensor dark = applied(even_sample({20, 40, 40}, 0.0), "{name: rician_noise}", drawn);
  EXPECT_NEAR(dark.mean().item<double>(), 0.1 * std::sqrt(std::numbers::pi / 2.0), 0.001);
  EXPECT_GE(dark.min().item<double>(), 0.0);
  // Far above the noise it is Gaussian, with the mean square A^2 + 2 sigma^2 at any signal A.
  const at::Tensor bright = applied(even_sample({20, 40, 40}, 1.0), "{name: rician_noise}", drawn);
  EXPECT_NEAR(bright.std().item<double>(), 0.1, 0.003);
  EXPECT_NEAR(bright.square().mean().item<double>(), 1.02, 0.004);
  EXPECT_FALSE(at::equal(bright[0], bright[1]));
}

TEST(Ghosting, AddsShiftedCopiesAlongTheAxis) {
  Sample sample = testing::numbered_sample("ghosts", {3, 24, 10});
  const at::Tensor image = sample.at("image").data;
  const at::Tensor got =
      applied(sample, "{name: ghosting, ghosts: 3, axis: 1}", {{"intensity", {0.1}}});
  at::Tensor expected = image.clone();
  for (const std::int64_t copy : {1, 2, 3}) expected += 0.1 * image.roll(6 * copy, 2);
  EXPECT_TRUE(near(got, expected, 1e-3)) << "values go up to 719";
  const at::Tensor across =
      applied(sample, "{name: ghosting, ghosts: 1, axis: 2}", {{"intensity", {0.2}}});
  EXPECT_TRUE(near(across, image + 0.2 * image.roll(5, 3), 1e-3));
}

TEST(Ghosting, NeedsMoreThanOneVoxelAlongTheAxis) {
  EXPECT_THAT(error_message("data",
                            [] {
                              applied(testing::numbered_sample("flat", {1, 8, 8}),
                                      "{name: ghosting, axis: 0}",
                                      {{"intensity", {0.1}}});
                            }),
              HasSubstr("sample flat: transform 'ghosting': expected more than one voxel along "
                        "axis 0 of entry 'image'"));
}

const TransformParameters kVoid{
    {"reach", {0.1}}, {"radius", {0.15}}, {"centre", {0.5, 0.5, 0.5}}, {"seed", {3.0}}};

TEST(SignalVoid, IsDarkAboutTheBallAndBrightAtItsRim) {
  const at::Tensor with_rim =
      applied(even_sample({1, 61, 61}, 1.0), "{name: signal_void}", kVoid)[0][0];
  const at::Tensor without =
      applied(even_sample({1, 61, 61}, 1.0), "{name: signal_void, rim: 0.0}", kVoid)[0][0];
  const at::Tensor axis = at::arange(61, at::kFloat) - 30.0;
  const at::Tensor radius = (axis.view({-1, 1}).square() + axis.view({1, -1}).square()).sqrt();
  EXPECT_EQ(with_rim.masked_select(radius <= 9.0).max().item<float>(), 0.0F);
  EXPECT_GT(with_rim.max().item<double>(), 1.2);
  EXPECT_LE(with_rim.max().item<double>(), 1.35);
  EXPECT_LE(without.max().item<double>(), 1.0);
  // The reach, 6.1 mm, varies by a factor of e^(0.3 n).
  EXPECT_GT(without.masked_select(radius > 9.15 + 3.0 * 6.1 * 1.3).min().item<double>(), 0.98);
}

TEST(SignalVoid, LiesAboutTheVoxelsOfALabel) {
  Sample sample = testing::numbered_sample("metal", {6, 16, 16});
  sample.at("image").data = at::ones({1, 6, 16, 16});
  sample.at("label").data.zero_();
  sample.at("label").data[0][3][8][8] = 2;
  sample.at("label").data[0][1][1][1] = 1;
  const std::string yaml = "{name: signal_void, label_entry: label, classes: [2], rim: 0.0}";
  const at::Tensor got = applied(sample, yaml, kVoid)[0];
  EXPECT_EQ(got[3][8][8].item<float>(), 0.0F);
  EXPECT_GT(got[1][1][1].item<float>(), 0.99F);
  EXPECT_LT(got[3][8][9].item<float>(), 1.0F);
  sample.at("label").data.zero_();
  EXPECT_TRUE(at::equal(applied(sample, yaml, kVoid), sample.at("image").data));
  EXPECT_THAT(
      error_message("data",
                    [&] { applied(sample, "{name: signal_void, label_entry: image}", kVoid); }),
      HasSubstr("expected labels of the size of 'image' in entry 'image'"));
  EXPECT_THAT(
      error_message("schema", [] { make_chain({"{name: signal_void, reach: [0.2, 0.1]}"}); }),
      HasSubstr("reach"));
}

TEST(Downsample, KeepsRampsAndLosesDetail) {
  Sample sample = testing::numbered_sample("fine", {5, 24, 24});
  const TransformParameters twice{{"factor", {1.0, 2.0, 2.0}}};
  const at::Tensor ramp = sample.at("image").data;
  const at::Tensor kept = applied(sample, "{name: downsample}", twice);
  const auto inner = [](const at::Tensor& image) {
    return image.narrow(2, 6, 12).narrow(3, 6, 12);
  };
  EXPECT_TRUE(near(inner(kept), inner(ramp), 1e-2)) << "values go up to 2879";
  EXPECT_TRUE(
      at::equal(applied(sample, "{name: downsample}", {{"factor", {1.0, 1.0, 1.0}}}), ramp));
  const at::Tensor columns = at::arange(24, at::kLong).remainder(2).to(at::kFloat);
  sample.at("image").data = columns.expand({1, 5, 24, 24}).contiguous();
  const at::Tensor lost = applied(sample, "{name: downsample}", twice);
  EXPECT_LT(inner(lost).std().item<double>(), 0.1 * columns.std().item<double>());
}

TEST(Downsample, LeavesAnAxisOfFactorOneAlone) {
  Sample sample = testing::numbered_sample("plane", {5, 24, 24});
  sample.at("image").data.zero_();
  sample.at("image").data.select(1, 2).fill_(1.0);
  const at::Tensor plane = sample.at("image").data.clone();
  EXPECT_TRUE(
      near(applied(sample, "{name: downsample}", {{"factor", {1.0, 3.0, 3.0}}}), plane, 1e-6));
  const at::Tensor thick = applied(sample, "{name: downsample}", {{"factor", {3.0, 1.0, 1.0}}});
  EXPECT_GT(thick[0][1][5][5].item<double>(), 0.1);
  EXPECT_THAT(error_message("schema", [] { make_chain({"{name: downsample, factor: [2, 2]}"}); }),
              HasSubstr("three numbers"));
}

}  // namespace
}  // namespace triptych
