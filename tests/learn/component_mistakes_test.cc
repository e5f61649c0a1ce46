// SPDX-License-Identifier: Apache-2.0
// A component that does not keep its promises is named, whatever it does.
#include "framework/core/nn.h"
#include "framework/learn/trainer.h"
#include "framework/learn/validation.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
using testing::error_message;
using ::testing::HasSubstr;
using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

struct MistakeConfig {
  std::string how;
  void visit(auto& field) { field("how", how, "what goes wrong"); }
};

class MistakenHead final : public Head {
 public:
  using Config = MistakeConfig;
  MistakenHead(const Config& config, const PyramidSpec& in)
      : how_(config.how),
        linear_(register_module(
            "linear", torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, 2, 1)))) {}
  Prediction forward(HeadInputs& inputs) override {
    const at::Tensor value = linear_(inputs.features("image").level(0));
    if (how_ == "channels") return Prediction::logits(value.narrow(1, 0, 1));
    if (how_ == "axes") return Prediction::logits(value.squeeze(2));
    if (how_ == "type") return Prediction::logits(value.to(torch::kLong));
    if (how_ == "size") return Prediction::logits(torch::max_pool3d(value, {1, 2, 2}));
    return Prediction::logits(value * torch::ones({3, 1, 1, 1, 7}));
  }
  std::int64_t out_channels() const override { return 2; }

 private:
  std::string how_;
  torch::nn::Conv3d linear_;
};
TRIPTYCH_REGISTER_HEAD("test_mistaken", MistakenHead)

class MistakenWeighting final : public Weighting {
 public:
  using Config = MistakeConfig;
  MistakenWeighting(const Config& config, const WeightingTasks&) : how_(config.how) {}
  at::Tensor combine(const at::Tensor& losses, const at::Tensor&) override {
    if (how_ == "vector") return losses;
    if (how_ == "nothing") return {};
    if (how_ == "constant") return losses.detach().sum();
    return (how_ == "weights" ? losses : losses.expand({7, 2})).sum();
  }
  std::vector<double> current_weights() const override { return {}; }

 private:
  std::string how_;
};
TRIPTYCH_REGISTER_WEIGHTING("test_mistaken", MistakenWeighting)

class MistakenSharing final : public Sharing {
 public:
  using Config = MistakeConfig;
  MistakenSharing(const Config& config,
                  const std::vector<std::string>&,
                  const BackboneFactory& make)
      : how_(config.how), column_(register_module("column", make())) {}
  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    FeaturePyramid pyramid = column_->forward(image);
    if (how_ == "levels") pyramid.levels.clear();
    if (how_ == "channels") pyramid.levels[0] = pyramid.levels[0].narrow(1, 0, 3);
    return {{how_ == "tasks" ? "another" : tasks.front(), pyramid}};
  }
  const Backbone& column() const override { return *column_; }
  std::int64_t column_passes(std::int64_t) const override { return 1; }
  void fold() override {}

 private:
  std::string how_;
  std::shared_ptr<Backbone> column_;
};
TRIPTYCH_REGISTER_SHARING("test_mistaken", MistakenSharing)

/// Sums up nothing; throws where a task's metrics go wrong.
class NoMetrics final : public MetricAccumulator {
 public:
  explicit NoMetrics(bool fails) : fails_(fails) {}
  void add(const Prediction&, const Batch& batch) override {
    if (fails_) batch.at("lable");
  }
  void add_volume(const Prediction&, const Geometry&, const Sample&) override {}
  std::vector<double> state() const override { return {}; }
  void merge(const std::vector<double>&) override {}
  std::vector<MetricValue> values() const override { return {{"zero", 0.0}}; }

 private:
  bool fails_;
};

