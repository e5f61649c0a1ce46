// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/shape.h"
#include "framework/learn/checkpoint.h"
#include "framework/model/backbone.h"
#include "framework/model/head.h"

#include "tests/contract/minimal_config.h"
#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <set>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

namespace triptych {
namespace {

using Size = std::array<std::int64_t, 3>;

Size fitting_size(const Backbone& backbone, std::int64_t factor) {
  Size size{};
  for (int axis = 0; axis < 3; ++axis)
    size[axis] = backbone.size_multiple()[axis] * (axis == 0 ? 1 : factor);
  if (backbone.slab() > 0) size[0] = backbone.slab();
  return size;
}

at::Tensor image_of(const Size& size, std::int64_t batch = 2) {
  return at::randn({batch, 1, size[0], size[1], size[2]});
}

void expect_gradients_everywhere(torch::nn::Module& module, const at::Tensor& output) {
  output.square().mean().backward();
  for (const auto& parameter : module.named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_GT(parameter.value().grad().abs().sum().item<double>(), 0.0) << parameter.key();
  }
}

class BackboneContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    config::Node config = testing::minimal_config(BackboneRegistry::instance(), GetParam());
    const auto fields = BackboneRegistry::instance().describe(GetParam());
    for (const auto& field : fields) {  // small, where the component has such keys
      if (field.name == "width") config.set("width", config::Node(4));
      if (field.name == "depth") config.set("depth", config::Node(2));
    }
    backbone_ = BackboneRegistry::instance().create(config, BackboneInput{1});
  }
  at::Tensor all_levels(const at::Tensor& image) {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& level : backbone_->forward(image).levels)
      flat.push_back(level.flatten(1));
    return at::cat(flat, 1);
  }
  std::shared_ptr<Backbone> backbone_;
};

TEST_P(BackboneContract, GivesTheDeclaredLevelsForTwoSizes) {
  for (const std::int64_t factor : {4, 6}) {
    const Size size = fitting_size(*backbone_, factor);
    const FeaturePyramid pyramid = backbone_->forward(image_of(size));
    const PyramidSpec spec = backbone_->levels();
    ASSERT_EQ(static_cast<std::int64_t>(pyramid.levels.size()), spec.size());
    for (std::int64_t level = 0; level < spec.size(); ++level) {
      EXPECT_EQ(pyramid.level(level).size(1), spec.level(level).channels);
      for (int axis = 1; axis < 3; ++axis) {
        EXPECT_EQ(pyramid.level(level).size(2 + axis), size[axis] / spec.level(level).stride[axis]);
      }
      EXPECT_NO_THROW(check_finite(pyramid.level(level), "level"));
    }
  }
}

TEST_P(BackboneContract, PassesGradientsToEveryParameter) {
  expect_gradients_everywhere(*backbone_, all_levels(image_of(fitting_size(*backbone_, 4))));
}

TEST_P(BackboneContract, IsDeterministicAndIndependentOfTheBatchInEvaluation) {
  at::NoGradGuard no_grad;
  backbone_->eval();
  const at::Tensor image = image_of(fitting_size(*backbone_, 4), 3);
  const at::Tensor together = all_levels(image);
  EXPECT_TRUE(at::equal(together, all_levels(image)));
  EXPECT_TRUE(
      testing::near(all_levels(image.narrow(0, 1, 1)), together.narrow(0, 1, 1), 1e-4, 1e-4));
}

TEST_P(BackboneContract, RefusesSizesThatDoNotFitItsStride) {
  Size size = fitting_size(*backbone_, 4);
  if (backbone_->size_multiple()[2] == 1) GTEST_SKIP();
  size[2] += 1;
  EXPECT_THROW(backbone_->forward(image_of(size)), Error);
}

TEST_P(BackboneContract, FoldsToAnEqualNetwork) {
  at::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i)
    backbone_->forward(image_of(fitting_size(*backbone_, 4)));  // statistics of batch norm
  backbone_->eval();
  const auto folded = backbone_->folded();
  if (folded == nullptr) GTEST_SKIP();
  folded->eval();
  const at::Tensor image = image_of(fitting_size(*backbone_, 4));
  EXPECT_TRUE(testing::near(
      folded->forward(image).level(0), backbone_->forward(image).level(0), 1e-4, 1e-4));
}

