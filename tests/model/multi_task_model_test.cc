// SPDX-License-Identifier: Apache-2.0
#include "framework/model/multi_task_model.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"

#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;

/// A column per task; counts its passes.
class SeparateColumns final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };
  SeparateColumns(const Config&,
                  const std::vector<std::string>& tasks,
                  const BackboneFactory& make) {
    for (const std::string& task : tasks) columns_[task] = register_module(task, make());
  }
  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    asked.push_back(tasks);
    std::map<std::string, FeaturePyramid> pyramids;
    for (const std::string& task : tasks) pyramids[task] = columns_.at(task)->forward(image);
    return pyramids;
  }
  const Backbone& column() const override { return *columns_.begin()->second; }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  void fold() override {}

  std::vector<std::vector<std::string>> asked;

 private:
  std::map<std::string, std::shared_ptr<Backbone>> columns_;
};
TRIPTYCH_REGISTER_SHARING("test_separate_columns", SeparateColumns)

/// Mean of the features of a role; `source` adds another task's output, `encoded` the features of
/// an image of its own.
class MeanHead final : public Head {
 public:
  struct Config {
    std::string role = "image";
    std::string source;
    std::int64_t encoded = 0;
    void visit(auto& field) {
      field("role", role, "role");
      field("source", source, "task whose output is added");
      field("encoded", encoded, "channels of an image of modality 'made'; 0 = none");
    }
  };
  MeanHead(const Config& config, const PyramidSpec&) : config_(config) {}
  Prediction forward(HeadInputs& inputs) override {
    const FeaturePyramid& pyramid = inputs.features(config_.role);
    at::Tensor value = pyramid.level(0).mean(1, true);
    if (!config_.source.empty()) value = value + inputs.output_of(config_.source).value;
    if (config_.encoded > 0) {
      const at::Tensor made =
          torch::ones({value.size(0), config_.encoded, 1, value.size(3), value.size(4)});
      value = value + inputs.encode(made, "made").level(0).mean(1, true);
    }
    return Prediction::intensity(value);
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return {config_.role}; }
  std::map<std::string, std::int64_t> encodes() const override {
    return config_.encoded > 0 ? std::map<std::string, std::int64_t>{{"made", config_.encoded}}
                               : std::map<std::string, std::int64_t>{};
  }

 private:
  Config config_;
};
TRIPTYCH_REGISTER_HEAD("test_mean", MeanHead)

config::Node yaml(const std::string& text) { return config::parse_yaml(text, "model.yaml"); }

/// Tasks a and b read the role image, c reads the output of b.
MultiTaskModel::Config three_ports(const char* sharing) {
  MultiTaskModel::Config config;
  config.backbone = yaml("{name: unet, width: 4, depth: 1}");
  config.sharing = yaml(fmt::format("{{name: {}}}", sharing));
  config.channels = {{"xray", 1}};
  config.tasks = {{"a", yaml("{name: test_mean}"), {}},
                  {"b", yaml("{name: test_mean}"), {}},
                  {"c", yaml("{name: test_mean, role: other, source: b}"), {.reads_from = {"b"}}}};
  return config;
}

BatchEntry random_images(std::int64_t channels, const std::string& modality) {
  BatchEntry entry;
  entry.data = torch::randn({2, channels, 1, 8, 8});
  entry.items = {0, 1};
  entry.geometry.resize(2);
  entry.modality = modality;
  return entry;
}

Batch two_images() {
  Batch batch;
  batch.ids = {"x", "y"};
  batch.entries["image"] = random_images(1, "xray");
  batch.entries["other"] = random_images(1, "xray");
  return batch;
}

TEST(MultiTaskModel, AsksTheSharingOnceForAllTasksThatReadARole) {
  MultiTaskModel model(three_ports("test_separate_columns"));
  model.eval();
  auto& sharing = dynamic_cast<SeparateColumns&>(const_cast<Sharing&>(model.sharing()));
  const Batch batch = two_images();
  const auto together = model.forward(batch, {"a", "b", "c"});
  EXPECT_EQ(sharing.asked, (std::vector<std::vector<std::string>>{{"a", "b"}, {"c"}}));
  EXPECT_GT((together.at("a").value - together.at("b").value).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(model.forward(batch, "a").value, together.at("a").value));
}

