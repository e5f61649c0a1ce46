// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/training_step.h"

#include "framework/core/nn.h"
#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::near;
using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

/// A training batch of the first slice of each of `samples`.
Batch batch_of(const TaskGroup& group,
               const std::vector<std::size_t>& samples,
               Experiment& experiment) {
  std::vector<Item> items;
  for (const Item& item : group.source.sampler->all_items()) {
    const bool wanted = std::find(samples.begin(), samples.end(), item.sample) != samples.end();
    if (wanted && item.region.start[0] == 0) items.push_back(item);
  }
  return prepared(make_batch(group.source, items), experiment, group);
}

/// The only group of an experiment in evaluation mode, and what it predicts and loses on given
/// samples.
struct Evaluated {
  explicit Evaluated(const config::Node& node)
      : experiment(node, true), groups(make_task_groups(experiment, Phase::kTraining)) {
    experiment.model().eval();
  }
  std::map<std::string, TaskOutput> outputs(const std::vector<std::size_t>& samples) {
    std::map<std::string, TaskOutput> by_task;
    for (TaskOutput& output :
         group_outputs(experiment, groups.at(0), batch_of(groups[0], samples, experiment))) {
      by_task.emplace(experiment.tasks()[output.task].key, std::move(output));
    }
    return by_task;
  }
  std::map<std::string, double> losses(const std::vector<std::size_t>& samples) {
    std::map<std::string, double> by_task;
    const Batch batch = batch_of(groups.at(0), samples, experiment);
    for (const TaskLoss& loss :
         task_losses(experiment, group_outputs(experiment, groups[0], batch))) {
      by_task[experiment.tasks()[loss.task].key] = loss.total.item<double>();
    }
    return by_task;
  }
  Experiment experiment;
  std::vector<TaskGroup> groups;
};

TEST(GroupOutputs, GiveEveryTaskTheRowsThatHaveItsTarget) {
  config::Node node = with(two_tasks(), "datasets.blocks.without_label", "2");
  node = with(node, "datasets.blocks.without_clean", "1");
  Evaluated mixed(node);
  ASSERT_EQ(mixed.groups.size(), 1U);
  const auto outputs = mixed.outputs({0, 1, 2});
  EXPECT_EQ(outputs.at("halves").prediction.value.size(0), 2);
  EXPECT_EQ(outputs.at("halves").batch.at("label").data.size(0), 2);
  EXPECT_EQ(outputs.at("noise").prediction.value.size(0), 1);
  EXPECT_EQ(outputs.at("noise").batch.size(), 1);

  Evaluated complete(two_tasks());
  const auto losses = mixed.losses({0, 1, 2});
  EXPECT_NEAR(losses.at("halves"), complete.losses({0, 1}).at("halves"), 1e-6);
  EXPECT_NEAR(losses.at("noise"), complete.losses({0}).at("noise"), 1e-6);
  EXPECT_FALSE(mixed.losses({1, 2}).contains("noise"));
  EXPECT_TRUE(mixed.outputs({2}).empty());
}

TEST(GroupOutputs, LeaveOutItemsThatTheHeadCannotRead) {
  config::Node node = with(two_tasks(), "tasks.noise.head", "{name: test_pair}");
  Evaluated complete(node);
  Evaluated mixed(with(node, "datasets.blocks.without_clean", "1"));
  const auto all = complete.outputs({0, 1, 2}), some = mixed.outputs({0, 1, 2});
  EXPECT_TRUE(near(
      some.at("noise").prediction.value, complete.outputs({0}).at("noise").prediction.value, 1e-6));
  ASSERT_EQ(some.at("halves").batch.size(), 3);
  for (std::int64_t row = 0; row < 3; ++row) {
    const std::vector<std::string>& ids = all.at("halves").batch.ids;
    const auto same = std::find(
        ids.begin(), ids.end(), some.at("halves").batch.ids[static_cast<std::size_t>(row)]);
    ASSERT_NE(same, ids.end());
    EXPECT_TRUE(near(some.at("halves").prediction.value[row],
                     all.at("halves").prediction.value[same - ids.begin()],
                     1e-6));
  }
}

TEST(GroupOutputs, PredictATaskWithoutTargetForOneThatReadsIt) {
  config::Node node =
      with(two_tasks(), "tasks.noise.head", "{name: test_following, source: halves}");
  node =
      with(with(node, "tasks.noise.reads_from", "[halves]"), "datasets.blocks.without_label", "1");
  Evaluated unlabelled(node);
  const auto losses = unlabelled.losses({1, 2});
  EXPECT_FALSE(losses.contains("halves"));
  EXPECT_TRUE(losses.contains("noise"));
}

TEST(GroupOutputs, PaddedVoxelsDoNotCount) {
  const config::Node node = with(two_tasks(), "datasets.blocks.size", "[4, 7, 9]");
  Evaluated padded(node);
  const TaskOutput noise = padded.outputs({0, 1}).at("noise");
  EXPECT_EQ(noise.prediction.value.size(4), 10);
  const auto valid = [](const at::Tensor& tensor) {
    return tensor.narrow(3, 0, 7).narrow(4, 0, 9);
  };
  const at::Tensor difference = valid(noise.prediction.value) - valid(noise.batch.at("clean").data);
  const double expected = (difference.square().mean() + difference.abs().mean()).item<double>();
  EXPECT_NEAR(padded.losses({0, 1}).at("noise"), expected, 1e-6);
}

TEST(Trainer, TrainsOnPartlyLabelledBatches) {
  config::Node node = with(two_tasks(), "datasets.blocks.without_label", "2");
  node = with(with(node, "datasets.blocks.without_clean", "1"), "trainer.validate_every", "100");
  const RunFolder run;
  Experiment experiment(node, true);
  EXPECT_EQ(Trainer(experiment, run.path(), nullptr).run().step, 8);
}

TEST(Trainer, TrainsModalitiesOfDifferentChannelCountsBehindStems) {
  const config::Node node = with(two_tasks(), "tasks.noise.picture", "photo");
  EXPECT_EQ(testing::error_message("model", [&] { Experiment refused(node, true); }),
            "modality 'xray' has 1 channels, others have 3");
  const RunFolder run;
  Experiment experiment(with(node, "stems", "convolution"), true);
  const at::Tensor before =
      experiment.model().named_parameters()["stem_photo.weight"].detach().clone();
  EXPECT_EQ(Trainer(experiment, run.path(), nullptr).run().step, 8);
  EXPECT_FALSE(at::equal(experiment.model().named_parameters()["stem_photo.weight"], before));
}

}  // namespace
}  // namespace triptych
