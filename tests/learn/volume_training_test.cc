// SPDX-License-Identifier: Apache-2.0
// Slabs, patches, volumes with unequal sides and images as predictions: training and then a whole
// volume.
#include "framework/core/nn.h"
#include "framework/infer/volume_predictor.h"
#include "framework/learn/task_groups.h"
#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

constexpr const char* kTwoSteps =
    "{max_steps: 2, validate_every: 1, checkpoint_every: 2, log_every: 1, loader: {threads: 0}}";

config::Node unet_task(const std::string& backbone, const std::string& sampling) {
  config::Node node = with(one_task(), "trainer", kTwoSteps);
  node = with(node, "datasets.blocks.size", "[12, 16, 20]");
  node = with(node, "tasks.halves.sampling", sampling);
  return with(node, "backbone", backbone);
}

/// Trains and predicts a volume [1, 12, 16, 20] with the task `key`.
PredictedVolume train_and_predict(const config::Node& node,
                                  const std::string& key,
                                  const InferConfig& infer) {
  Experiment::check(node);
  Experiment experiment(node, true);
  const RunFolder run;
  EXPECT_EQ(Trainer(experiment, run.path(), nullptr).run().step, 2);
  experiment.model().prepare_inference();
  const std::shared_ptr<Task> task = experiment.task(key).task;
  const auto activate = [task](const Prediction& prediction) { return task->activate(prediction); };
  const VolumePredictor predictor(
      volume_network(experiment.model(), key, "xray", experiment.device(), activate), infer);
  MemoryBudget budget(1 << 26);
  const std::filesystem::path scratch = std::filesystem::temp_directory_path();
  VolumeStore input(1, {12, 16, 20}, at::kFloat, budget, scratch);
  input.tensor().copy_(experiment.dataset("blocks")->read_all(0, "picture").data);
  Geometry geometry;
  geometry.shape = input.shape();
  return predictor.predict(input, geometry, budget, scratch);
}

TEST(SlabTraining, LearnsFromSlabsAndPredictsAlongThreePlanes) {
  const config::Node node = unet_task("{name: unet, width: 4, depth: 1, slab: 3}", "{slab: 3}");
  const PredictedVolume predicted = train_and_predict(node, "halves", {});
  EXPECT_EQ(predicted.kind, Prediction::Kind::kLogits);
  EXPECT_EQ(predicted.classes.labels->shape(), (Index3{12, 16, 20}));
}

TEST(SlabTraining, MovesImageAndLabelTogether) {
  config::Node node = unet_task("{name: unet, width: 4, depth: 1, slab: 3}", "{slab: 3}");
  node = with(
      node, "tasks.halves.transforms", "[{name: spatial, size: [16, 16]}, {name: random_flip}]");
  EXPECT_NE(train_and_predict(node, "halves", {}).classes.labels, nullptr);
}

TEST(SlabTraining, NamesTheKeyWhenSamplingAndBackboneDiffer) {
  const config::Node node = unet_task("{name: unet, width: 4, depth: 1, slab: 3}", "{slab: 1}");
  EXPECT_THAT(testing::error_message("schema", [&] { Experiment(node, true); }),
              ::testing::HasSubstr(
                  "tasks.halves.sampling.slab: the backbone takes slabs of 3 slices, got 1"));
}

TEST(PatchTraining, LearnsFromPatchesAndPredictsInBlocks) {
  const config::Node node = unet_task("{name: unet, width: 4, depth: 1, dimensions: 3}",
                                      "{items: patches, patch: [8, 10, 12], class_balanced: 0.5}");
  InferConfig infer;
  infer.block = {8, 8, 8};
  EXPECT_EQ(train_and_predict(node, "halves", infer).classes.labels->shape(), (Index3{12, 16, 20}));
}

TEST(UnequalSides, TrainWithoutASettingAndMixWhereTransformsGiveOneSize) {
  const config::Node node = unet_task("{name: unet, width: 4, depth: 1}", "{axes: [0, 1, 2]}");
  EXPECT_NE(train_and_predict(node, "halves", {}).classes.labels, nullptr);
  const auto axes_of_batches = [](const config::Node& tree) {
    const Experiment experiment(tree, true);
    const auto groups = make_task_groups(experiment, Phase::kTraining);
    std::size_t most = 0;
    for (std::int64_t step = 0; step < 10; ++step) {
      std::set<int> axes;
      for (const Item& item : groups[0].source.sampler->step_items(step, 3)) axes.insert(item.axis);
      most = std::max(most, axes.size());
    }
    return most;
  };
  EXPECT_EQ(axes_of_batches(node), 1U);
  EXPECT_GT(
      axes_of_batches(with(node, "tasks.halves.transforms", "[{name: spatial, size: [16, 16]}]")),
      1U);
}

TEST(VolumePrediction, OfATaskThatGivesImages) {
  config::Node node =
      with(with(two_tasks(), "trainer", kTwoSteps), "datasets.blocks.size", "[12, 16, 20]");
  node = with(node, "tasks.noise.head.intensity", "true");
  for (const char* axes : {"halves", "noise"})
    node = with(node, "tasks." + std::string(axes) + ".sampling", "{axes: [0, 1, 2]}");
  const PredictedVolume predicted = train_and_predict(node, "noise", {});
  EXPECT_EQ(predicted.kind, Prediction::Kind::kIntensity);
  EXPECT_EQ(predicted.values->shape(), (Index3{12, 16, 20}));
  EXPECT_GT(predicted.values->tensor().std().item<float>(), 0.0F);
}

std::shared_ptr<Task> segmentation_of_three_classes() {
  const config::Node node =
      config::parse_yaml("{name: segmentation, losses: [{name: cross_entropy}]}", "task.yaml");
  return TaskRegistry::instance().create(node, TaskContext{"bone", numbered_classes(3), 3});
}

TEST(SegmentationMetrics, MergedPartsGiveTheValuesOfTheWhole) {
  const std::shared_ptr<Task> task = segmentation_of_three_classes();
  const auto whole = task->metrics(), first = task->metrics(), second = task->metrics();
  for (int i = 0; i < 3; ++i) {
    Sample reference;
    reference.entries["label"].data = torch::randint(0, 3, {1, 6, 7, 8}, torch::kLong);
    const Prediction predicted{
        Prediction::Kind::kLabels, torch::randint(0, 3, {1, 1, 6, 7, 8}, torch::kByte), "", {}};
    Geometry grid;
    grid.shape = {6, 7, 8};
    whole->add_volume(predicted, grid, reference);
    (i == 0 ? first : second)->add_volume(predicted, grid, reference);
  }
  first->merge(second->state());
  const auto expected = whole->values(), merged = first->values();
  ASSERT_EQ(merged.size(), expected.size());
  for (std::size_t i = 0; i < merged.size(); ++i) {
    EXPECT_EQ(merged[i].name, expected[i].name);
    EXPECT_NEAR(merged[i].value, expected[i].value, 1e-12) << merged[i].name;
  }
}

}  // namespace
}  // namespace triptych
