// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/backbone.h"

#include "tests/support/tensor_matchers.h"

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace triptych {
namespace {

using Settings = std::map<std::string, std::string>;

config::Node unet_node(const Settings& settings) {
  config::Node node = config::Node::map();
  node.set("name", config::Node("unet"));
  for (const auto& [key, value] : settings) {
    const bool number = value.find_first_not_of("0123456789.") == std::string::npos;
    if (!number) {
      node.set(key, config::Node(value));
    } else if (value.find('.') != std::string::npos) {
      node.set(key, config::Node(std::stod(value)));
    } else {
      node.set(key, config::Node(std::int64_t{std::stoll(value)}));
    }
  }
  return node;
}

std::shared_ptr<Backbone> unet(const Settings& settings, std::int64_t channels = 1) {
  return BackboneRegistry::instance().create(unet_node(settings), BackboneInput{channels});
}

Settings plain(std::int64_t width, std::int64_t depth) {
  return {{"width", std::to_string(width)}, {"depth", std::to_string(depth)}};
}

std::int64_t parameters(const Backbone& backbone) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : backbone.parameters()) count += parameter.numel();
  return count;
}

/// Weights, statistics and affine parts as after some training, so that folding has something to
/// fold.
void randomise(Backbone& backbone) {
  const torch::NoGradGuard no_grad;
  for (auto& item : backbone.named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0.0, 0.3);
    if (item.key().ends_with("running_variance")) item.value().uniform_(0.5, 2.0);
  }
  for (auto& item : backbone.named_parameters()) {
    if (item.key().ends_with("scale")) item.value().uniform_(0.7, 1.3);
    if (item.key().ends_with("shift") || item.key().ends_with("bias"))
      item.value().normal_(0.0, 0.2);
  }
}

/// Parameters are a quadratic polynomial of the width, so three narrow nets tell those of a wide
/// one, which takes long to draw.
double parameters_at(std::int64_t width, std::int64_t depth) {
  std::array<double, 3> p{};
  for (std::int64_t i = 0; i < 3; ++i)
    p[static_cast<std::size_t>(i)] = static_cast<double>(parameters(*unet(plain(i + 1, depth))));
  const double w = static_cast<double>(width);
  return p[0] * (w - 2) * (w - 3) / 2 - p[1] * (w - 1) * (w - 3) + p[2] * (w - 1) * (w - 2) / 2;
}

TEST(Unet, HasThePublishedNumbersOfParameters) {
  EXPECT_EQ(parameters_at(32, 3), static_cast<double>(parameters(*unet(plain(32, 3)))));
  struct Case {
    std::int64_t width, depth;
    double millions;
  };
  for (const Case& c : {Case{32, 3, 1.9},
                        {64, 4, 31.0},
                        {64, 5, 124.4},
                        {96, 5, 279.8}}) {  // Baltruschat et al. 2021
    const double head = 4.0 * static_cast<double>(c.width) + 4.0;
    EXPECT_NEAR((parameters_at(c.width, c.depth) + head) / 1e6, c.millions, 0.05)
        << c.width << ", " << c.depth;
  }
}

TEST(Unet, StatesTheTrueReceptiveFields) {
  const std::array<std::int64_t, 4> bottleneck{68, 140, 284, 572}, output{100, 204, 412, 828};
  for (std::int64_t depth = 3; depth <= 6; ++depth) {
    const BackboneCost cost = unet(plain(2, depth))->cost({1, 256, 256});
    const auto i = static_cast<std::size_t>(depth - 3);
    EXPECT_EQ(cost.bottleneck_receptive_field,
              (std::array<std::int64_t, 3>{1, bottleneck[i], bottleneck[i]}));
    EXPECT_EQ(cost.output_receptive_field, (std::array<std::int64_t, 3>{1, output[i], output[i]}));
  }
}

/// Most input columns that can move one output column of a level: a NaN travels through
/// convolutions and pooling alike, so image i of the batch has a NaN in column i, and an output
/// column counts the images that made it NaN.
std::int64_t measured_extent(Backbone& net, std::int64_t level, std::int64_t size) {
  const torch::NoGradGuard no_grad;
  at::Tensor images = torch::randn({size, 1, 1, net.size_multiple()[1], size});
  for (std::int64_t i = 0; i < size; ++i) images.select(0, i).select(-1, i).fill_(NAN);
  const at::Tensor reached =
      net.forward(images).level(level).isnan().flatten(1, 3).any(1);  // [image, column]
  return reached.sum(0).max().item<std::int64_t>();
}

TEST(Unet, NothingBeyondTheReceptiveFieldMovesAnOutputAndAllOfItDoes) {
  for (const char* kernel : {"1", "3", "5"}) {
    for (const char* depth : {"1", "2"}) {
      const auto net = unet(
          {{"width", "2"}, {"depth", depth}, {"kernel", kernel}, {"activation", "leaky_relu"}});
      net->eval();
      const BackboneCost cost = net->cost({1, 96, 96});
      EXPECT_EQ(measured_extent(*net, 0, 96), cost.output_receptive_field[2])
          << depth << ", " << kernel;
      EXPECT_EQ(measured_extent(*net, std::stoi(depth), 96), cost.bottleneck_receptive_field[2])
          << depth << ", " << kernel;
    }
  }
}