TEST(MultiTaskModel, PredictsWhatATaskReadsFrom) {
  MultiTaskModel model(three_ports("hard"));
  model.eval();
  const Batch batch = two_images();
  const auto alone = model.forward(batch, std::vector<std::string>{"c"});
  EXPECT_EQ(alone.size(), 2U);
  EXPECT_TRUE(at::equal(alone.at("c").value, model.forward(batch, {"a", "b", "c"}).at("c").value));
  EXPECT_EQ(model.roles_read("c"), (std::vector<std::string>{"image", "other"}));
  EXPECT_EQ(model.roles_read("a"), (std::vector<std::string>{"image"}));
  EXPECT_EQ(error_message("model", [&] { model.forward(batch, "d"); }),
            "the model has no task 'd'; it has: a, b, c");
}

/// Task b sees what a made of the image, or sees it from the second round on.
MultiTaskModel::Config linked_ports(const TaskEdges& edges, std::int64_t rounds = 1) {
  MultiTaskModel::Config config;
  config.backbone = yaml("{name: unet, width: 4, depth: 1}");
  config.sharing = yaml("{name: hard}");
  config.channels = {{"xray", 1}};
  config.tasks = {{"a", yaml("{name: test_mean}"), {}}, {"b", yaml("{name: test_mean}"), edges}};
  config.rounds = rounds;
  return config;
}

at::Tensor mean_of_features(MultiTaskModel& model, const at::Tensor& image) {
  Batch batch = two_images();
  batch.entries["image"].data = image;
  return model.forward(batch, "a").value;
}

TEST(MultiTaskModel, ATaskSeesTheImageThatAnotherMade) {
  torch::manual_seed(4);
  MultiTaskModel model(linked_ports({.inputs = {{"image", "a"}}}));
  model.eval();
  const Batch batch = two_images();
  const auto predictions = model.forward(batch, std::vector<std::string>{"b"});
  const at::Tensor made = predictions.at("a").value;
  EXPECT_TRUE(at::equal(predictions.at("b").value, mean_of_features(model, made)));
}

TEST(MultiTaskModel, FeedbackComesFromTheRoundBefore) {
  torch::manual_seed(4);
  MultiTaskModel model(linked_ports({.feedback = {{"image", "b"}}}, 3));
  model.eval();
  const Batch batch = two_images();
  const auto predictions = model.forward(batch, std::vector<std::string>{"b"});
  at::Tensor expected = mean_of_features(model, batch.at("image").data);
  for (int round = 1; round < 3; ++round) expected = mean_of_features(model, expected);
  EXPECT_TRUE(testing::near(predictions.at("b").value, expected, 1e-6));
}

TEST(MultiTaskModel, ANetworkOfSlicesTakesAVolumeSliceBySlice) {
  MultiTaskModel model(linked_ports({}));
  model.eval();
  const at::Tensor volume = torch::randn({2, 1, 3, 8, 8});
  const at::Tensor whole = mean_of_features(model, volume);
  ASSERT_EQ(whole.sizes(), volume.sizes());
  for (std::int64_t z = 0; z < 3; ++z) {
    const at::Tensor slice = mean_of_features(model, volume.narrow(2, z, 1).contiguous());
    EXPECT_TRUE(testing::near(whole.narrow(2, z, 1), slice, 1e-6));
  }
}

TEST(MultiTaskModel, EdgesPassGradientsWhereAsked) {
  for (const bool passes : {true, false}) {
    torch::manual_seed(4);
    MultiTaskModel model(linked_ports({.inputs = {{"image", "a"}}, .pass_gradients = passes}));
    model.eval();
    Batch batch = two_images();
    batch.entries["image"].data.set_requires_grad(true);
    model.forward(batch, "b").value.sum().backward();
    EXPECT_EQ(batch.at("image").data.grad().defined(), passes);
  }
}

