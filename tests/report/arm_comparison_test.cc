// SPDX-License-Identifier: Apache-2.0
#include "framework/report/arm_comparison.h"

#include "framework/report/task_affinity.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Samples s0, s1, ... with the values of one metric.
TaskScores scores_of(const std::string& metric, bool lower, const std::vector<double>& values) {
  TaskScores scores;
  scores.main_metric = metric;
  scores.lower_is_better[metric] = lower;
  for (std::size_t i = 0; i < values.size(); ++i)
    scores.samples["s" + std::to_string(i)][metric] = values[i];
  return scores;
}

ArmRun run_of(const std::string& arm, std::int64_t seed, std::map<std::string, TaskScores> tasks) {
  ArmRun run;
  run.arm = arm;
  run.seed = seed;
  run.tasks = std::move(tasks);
  run.processor_seconds_per_step = 1.0;
  run.peak_memory_bytes = arm == "joint" ? 300.0 : 200.0;
  return run;
}

/// Single runs of two tasks against joint ones: `iou` rises by 0.1 everywhere, `error` by 0.02 or
/// falls by it.
ArmComparison two_arms() {
  std::vector<ArmRun> runs;
  for (const std::int64_t seed : {0, 1, 2}) {
    const double shift = 0.01 * static_cast<double>(seed);
    runs.push_back(
        run_of("joint",
               seed,
               {{"bone", scores_of("iou", false, {0.6 + shift, 0.7 + shift, 0.8 + shift})},
                {"pair", scores_of("error", true, {0.22, 0.18, 0.20})}}));
    runs.push_back(
        run_of("single",
               seed,
               {{"bone", scores_of("iou", false, {0.5 + shift, 0.6 + shift, 0.7 + shift})}}));
    runs.push_back(run_of("single", seed, {{"pair", scores_of("error", true, {0.2, 0.2, 0.2})}}));
  }
  return {std::move(runs), "single"};
}

TEST(ArmComparison, MeansAreOverSeedsWithTheirStandardError) {
  const ArmComparison comparison = two_arms();
  EXPECT_THAT(comparison.arms(), ElementsAre("single", "joint"));
  const SeedMean mean = comparison.mean("joint", "bone", "iou");
  EXPECT_EQ(mean.seeds, 3);
  EXPECT_NEAR(mean.mean, 0.71, 1e-12);
  EXPECT_NEAR(mean.standard_error, 0.01 / std::sqrt(3.0), 1e-12);
  EXPECT_EQ(comparison.mean("joint", "bone", "nothing").seeds, 0);
}

TEST(ArmComparison, OnlyWhatHoldsInEveryDrawIsSignificant) {
  const ArmComparison comparison = two_arms();
  const PairedDifference gain = comparison.difference("joint", "bone");
  EXPECT_NEAR(gain.mean, 0.1, 1e-12);
  EXPECT_NEAR(gain.low, 0.1, 1e-12);
  EXPECT_NEAR(gain.high, 0.1, 1e-12);
  EXPECT_TRUE(gain.significant());
  const PairedDifference none = comparison.difference("joint", "pair");
  EXPECT_NEAR(none.mean, 0.0, 1e-12);
  EXPECT_NEAR(none.low, -0.02, 1e-9) << "all three draws may be the best sample";
  EXPECT_FALSE(none.significant());
}

TEST(ArmComparison, FoldsOfASeedCountTogether) {
  std::vector<ArmRun> runs;
  for (const std::int64_t seed : {0, 1}) {
    for (const char* fold : {"first", "second"}) {
      const double base = std::string(fold) == "first" ? 0.4 : 0.8;
      for (const char* arm : {"single", "joint"}) {
        TaskScores scores;
        scores.main_metric = "iou";
        scores.lower_is_better["iou"] = false;
        scores.samples[fold]["iou"] = base + (std::string(arm) == "joint" ? 0.1 : 0.0);
        runs.push_back(run_of(arm, seed, {{"bone", scores}}));
      }
    }
  }
  const ArmComparison comparison(std::move(runs), "single");
  EXPECT_NEAR(comparison.mean("single", "bone", "iou").mean, 0.6, 1e-12);
  EXPECT_NEAR(comparison.mean("single", "bone", "iou").standard_error, 0.0, 1e-12);
  const PairedDifference gain = comparison.difference("joint", "bone");
  EXPECT_EQ(gain.samples, 2);
  EXPECT_EQ(gain.seeds, 2);
  EXPECT_NEAR(gain.mean, 0.1, 1e-12);
  EXPECT_THAT(comparison.summary().markdown(), HasSubstr("| 1.0"))
      << "time: two folds beside two folds";
}