class MistakenTask final : public Task {
 public:
  using Config = MistakeConfig;
  MistakenTask(const Config& config, const TaskContext& context)
      : how_(config.how), context_(context) {}
  std::vector<RoleBinding> roles() const override { return {{"image", "picture"}}; }
  std::vector<LossTerm> losses(const Prediction& prediction, const Batch&) const override {
    if (how_ == "vector") return {{"all", prediction.value}};
    if (how_ == "nothing") return {{"none", at::Tensor()}};
    return {{"mean", prediction.value.mean()}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<NoMetrics>(how_ == "metrics");
  }
  std::string main_metric() const override { return how_ == "main_metric" ? "zreo" : "zero"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override {
    return prediction.value.squeeze(2);
  }
  const TaskContext& context() const override { return context_; }

 private:
  std::string how_;
  TaskContext context_;
};
TRIPTYCH_REGISTER_TASK("test_mistaken", MistakenTask)

std::string message(const config::Node& node, const char* category) {
  const RunFolder folder;
  return error_message(category, [&] {
    Experiment experiment(node, true);
    Trainer(experiment, folder.path(), nullptr).run();
  });
}

std::string mistaken(const char* path, const char* how, const char* category = "shape") {
  return message(with(one_task(), path, fmt::format("{{name: test_mistaken, how: {}}}", how)),
                 category);
}

TEST(ComponentMistakes, OfAHeadNameItsTask) {
  const auto head = [](const char* how, const char* category = "shape") {
    return mistaken("tasks.halves.head", how, category);
  };
  EXPECT_THAT(head("channels"),
              HasSubstr("head of task 'halves': prediction: expected shape [*, 2, *, *, *], got "
                        "[3, 1, 1, 8, 8]"));
  EXPECT_THAT(head("axes"), HasSubstr("expected shape [*, 2, *, *, *], got [3, 2, 8, 8]"));
  EXPECT_THAT(head("type"),
              HasSubstr("head of task 'halves': prediction: expected floating-point values, got "
                        "Long"));
  EXPECT_THAT(head("throw", "model"), HasSubstr("head of task 'halves': The size of tensor"));
  EXPECT_THAT(head("size", "model"), HasSubstr("losses of task 'halves': "));
}

config::Node mistaken_task(const char* how) {
  return with(one_task(),
              "tasks.halves",
              fmt::format("{{name: test_mistaken, how: {}, dataset: blocks, batch_size: 3, "
                          "head: {{name: test_linear}}, sampling: {{axes: [0]}}}}",
                          how));
}

TEST(ComponentMistakes, OfATaskNameItAndTheFunction) {
  const auto task = [](const char* how, const char* category) {
    return message(mistaken_task(how), category);
  };
  EXPECT_THAT(task("vector", "shape"),
              HasSubstr("losses of task 'halves': loss term 'all': expected a scalar, got 384 "
                        "values"));
  EXPECT_THAT(task("nothing", "shape"),
              HasSubstr("loss term 'none': expected a scalar, got no tensor"));
  EXPECT_THAT(task("metrics", "data"), HasSubstr("metrics of task 'halves': batch ["));
  EXPECT_THAT(task("main_metric", "schema"),
              HasSubstr("main_metric: task 'halves' has no metric 'zreo'; did you mean 'zero'?"));
  Experiment experiment(mistaken_task("none"), true);
  EXPECT_THAT(
      error_message(
          "shape",
          [&] { Validation(experiment).run(0, [](const auto&, const auto&, const auto&) {}); }),
      HasSubstr("activate of task 'halves': expected 5 axes as the prediction has, got 4"));
}

TEST(ComponentMistakes, OfAWeightingAreFoundBeforeAStep) {
  const auto weighting = [](const char* how, const char* category = "shape") {
    return mistaken("weighting", how, category);
  };
  EXPECT_THAT(weighting("vector"),
              HasSubstr("weighting: combined loss: expected shape [], got [1]"));
  EXPECT_THAT(weighting("nothing"), HasSubstr("expected shape [], got no tensor"));
  EXPECT_THAT(weighting("constant", "model"),
              HasSubstr("weighting: the combined loss does not depend on the losses"));
  EXPECT_THAT(weighting("throw", "model"), HasSubstr("weighting: "));
  EXPECT_THAT(weighting("weights", "model"),
              HasSubstr("weighting: current_weights: expected 1 values, got 0"));
}

TEST(ComponentMistakes, OfASharingNameTheTaskAndLevel) {
  EXPECT_THAT(mistaken("sharing", "levels"),
              HasSubstr("sharing: features of task 'halves': expected 1 levels, got 0"));
  EXPECT_THAT(mistaken("sharing", "tasks"), HasSubstr("expected 1 levels, got 0"));
  EXPECT_THAT(mistaken("sharing", "channels"),
              HasSubstr("sharing: features of task 'halves' at level 0: expected shape [3, 4, *, "
                        "8, 8], got [3, 3, 1, 8, 8]"));
}

TEST(ComponentMistakes, ParametersThatAComponentFixedStaySo) {
  const RunFolder folder;
  Experiment experiment(two_tasks(), true);
  at::Tensor fixed = experiment.model().parameters().front();
  fixed.set_requires_grad(false);
  const at::Tensor before = fixed.clone();
  Trainer(experiment, folder.path(), nullptr).run();
  EXPECT_FALSE(fixed.requires_grad());
  EXPECT_TRUE(at::equal(fixed, before));
}

}  // namespace
}  // namespace triptych
