// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/training_stages.h"

#include "framework/core/nn.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

using Values = std::map<std::string, double>;

class RowKeeper final : public TrainingObserver {
 public:
  void on_metrics(std::int64_t,
                  const std::string& phase,
                  const std::vector<std::pair<std::string, double>>& values) override {
    if (phase == "train") rows.emplace_back(values.begin(), values.end());
  }
  void on_predictions(std::int64_t,
                      const ExperimentTask&,
                      const Batch&,
                      const at::Tensor&) override {}
  void on_checkpoint(std::int64_t, const std::filesystem::path&, bool) override {}
  std::vector<Values> rows;
};

/// The model's parameters and buffers before and after a training.
struct Trained {
  explicit Trained(const config::Node& node, RowKeeper* keeper = nullptr) {
    const RunFolder run;
    Experiment::check(node);
    Experiment experiment(node, true);
    before = copied(experiment);
    Trainer(experiment, run.path(), keeper).run();
    after = copied(experiment);
  }
  bool changed(const std::string& beginning) const {
    for (const auto& [name, tensor] : before) {
      if (name.starts_with(beginning) && !at::equal(tensor, after.at(name))) return true;
    }
    return false;
  }
  static std::map<std::string, at::Tensor> copied(Experiment& experiment) {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : module_tensors(experiment.model(), ""))
      tensors[name] = tensor.detach().clone();
    return tensors;
  }
  std::map<std::string, at::Tensor> before, after;
};

config::Node with_unet(const config::Node& node) {
  return with(
      with(node, "backbone", "{name: unet, width: 2, depth: 1}"), "sharing", "{name: hard}");
}

TEST(TrainingStages, FrozenPartsKeepTheirWeightsAndStatistics) {
  const config::Node node = with_unet(two_tasks());
  const Trained free(node);
  EXPECT_TRUE(free.changed("sharing.column.encoder_0"));
  const Trained frozen(with(node, "trainer.frozen", "[sharing.column.encoder, head_noise]"));
  EXPECT_FALSE(frozen.changed("sharing.column.encoder_0"));
  EXPECT_FALSE(frozen.changed("head_noise"));
  EXPECT_TRUE(frozen.changed("sharing.column.decoder_0"));
  EXPECT_TRUE(frozen.changed("head_halves"));
}

TEST(TrainingStages, OneTaskThenBoth) {
  const config::Node first = with(two_tasks(), "trainer.stages", "[{tasks: [halves]}]");
  const Trained alone(first);
  EXPECT_TRUE(alone.changed("head_halves"));
  EXPECT_FALSE(alone.changed("head_noise"));
  const Trained joined(with(two_tasks(), "trainer.stages", "[{until: 3, tasks: [halves]}]"));
  EXPECT_TRUE(joined.changed("head_noise"));
}

TEST(TrainingStages, GoOnBitForBitInTheMiddleOfAStage) {
  config::Node node = with(two_tasks(),
                           "trainer.stages",
                           "[{until: 3, tasks: [halves]}, {until: 6, frozen: [head_halves]}]");
  const auto checksum_after = [&](std::int64_t stop, const std::string& threads) {
    const RunFolder run;
    config::Node own = with(node, "trainer.loader.threads", threads);
    if (stop > 0) {
      Experiment experiment(with(own, "trainer.max_steps", std::to_string(stop)), true);
      Trainer(experiment, run.path(), nullptr).run();
    }
    Experiment experiment(own, true);
    Trainer trainer(experiment, run.path(), nullptr);
    if (stop > 0) trainer.resume();
    trainer.run();
    return weights_checksum(run / "checkpoints/last");
  };
  const std::string whole = checksum_after(0, "0");
  EXPECT_EQ(checksum_after(0, "2"), whole);
  EXPECT_EQ(checksum_after(2, "0"), whole);
  EXPECT_EQ(checksum_after(4, "1"), whole);
}