TEST(ArmComparison, RelativeGainAveragesTheTasksWithTheirSign) {
  const std::vector<ArmRun> runs = {
      run_of("single",
             0,
             {{"bone", scores_of("iou", false, {0.5})}, {"pair", scores_of("error", true, {0.2})}}),
      run_of(
          "joint",
          0,
          {{"bone", scores_of("iou", false, {0.6})}, {"pair", scores_of("error", true, {0.3})}})};
  const ArmComparison comparison(runs, "single");
  EXPECT_NEAR(comparison.relative_gain("joint").mean, 100.0 * (0.2 - 0.5) / 2.0, 1e-9);
  EXPECT_FALSE(comparison.difference("joint", "bone").significant()) << "one seed shows nothing";
}

TEST(ArmComparison, SummaryMarksGainsAndSumsTheCostOfSingleRuns) {
  const std::string text = two_arms().summary().markdown();
  EXPECT_THAT(text, HasSubstr("0.7100 ± 0.0058 (+)"));
  EXPECT_THAT(text, HasSubstr("| 0.50 | 1.50 |"))
      << "one step for both tasks; three halves of the memory\n"
      << text;
}

TEST(ArmComparison, AMissingReferenceLeavesTheMeans) {
  const ArmComparison comparison(
      {run_of("joint", 0, {{"bone", scores_of("iou", false, {0.5, NAN})}})}, "single");
  EXPECT_NEAR(comparison.mean("joint", "bone", "iou").mean, 0.5, 1e-12);
  EXPECT_EQ(comparison.difference("joint", "bone").seeds, 0);
  EXPECT_THAT(comparison.summary().markdown(), HasSubstr("0.5000"));
  EXPECT_THAT(comparison.report("study").html(), HasSubstr("<svg"));
}

/// Three tasks alone and in pairs, one sample each; the numbers are what a pair adds to 1.
std::vector<ArmRun> pairs_of(double ab, double ba, double ac, double ca, double bc, double cb) {
  const auto task = [](double gain) { return scores_of("iou", false, {1.0 + gain}); };
  return {run_of("single", 0, {{"a", task(0.0)}}),
          run_of("single", 0, {{"b", task(0.0)}}),
          run_of("single", 0, {{"c", task(0.0)}}),
          run_of("a + b", 0, {{"a", task(ab)}, {"b", task(ba)}}),
          run_of("a + c", 0, {{"a", task(ac)}, {"c", task(ca)}}),
          run_of("b + c", 0, {{"b", task(bc)}, {"c", task(cb)}})};
}

TEST(TaskAffinity, GroupsTasksThatHelpEachOther) {
  const auto groups = [](const std::vector<ArmRun>& runs) {
    return groups_text(*task_affinity(ArmComparison(runs, "single")));
  };
  EXPECT_EQ(groups(pairs_of(0.1, 0.1, -0.2, -0.1, -0.1, 0.0)), "{a, b}, {c}");
  EXPECT_EQ(groups(pairs_of(-0.1, 0.05, -0.2, -0.1, -0.1, 0.0)), "{a}, {b}, {c}");
  EXPECT_EQ(groups(pairs_of(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)), "{a, b, c}");
}

TEST(TaskAffinity, GainsArePercentOfTrainingAlone) {
  const auto affinity =
      task_affinity(ArmComparison(pairs_of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "single"));
  ASSERT_TRUE(affinity.has_value());
  EXPECT_NEAR(affinity->gain[0][1], 10.0, 1e-9);
  EXPECT_NEAR(affinity->gain[2][1], 60.0, 1e-9);
}

TEST(TaskAffinity, NeedsEveryPair) {
  std::vector<ArmRun> runs = pairs_of(0.1, 0.1, 0.1, 0.1, 0.1, 0.1);
  runs.pop_back();
  EXPECT_FALSE(task_affinity(ArmComparison(runs, "single")).has_value());
}

}  // namespace
}  // namespace triptych
