// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/experiment.h"

#include "framework/learn/batch_padding.h"
#include "framework/learn/experiment_check.h"
#include "framework/learn/task_groups.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::one_task;
using testing::two_tasks;
using testing::with;

std::string check_message(const config::Node& node) {
  return error_message("schema", [&] { Experiment::check(node); });
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
}

TEST(ExperimentCheck, AcceptsAWholeExperiment) {
  EXPECT_NO_THROW(Experiment::check(one_task()));
  EXPECT_NO_THROW(Experiment::check(two_tasks()));
}

TEST(ExperimentCheck, FindsEverythingAtOnce) {
  config::Node node = one_task();
  node.set_path("bakbone", config::Node(1));
  node.set_path("datasets.blocks.trains", config::Node(1));
  node.set_path("tasks.halves.head.channels", config::Node(0));
  node.set_path("tasks.halves.dataset", config::Node("block"));
  node.set_path("backbone.name", config::Node("test_tinny"));
  node.set_path("schedule.patience", config::Node("long"));
  node.set_path("trainer.precision", config::Node("float16"));
  node.set_path("trainer.monitor", config::Node("halfs/accuracy"));
  node.set_path("tasks.halves.transforms", config::parse_yaml("[{name: nosuch}]", "t.yaml"));
  const std::string message = check_message(node);
  expect_contains(message, "unknown key 'bakbone'; did you mean 'backbone'?");
  expect_contains(message, "unknown key 'datasets.blocks.trains'; did you mean 'train'?");
  expect_contains(message, "'tasks.halves.head.channels' must be >= 1");
  expect_contains(message,
                  "'tasks.halves.dataset' names 'block', which is not under 'datasets'; did you "
                  "mean 'blocks'?");
  expect_contains(message, "no backbone is called 'test_tinny'; did you mean 'test_tiny'?");
  expect_contains(message, "'schedule.patience' expects an integer");
  expect_contains(message, "'trainer.precision'");
  expect_contains(
      message, "'trainer.monitor' expects auto, loss/val or <task>/<metric>, got 'halfs/accuracy'");
  expect_contains(message, "'tasks.halves.transforms[0]'");
}

TEST(ExperimentCheck, OffersTheKeysOfFrameworkAndTaskForAStrangeOne) {
  config::Node node = one_task();
  node.set_path("tasks.halves.batch_sise", config::Node(2));
  node.set_path("tasks.halves.pictur", config::Node("x"));
  const std::string message = check_message(node);
  expect_contains(message,
                  "unknown key 'tasks.halves.batch_sise'; did you mean 'batch_size'? Known keys: "
                  "picture, name, dataset");
  expect_contains(message, "unknown key 'tasks.halves.pictur'; did you mean 'picture'?");
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
}

TEST(ExperimentCheck, NamesTheFileAndLineOfAMistake) {
  config::Node node = one_task();
  node.set_path("tasks.halves.head.dropout", config::parse_yaml("\n  2.0", "override.yaml"));
  expect_contains(check_message(node), "override.yaml:2:3: 'tasks.halves.head.dropout'");
}

TEST(ExperimentCheck, RefusesTasksThatReadFromOneAnother) {
  config::Node node = two_tasks();
  node.set_path("tasks.halves.reads_from", config::parse_yaml("[noise]", "r.yaml"));
  EXPECT_NO_THROW(Experiment::check(node));
  EXPECT_EQ(Experiment(node, true).tasks()[0].key, "noise");
  node.set_path("tasks.noise.reads_from", config::parse_yaml("[halves]", "r.yaml"));
  expect_contains(check_message(node), "'tasks': halves, noise read from one another in a circle");
  expect_contains(check_message(with(node, "tasks.noise.reads_from", "[other]")),
                  "'tasks.noise.reads_from' names 'other'");
}

TEST(ExperimentCheck, MissingPartsAreNamed) {
  const std::string message =
      check_message(config::parse_yaml("{seed: -1, tasks: {a: {}}}", "bare.yaml"));
  for (const char* key : {"datasets",
                          "backbone",
                          "sharing",
                          "weighting",
                          "schedule",
                          "tasks.a.dataset",
                          "tasks.a.head"}) {
    expect_contains(message, fmt::format("missing required '{}'", key));
  }
  expect_contains(message, "'seed' must be >= 0");
  expect_contains(message, "missing required 'name' of a task");
}

