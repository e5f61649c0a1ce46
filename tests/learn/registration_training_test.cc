// SPDX-License-Identifier: Apache-2.0
// Registration from data set to metrics: pairs made by transforms, guidance by another task,
// patches.
#include "framework/infer/volume_predictor.h"
#include "framework/learn/trainer.h"
#include "framework/learn/validation.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::RunFolder;
using testing::with;

/// A task `pair` on label maps of 10x12x12 voxels, painted twice and moved apart.
config::Node pair_experiment(const std::string& task) {
  config::Node node = config::parse_yaml(R"(
seed: 1
device: cpu
datasets:
  labels: {name: random_labels, train: 2, validation: 1, size: [10, 12, 12], classes: 3, structure: 0.5}
backbone: {name: unet, dimensions: 3, width: 4, depth: 1}
sharing: {name: hard}
weighting: {name: fixed}
optimizer: {lr: 0.01}
schedule: {name: constant}
trainer: {max_steps: 2, validate_every: 1, checkpoint_every: 2, log_every: 1, loader: {threads: 0}}
)",
                                         "experiment.yaml");
  node.set_path("tasks.pair", config::parse_yaml(task, "task.yaml"));
  config::Node transforms = config::parse_yaml(R"(
- {name: label_contrast, label: label, entries: [fixed, moving]}
- {name: own_frame, entries: [moving]}
- {name: spatial, dimensions: 3, frames: [moving], area: [1, 1], aspect: [1, 1], flip: false, rotation_deg: 10, elastic_spacing: 6, elastic_probability: 1}
)",
                                               "transforms.yaml");
  node.set_path("tasks.pair.transforms", transforms);
  node.set_path("tasks.pair.validation_transforms", transforms);
  return node;
}

const char* const kRegistration =
    "{name: registration, dataset: labels, batch_size: 2, sampling: {items: volumes}, roles: "
    "{fixed: "
    "image, moving: image, fixed_label: label, moving_label: label}, head: {name: "
    "registration_svf}, "
    "weights: {displacement: 1, dice: 1}}";

/// The transforms name the roles of the task contrastive; a registration has two labels.
config::Node registration_experiment() {
  config::Node node = pair_experiment(kRegistration);
  for (const char* key : {"tasks.pair.transforms", "tasks.pair.validation_transforms"}) {
    config::Node& list = *node.find(key);
    list.as_list()[0].set("label", config::Node("fixed_label"));
    list.as_list()[1].set("entries", config::parse_yaml("[moving, moving_label]", "change.yaml"));
  }
  return node;
}

std::map<std::string, double> trained_values(const config::Node& node) {
  Experiment::check(node);
  Experiment experiment(node, true);
  const RunFolder run;
  EXPECT_EQ(Trainer(experiment, run.path(), nullptr).run().step, 2);
  std::map<std::string, double> values;
  const auto validated = Validation(experiment).run(2, {});
  EXPECT_TRUE(validated.has_value());
  for (const ValidationValue& value : *validated) values[value.name] = value.value;
  return values;
}

TEST(RegistrationTraining, SeesTheDisplacementThatTheTransformsMake) {
  const auto values = trained_values(registration_experiment());
  EXPECT_GT(values.at("pair/trivial/epe_mm/mean"), 0.05);
  EXPECT_LT(values.at("pair/trivial/dice/mean"), 1.0);
  for (const char* name : {"pair/epe_mm/mean", "pair/dice/mean", "pair/log_jacobian_sd"})
    EXPECT_TRUE(std::isfinite(values.at(name))) << name;
}

TEST(RegistrationTraining, TakesPatchesWithTheBoxOfTheMovingImage) {
  config::Node node = registration_experiment();
  node = with(node, "tasks.pair.sampling", "{items: patches, patch: [8, 8, 8]}");
  node = with(node, "tasks.pair.moving_extent", "box");
  node = with(node,
              "tasks.pair.head",
              "{name: registration_convex, grid_spacing: 2, half_width: 1, backward: true}");
  node = with(node, "tasks.pair.weights", "{displacement: 1, inverse_consistency: 1}");
  EXPECT_TRUE(std::isfinite(trained_values(node).at("pair/epe_mm/mean")));
}

TEST(RegistrationTraining, IsGuidedByASegmentationOfTheFixedImage) {
  config::Node node = registration_experiment();
  config::Node tissue = *node.find("tasks.pair");
  tissue.set("name", config::Node("segmentation"));
  tissue = with(tissue, "roles", "{image: image, label: label}");
  tissue = with(tissue, "head", "{name: segmentation, num_classes: 3}");
  tissue = with(tissue, "losses", "[{name: cross_entropy}]");
  tissue.erase("weights");
  node.set_path("tasks.tissue", tissue);
  node = with(node, "tasks.pair.reads_from", "[tissue]");
  node = with(
      node, "tasks.pair.head", "{name: registration_svf, guided_by: tissue, guide_classes: 3}");
  node = with(node, "tasks.pair.weights", "{guidance: 1, dice: 1}");
  const auto values = trained_values(node);
  EXPECT_TRUE(std::isfinite(values.at("pair/dice/mean")));
  EXPECT_TRUE(std::isfinite(values.at("tissue/iou/mean")));
}

TEST(RegistrationTraining, PredictsAWholePairOnTheFixedGrid) {
  Experiment experiment(registration_experiment(), true);
  experiment.model().prepare_inference();
  Batch batch;
  batch.ids = {"volume"};
  for (const char* role : {"fixed", "moving"}) {
    BatchEntry& entry = batch.entries[role];
    entry.data = at::rand({1, 1, 9, 11, role == std::string("fixed") ? 12 : 14});
    entry.items = {0};
    entry.modality = "labels";
    entry.geometry.resize(1);
    entry.geometry[0].shape = {9, 11, entry.data.size(4)};
  }
  const VolumePredictor predictor(
      volume_network(experiment.model(),
                     "pair",
                     "labels",
                     experiment.device(),
                     [](const Prediction& prediction) { return prediction.value; }),
      InferConfig{});
  MemoryBudget budget(1 << 24);
  const PredictedVolume predicted =
      predictor.predict_whole(batch, "fixed", budget, std::filesystem::temp_directory_path());
  EXPECT_EQ(predicted.kind, Prediction::Kind::kDisplacement);
  EXPECT_EQ(predicted.values->shape(), (Index3{9, 11, 12}));
  EXPECT_EQ(predicted.values->channels(), 3);
}

TEST(ContrastiveTraining, ComparesItselfWithMind) {
  const auto values = trained_values(pair_experiment(
      "{name: contrastive, dataset: labels, sampling: {items: volumes}, places: 64, roles: {fixed: "
      "image, moving: image, label: label}, head: {name: descriptor, channels: 4}}"));
  for (const char* name : {"pair/top1", "pair/trivial/mind_top1"}) {
    EXPECT_GE(values.at(name), 0.0) << name;
    EXPECT_LE(values.at(name), 1.0) << name;
  }
}

}  // namespace
}  // namespace triptych