TEST(Unet, CountsMultiplyAddsOfThePublishedNet) {
  // 24.1 GFLOP for 256 x 256, width 32, depth 4, of which the head's 1x1 convolution is 0.017.
  const BackboneCost cost = unet(plain(32, 4))->cost({1, 256, 256});
  EXPECT_NEAR(2e-9 * static_cast<double>(cost.multiply_adds), 24.1, 0.1);
  EXPECT_GT(cost.activation_bytes, 0);
}

struct Layout {
  const char* name;
  Settings settings;
  std::array<std::int64_t, 3> size;
};

class UnetLayout : public ::testing::TestWithParam<Layout> {};

TEST_P(UnetLayout, GivesThePyramidItDeclares) {
  const auto net = unet(GetParam().settings, 2);
  const auto [d, h, w] = GetParam().size;
  const FeaturePyramid pyramid = net->forward(torch::randn({2, 2, d, h, w}));
  const PyramidSpec levels = net->levels();
  ASSERT_EQ(levels.size(), 3);
  for (std::int64_t i = 0; i < levels.size(); ++i) {
    const LevelSpec& level = levels.level(i);
    EXPECT_EQ(
        pyramid.level(i).sizes(),
        at::IntArrayRef(
            {2, level.channels, d / level.stride[0], h / level.stride[1], w / level.stride[2]}));
  }
}

TEST_P(UnetLayout, FoldedEqualsPlain) {
  const auto net = unet(GetParam().settings, 2);
  randomise(*net);
  net->eval();
  const torch::NoGradGuard no_grad;
  const std::shared_ptr<Backbone> folded = net->folded();
  ASSERT_NE(folded, nullptr);
  const auto [d, h, w] = GetParam().size;
  const at::Tensor image = torch::randn({2, 2, d, h, w});
  const FeaturePyramid plain_levels = net->forward(image), folded_levels = folded->forward(image);
  for (std::int64_t i = 0; i < net->levels().size(); ++i) {
    const double scale = plain_levels.level(i).abs().max().item<double>();
    EXPECT_TRUE(
        testing::near(folded_levels.level(i), plain_levels.level(i), 1e-5 * std::max(1.0, scale)))
        << i;
  }
}

TEST_P(UnetLayout, FoldedSharesNoStorage) {
  const auto net = unet(GetParam().settings);
  const auto folded = net->folded();
  const torch::NoGradGuard no_grad;
  const auto [d, h, w] = GetParam().size;
  const at::Tensor image = torch::randn({1, 1, d, h, w});
  const at::Tensor before = folded->forward(image).level(0).clone();
  for (at::Tensor& parameter : net->parameters()) parameter.zero_();
  EXPECT_TRUE(at::equal(folded->forward(image).level(0), before));
}

TEST_P(UnetLayout, RunsUnderBfloat16Autocast) {
  const auto net = unet(GetParam().settings);
  const auto [d, h, w] = GetParam().size;
  const at::Tensor image = torch::randn({2, 1, d, h, w});
  const Autocast autocast(true, c10::kCPU);
  const at::Tensor out = net->forward(image).level(0).to(at::kFloat);
  out.mean().backward();
  for (const auto& item : net->named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
  }
  net->eval();
  const torch::NoGradGuard no_grad;
  const at::Tensor exact = net->folded()->forward(image).level(0).to(at::kFloat);
  EXPECT_TRUE(exact.isfinite().all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(
    Unet,
    UnetLayout,
    ::testing::Values(
        Layout{"slice", {{"width", "4"}, {"depth", "2"}}, {1, 16, 24}},
        Layout{"slab", {{"width", "4"}, {"depth", "2"}, {"slab", "3"}}, {3, 16, 24}},
        Layout{"volume", {{"width", "4"}, {"depth", "2"}, {"dimensions", "3"}}, {8, 16, 12}},
        Layout{"instance",
               {{"width", "4"}, {"depth", "2"}, {"normalisation", "instance"}},
               {1, 16, 24}},
        Layout{"unnormalised",
               {{"width", "4"},
                {"depth", "2"},
                {"normalisation", "none"},
                {"activation", "leaky_relu"}},
               {1, 16, 24}},
        Layout{"wide_kernel",
               {{"width", "4"},
                {"depth", "2"},
                {"kernel", "5"},
                {"activation", "relu"},
                {"dropout", "0.1"}},
               {1, 16, 24}},
        Layout{"published_width", {{"width", "32"}, {"depth", "2"}}, {1, 24, 40}},
        Layout{"odd_width", {{"width", "5"}, {"depth", "2"}}, {1, 20, 12}}),
    [](const auto& layout) { return std::string(layout.param.name); });

TEST(Unet, StartsWithTheSameWeightsForOneSeed) {
  at::manual_seed(3);
  const auto first = unet(plain(8, 2));
  at::manual_seed(3);
  const auto second = unet(plain(8, 2));
  for (const auto& item : first->named_parameters()) {
    EXPECT_TRUE(at::equal(item.value(), *second->named_parameters().find(item.key())))
        << item.key();
  }
}

TEST(Unet, RefusesEvenKernelsAndSlabsInVolumes) {
  const std::string message = testing::error_message("schema", [] {
    unet({{"kernel", "4"}, {"slab", "3"}, {"dimensions", "3"}});
  });
  EXPECT_NE(message.find("kernel"), std::string::npos) << message;
  EXPECT_NE(message.find("slab"), std::string::npos) << message;
}

}  // namespace
}  // namespace triptych