TEST(Experiment, EqualSeedsGiveEqualWeights) {
  Experiment first(one_task(), true), second(one_task(), true),
      other(with(one_task(), "seed", "4"), true);
  const auto weights = [](Experiment& experiment) { return experiment.model().parameters()[0]; };
  EXPECT_TRUE(at::equal(weights(first), weights(second)));
  EXPECT_FALSE(at::equal(weights(first), weights(other)));
}

TEST(Experiment, BuildsTasksWithTheirClassesAndHeadChannels) {
  Experiment experiment(two_tasks(), true);
  EXPECT_EQ(experiment.task("halves").task->context().classes.size(), 2);
  EXPECT_EQ(experiment.task("halves").task->context().head_channels, 2);
  EXPECT_EQ(experiment.task("noise").task->context().head_channels, 1);
  EXPECT_EQ(experiment.channels(), (std::map<std::string, std::int64_t>{{"xray", 1}}));
  expect_contains(error_message("usage", [&] { experiment.task("halvs"); }),
                  "did you mean 'halves'?");
}

TEST(Experiment, NamesAnEntryThatTheDataSetLacks) {
  const config::Node node = with(one_task(), "tasks.halves.picture", "pictures");
  expect_contains(error_message("schema", [&] { Experiment(node, true); }),
                  "tasks.halves: role 'image' reads the entry 'pictures', which data set 'blocks' "
                  "lacks; did you mean 'picture'?");
}

TEST(Experiment, RefusesRolesThatAreNeverRead) {
  const auto message = [](const std::string& roles) {
    const config::Node node =
        with(one_task(),
             "tasks.halves",
             fmt::format("{{name: enhancement, dataset: blocks, losses: [{{name: l1}}], "
                         "head: {{name: test_linear, channels: 1}}, roles: {}}}",
                         roles));
    return error_message("schema", [&] { Experiment(node, true); });
  };
  expect_contains(message("{image: picture, clean: clean, maks: label}"), "change.yaml:1:");
  expect_contains(message("{image: picture, clean: clean, mask: labels}"),
                  "tasks.halves: role 'mask' reads the entry 'labels', which data set 'blocks' "
                  "lacks; did you mean 'label'?");
  const config::Node own_name =
      with(one_task(),
           "tasks.halves",
           "{name: enhancement, dataset: blocks, losses: [{name: l1}], head: {name: test_linear, "
           "channels: 1}, roles: {image: picture, clean: clean, mask: mask}}");
  EXPECT_NO_THROW(Experiment(own_name, true));
}

TEST(Experiment, StandsWithoutItsDataSetWhereACheckpointKnowsTheClasses) {
  const TrainState trained = Experiment(one_task(), true).initial_state();
  const config::Node node = with(one_task(), "datasets.blocks.broken", "true");
  error_message("io", [&] { Experiment(node, true, &trained); });
  error_message("data", [&] { Experiment(node, false); });
  Experiment experiment(node, false, &trained);
  EXPECT_EQ(experiment.task("halves").task->context().classes.size(), 2);
  EXPECT_EQ(experiment.task("halves").dataset, nullptr);
  expect_contains(error_message("data", [&] { experiment.dataset("blocks"); }),
                  "blocks: cannot be opened");
}

TEST(Experiment, RefusesASlabThatTheBackboneDoesNotTake) {
  const config::Node node = with(one_task(), "tasks.halves.sampling.slab", "3");
  expect_contains(error_message("schema", [&] { Experiment(node, true); }),
                  "tasks.halves.sampling.slab: the backbone takes slabs of 1");
}

TEST(TaskGroups, TasksWithEqualItemsShareABatch) {
  Experiment experiment(two_tasks(), true);
  const auto groups = make_task_groups(experiment, Phase::kTraining);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].tasks.size(), 2U);
  std::map<std::string, bool> required;
  for (const RoleBinding& role : groups[0].source.roles) required[role.role] = role.required;
  EXPECT_EQ(required,
            (std::map<std::string, bool>{{"image", true}, {"label", false}, {"clean", false}}));
}