TEST(TrainingStages, ServeWeightingsThatReadGradients) {
  const config::Node node = with(with_unet(two_tasks()), "weighting", "{name: pcgrad}");
  const Trained frozen(with(node, "trainer.frozen", "[sharing.column.encoder]"));
  EXPECT_FALSE(frozen.changed("sharing.column.encoder_0"));
  EXPECT_TRUE(frozen.changed("sharing.column.decoder_0"));
}

TEST(TrainingStages, FrozenColumnsNeedNoPrior) {
  const Trained frozen(with(with(with_unet(two_tasks()), "sharing", "{name: soft, strength: 0.01}"),
                            "trainer.frozen",
                            "[sharing.]"));
  EXPECT_FALSE(frozen.changed("sharing.column_"));
  EXPECT_TRUE(frozen.changed("head_halves"));
}

TEST(TrainingStages, RefuseWhatThereIsNot) {
  const auto message = [](const std::string& key, const std::string& value) {
    return error_message("schema", [&] { Trained(with(two_tasks(), key, value)); });
  };
  EXPECT_THAT(message("trainer.frozen", "[heads]"),
              HasSubstr("trainer.frozen: no parameter's name begins with 'heads'"));
  EXPECT_THAT(message("trainer.stages", "[{until: 4}, {until: 4}]"),
              HasSubstr("trainer.stages[1].until: expected a step after 4, got 4"));
  EXPECT_THAT(
      message("trainer.stages", "[{tasks: [halfs]}]"),
      HasSubstr("trainer.stages[0].tasks: no task is called 'halfs'. Tasks: halves, noise"));
}

TEST(GradientInsight, MeasuresLengthsAndAnglesWithoutTouchingTheTraining) {
  const config::Node node = with_unet(two_tasks());
  RowKeeper keeper;
  const Trained plain(node), watched(with(node, "trainer.insight_every", "2"), &keeper);
  for (const auto& [name, tensor] : plain.after)
    EXPECT_TRUE(at::equal(tensor, watched.after.at(name))) << name;
  ASSERT_EQ(keeper.rows.size(), 8U);
  const Values& row = keeper.rows[0];
  EXPECT_GT(row.at("insight/norm/halves/column.encoder_0"), 0.0);
  EXPECT_LE(std::abs(row.at("insight/cosine/halves_noise/all")), 1.0 + 1e-9);
  double square = 0.0;
  for (const auto& [tag, value] : row) {
    if (tag.starts_with("insight/norm/noise/") && !tag.ends_with("/all")) square += value * value;
  }
  EXPECT_NEAR(std::sqrt(square), row.at("insight/norm/noise/all"), 1e-6);
  EXPECT_FALSE(keeper.rows[1].contains("insight/norm/noise/all"));
}

TEST(Sharing, CrossStitchAndPriorsTrainAndResume) {
  for (const char* sharing :
       {"{name: cross_stitch}", "{name: soft, strength: 0.01, interval: 3}", "{name: attention}"}) {
    const config::Node node =
        with(with(two_tasks(), "backbone", "{name: unet, width: 2, depth: 1}"), "sharing", sharing);
    const auto checksum_after = [&](std::int64_t stop) {
      const RunFolder run;
      if (stop > 0) {
        Experiment experiment(with(node, "trainer.max_steps", std::to_string(stop)), true);
        Trainer(experiment, run.path(), nullptr).run();
      }
      Experiment experiment(node, true);
      Trainer trainer(experiment, run.path(), nullptr);
      if (stop > 0) trainer.resume();
      trainer.run();
      return weights_checksum(run / "checkpoints/last");
    };
    EXPECT_EQ(checksum_after(0), checksum_after(4)) << sharing;
  }
  RowKeeper keeper;
  const Trained stitched(with(with_unet(two_tasks()), "sharing", "{name: cross_stitch}"), &keeper);
  EXPECT_TRUE(stitched.changed("sharing.stitch_encoder_0"));
  EXPECT_NEAR(keeper.rows[0].at("mixing/encoder_0/halves_from_noise"), 0.1, 0.05);
}

}  // namespace
}  // namespace triptych