TEST(MultiTaskModel, RefusesAPredictionThatIsNoImageOfTheRole) {
  MultiTaskModel::Config config = linked_ports({.inputs = {{"image", "a"}}});
  config.tasks[0].head = yaml("{name: segmentation, num_classes: 3}");
  MultiTaskModel model(config);
  EXPECT_EQ(error_message("model", [&] { model.forward(two_images(), "b"); }),
            "head of task 'b': role 'image' expects an image of 1 channels, but the task it is "
            "taken from "
            "predicts 3");
}

TEST(MultiTaskModel, StemsTakeModalitiesOfDifferentChannelCounts) {
  MultiTaskModel::Config config = three_ports("hard");
  config.channels["photo"] = 3;
  EXPECT_EQ(error_message("model", [&] { MultiTaskModel model(config); }),
            "modality 'xray' has 1 channels, others have 3");
  config.modality_stems = true;
  MultiTaskModel model(config);
  Batch batch = two_images();
  batch.entries["other"] = random_images(3, "photo");
  const Prediction prediction = model.forward(batch, "c");
  prediction.value.sum().backward();
  for (const char* name : {"stem_xray.weight", "stem_photo.weight"}) {
    EXPECT_TRUE(model.named_parameters()[name].grad().defined()) << name;
  }
  batch.entries["other"].modality = "sketch";
  EXPECT_EQ(error_message("model", [&] { model.forward(batch, "c"); }),
            "head of task 'c': modality 'sketch' has no stem; the model knows: photo, xray");
}

TEST(MultiTaskModel, HeadsDeclareTheModalitiesThatTheyEncode) {
  MultiTaskModel::Config config = three_ports("hard");
  config.tasks[0].head.set("encoded", config::Node(2));
  EXPECT_EQ(error_message("model", [&] { MultiTaskModel model(config); }),
            "modality 'made' has 2 channels, others have 1");
  config.modality_stems = true;
  MultiTaskModel model(config);
  EXPECT_EQ(model.named_parameters()["stem_made.weight"].sizes(),
            (std::vector<std::int64_t>{2, 2, 1, 1, 1}));
  EXPECT_EQ(model.forward(two_images(), "a").value.sizes(),
            (std::vector<std::int64_t>{2, 1, 1, 8, 8}));
  config.channels["made"] = 3;
  EXPECT_EQ(
      error_message("model", [&] { MultiTaskModel refused(config); }),
      "the head of task 'a' encodes images of modality 'made' with 2 channels, others have 3");
}

TEST(Prediction, RowsAndConcatenationGoWithTheItems) {
  Prediction prediction = Prediction::intensity(torch::arange(3).reshape({3, 1, 1, 1, 1}));
  prediction.extra["velocity"] = torch::arange(6).reshape({3, 2});
  const Prediction rows = prediction.rows({2, 0});
  EXPECT_EQ(rows.value.flatten()[0].item<std::int64_t>(), 2);
  EXPECT_TRUE(at::equal(rows.extra.at("velocity"), torch::tensor({{4, 5}, {0, 1}})));
  EXPECT_TRUE(prediction.rows({0, 1, 2}).value.is_same(prediction.value));
  const Prediction both = concatenated({rows, prediction});
  EXPECT_EQ(both.value.size(0), 5);
  EXPECT_EQ(both.extra.at("velocity").size(0), 5);
}

TEST(FullPrecision, LeavesAutocastWhileItLives) {
  const Autocast autocast(true, c10::kCPU);
  const at::Tensor a = torch::ones({2, 2});
  {
    const FullPrecision full(c10::kCPU);
    EXPECT_EQ(torch::matmul(a, a).scalar_type(), at::kFloat);
  }
  EXPECT_EQ(torch::matmul(a, a).scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace triptych