TEST(TaskGroups, DifferentBatchesOrRolesSeparateTasks) {
  Experiment sizes(with(two_tasks(), "tasks.noise.batch_size", "5"), true);
  EXPECT_EQ(make_task_groups(sizes, Phase::kTraining).size(), 2U);
  Experiment roles(with(two_tasks(), "tasks.halves.picture", "clean"), true);
  EXPECT_EQ(make_task_groups(roles, Phase::kTraining).size(), 2U);
  Experiment items(with(two_tasks(), "tasks.noise.validation_items", "1"), true);
  EXPECT_EQ(make_task_groups(items, Phase::kTraining).size(), 1U);
  EXPECT_EQ(make_task_groups(items, Phase::kValidation).size(), 2U);
}

TEST(TaskGroups, ATaskReadsFromOneOfItsOwnBatchOnly) {
  config::Node node =
      with(two_tasks(), "tasks.noise.head", "{name: test_following, source: halves}");
  node = with(node, "tasks.noise.reads_from", "[halves]");
  EXPECT_NO_THROW(Experiment::check(node));
  for (const char* key : {"batch_size", "validation_items"}) {
    const std::string message = check_message(with(node, std::string("tasks.noise.") + key, "5"));
    expect_contains(message,
                    "'tasks.noise' takes from 'halves', whose batches are others; give "
                    "'noise' and 'halves' equal");
  }
  Experiment apart(with(with(node, "tasks.noise.picture", "photo"), "stems", "convolution"), true);
  expect_contains(error_message("schema", [&] { make_task_groups(apart, Phase::kTraining); }),
                  "tasks.noise: 'halves', from which it takes, is not predicted in the same batch");
}

TEST(TaskGroups, AnEmptySplitIsAnErrorInTrainingOnly) {
  Experiment untrained(with(one_task(), "datasets.blocks.train", "0"), true);
  expect_contains(error_message("data", [&] { make_task_groups(untrained, Phase::kTraining); }),
                  "no sample in its split 'train'");
  Experiment unchecked(with(one_task(), "datasets.blocks.validation", "0"), true);
  EXPECT_TRUE(make_task_groups(unchecked, Phase::kValidation).empty());
}

TEST(TaskGroups, ValidationBatchesHoldItemsOfOneSize) {
  config::Node node = with(one_task(), "tasks.halves.sampling.axes", "[0, 1]");
  node = with(node, "datasets.blocks.size", "[4, 6, 8]");
  Experiment experiment(node, true);
  const auto groups = make_task_groups(experiment, Phase::kValidation);
  std::size_t items = 0;
  for (const auto& batch : validation_batches(groups[0], 0)) {
    EXPECT_LE(batch.size(), 3U);
    for (const Item& item : batch) EXPECT_EQ(item.axis, batch[0].axis);
    items += batch.size();
  }
  EXPECT_EQ(items, 10U);
}

TEST(BatchPadding, RepeatsImagesAndIgnoresLabels) {
  Batch batch;
  batch.ids = {"a"};
  batch.entries["image"].data = at::arange(6, at::kFloat).reshape({1, 1, 1, 2, 3});
  batch.entries["image"].geometry.resize(1);
  batch.entries["label"] = batch.entries["image"];
  batch.entries["label"].kind = EntryKind::kLabel;
  batch.entries["label"].data = at::ones({1, 1, 1, 2, 3}, at::kLong);
  const Batch padded = padded_to(batch, {1, 4, 4});
  EXPECT_EQ(padded.at("image").data.sizes(), (std::vector<std::int64_t>{1, 1, 1, 4, 4}));
  EXPECT_EQ(padded.at("image").data[0][0][0][3][3].item<float>(), 5.0F);
  EXPECT_EQ(padded.at("label").data[0][0][0][1][3].item<std::int64_t>(), -1);
  EXPECT_EQ(padded.at("label").data.eq(-1).sum().item<std::int64_t>(), 10);
  EXPECT_EQ(padded.at("image").geometry[0].shape, (Index3{1, 4, 4}));
  EXPECT_TRUE(at::equal(unpadded(padded.at("image").data, {1, 2, 3}), batch.at("image").data));
  EXPECT_EQ(padded.at("image").valid, (Region{{0, 0, 0}, {1, 2, 3}}));
  EXPECT_EQ(padded.at("image").mask().sum().item<std::int64_t>(), 6);
  EXPECT_TRUE(padded_to(batch, {1, 2, 3}).at("image").data.is_same(batch.at("image").data));
  EXPECT_FALSE(padded_to(batch, {1, 2, 3}).at("image").valid);
}

}  // namespace
}  // namespace triptych