TEST_P(BackboneContract, SurvivesARoundTripOfItsState) {
  at::NoGradGuard no_grad;
  backbone_->eval();
  const at::Tensor image = image_of(fitting_size(*backbone_, 4));
  const at::Tensor before = all_levels(image);
  SafeTensors state;
  for (const auto& [name, tensor] : module_tensors(*backbone_, ""))
    state.tensors.emplace_back(name, tensor.clone());
  for (auto& parameter : backbone_->parameters()) parameter.zero_();
  load_module(*backbone_, state, "", "test");
  EXPECT_TRUE(at::equal(all_levels(image), before));
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         BackboneContract,
                         ::testing::ValuesIn(BackboneRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

/// Pyramids of fixed random features, an image, a pair of images and a scan of `size` pixels with
/// metal.
class FixedInputs final : public HeadInputs {
 public:
  FixedInputs(const PyramidSpec& spec, std::int64_t size)
      : batch_(testing::reconstruction_batch(
            {{.views = 12, .metal = true}, {.views = 12, .first_deg = 4.0, .metal = true}})) {
    resize_scans(size);
    batch_.ids = {"a", "b"};
    for (const char* role : {"image", "fixed", "moving"}) {
      for (const LevelSpec& level : spec.levels) {
        pyramids_[role].levels.push_back(
            at::randn({2, level.channels, 1, size / level.stride[1], size / level.stride[2]}));
      }
      BatchEntry& image = batch_.entries[role];
      image.data = at::randn({2, 1, 1, size, size});
      image.items = {0, 1};
      image.geometry.resize(2);
      for (Geometry& geometry : image.geometry) geometry.shape = {1, size, size};
    }
  }
  const FeaturePyramid& features(const std::string& role) override { return pyramids_.at(role); }
  FeaturePyramid encode(const at::Tensor&, const std::string&) override {
    return pyramids_.at("image");
  }
  const Batch& batch() const override { return batch_; }
  const Prediction& output_of(const std::string&) override { throw model_error("no other task"); }
  std::set<std::string> roles() const {
    std::set<std::string> roles;
    for (const auto& [role, entry] : batch_.entries) roles.insert(role);
    return roles;
  }
  void keep_first() {
    for (auto& [role, pyramid] : pyramids_) {
      for (at::Tensor& level : pyramid.levels) level = level.narrow(0, 0, 1);
    }
    batch_ = batch_.rows({0});
  }

 private:
  /// The same projections of a grid of another size.
  void resize_scans(std::int64_t size) {
    for (const char* role : {"projections", "metal"}) {
      for (Geometry& geometry : batch_.entries.at(role).geometry) geometry.shape = {1, size, size};
    }
    at::Tensor& metal = batch_.entries.at("metal").data;
    metal = metal.narrow(3, 0, size).narrow(4, 0, size);
  }

  std::map<std::string, FeaturePyramid> pyramids_;  ///< by role
  Batch batch_;
};

class HeadContract : public ::testing::TestWithParam<std::string> {
 protected:
  PyramidSpec spec_{{{8, {1, 1, 1}}, {16, {1, 2, 2}}, {32, {1, 4, 4}}}};
  void SetUp() override {
    head_ = HeadRegistry::instance().create(
        testing::minimal_config(HeadRegistry::instance(), GetParam()), spec_);
    const std::set<std::string> known = FixedInputs(spec_, 16).roles();
    for (const std::string& role : head_->roles())
      if (!known.contains(role)) GTEST_SKIP() << "needs the role " << role;
  }
  std::shared_ptr<Head> head_;
};

TEST_P(HeadContract, GivesTheDeclaredChannelsForTwoSizes) {
  for (const std::int64_t size : {16, 24}) {
    FixedInputs inputs(spec_, size);
    const Prediction prediction = head_->forward(inputs);
    EXPECT_EQ(prediction.value.size(0), 2);
    EXPECT_EQ(prediction.value.size(1), head_->out_channels());
    EXPECT_NO_THROW(check_finite(prediction.value, "prediction"));
    if (prediction.kind == Prediction::Kind::kPoints) continue;
    EXPECT_EQ(prediction.value.size(4), size);
  }
}

TEST_P(HeadContract, PassesGradientsToEveryParameter) {
  FixedInputs inputs(spec_, 16);
  expect_gradients_everywhere(*head_, head_->forward(inputs).value);
}

TEST_P(HeadContract, IsDeterministicAndIndependentOfTheBatchInEvaluation) {
  at::NoGradGuard no_grad;
  head_->eval();
  FixedInputs inputs(spec_, 16);
  const at::Tensor together = head_->forward(inputs).value;
  EXPECT_TRUE(at::equal(together, head_->forward(inputs).value));
  inputs.keep_first();
  EXPECT_TRUE(testing::near(head_->forward(inputs).value, together.narrow(0, 0, 1), 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         HeadContract,
                         ::testing::ValuesIn(HeadRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

}  // namespace
}  // namespace triptych
