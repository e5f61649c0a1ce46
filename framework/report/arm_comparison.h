// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/html_report.h"
#include "framework/report/table.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace triptych {

/// Metrics of one task in one run.
struct TaskScores {
  std::string main_metric = {};
  std::map<std::string, bool> lower_is_better = {};  ///< by metric
  std::map<std::string, std::map<std::string, double>> samples =
      {};  ///< by sample, by metric; NaN = undefined
};

/// A run of one arm of a comparison. An arm that trains each task alone has several runs a seed,
/// and so has one that is cross-validated: their test samples count together.
struct ArmRun {
  std::string arm = {};
  std::int64_t seed = 0;
  std::map<std::string, TaskScores> tasks = {};
  double processor_seconds_per_step = std::numeric_limits<double>::quiet_NaN();
  double peak_memory_bytes = std::numeric_limits<double>::quiet_NaN();
};

/// Mean over seeds of the mean over samples, and its standard error (standard deviation over seeds
/// by sqrt(number of seeds); NaN for one seed).
struct SeedMean {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double standard_error = std::numeric_limits<double>::quiet_NaN();
  std::int64_t seeds = 0;
};

/// Mean of paired differences "arm minus reference" over samples and seeds that both have, with the
/// 95 % interval of a bootstrap that draws seeds and samples anew, each with replacement.
struct PairedDifference {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::int64_t samples = 0;
  std::int64_t seeds = 0;
  /// The interval leaves zero out; never with fewer than two seeds or two samples.
  bool significant() const { return seeds > 1 && samples > 1 && (low > 0.0 || high < 0.0); }
};

/// Arms of a study against one of them, by the main metrics of their tasks.
///
/// Deterministic: the bootstrap draws from a stream of its own.
class ArmComparison {
 public:
  /// `reference` may be an arm without runs; then nothing is compared with it.
  ArmComparison(std::vector<ArmRun> runs, std::string reference);

  /// In the order of their first runs, the reference first.
  const std::vector<std::string>& arms() const { return arms_; }
  const std::vector<std::string>& tasks() const { return tasks_; }

  SeedMean mean(const std::string& arm, const std::string& task, const std::string& metric) const;
  /// Of the task's main metric; `arm` and `task` are some of arms() and tasks().
  const PairedDifference& difference(const std::string& arm, const std::string& task) const;
  /// Mean over tasks of the relative change of their main metrics against the reference, in
  /// percent, positive = better (Maninis et al. 2019, eq. 4), by seed.
  SeedMean relative_gain(const std::string& arm) const;
  /// The same for one task.
  SeedMean relative_gain(const std::string& arm, const std::string& task) const;
  /// The arm, beside the reference, whose runs have exactly these tasks.
  std::optional<std::string> arm_of(std::vector<std::string> tasks) const;

  /// A row an arm: main metrics as "mean +- standard error", significant differences marked, the
  /// relative gain, and processor time a step and memory as multiples of the reference's.
  Table summary() const;
  /// A row a task and arm: difference to the reference with its interval.
  Table differences() const;
  /// A row a metric, a column an arm.
  Table all_metrics() const;
  /// The three tables and a box chart of every task.
  HtmlReport report(const std::string& title) const;

 private:
  enum class Verdict { kOpen, kBetter, kWorse };
  Verdict verdict_on(const std::string& arm, const std::string& task) const;
  PairedDifference measured_difference(const std::string& arm, const std::string& task) const;
  const TaskScores* scores(const std::string& arm,
                           const std::string& task,
                           std::int64_t seed) const;
  std::vector<std::int64_t> seeds_of(const std::string& arm) const;
  const std::string& main_metric(const std::string& task) const;
  bool lower_is_better(const std::string& task, const std::string& metric) const;
  double seed_mean(const std::string& arm,
                   const std::string& task,
                   const std::string& metric,
                   std::int64_t seed) const;
  /// Relative change against the reference in percent, positive = better.
  double gain_of_seed(const std::string& arm, const std::string& task, std::int64_t seed) const;
  /// Mean over seeds of `value` summed over the runs of a seed.
  double cost(const std::string& arm, double ArmRun::*value, bool sum) const;
  std::string svg(const std::string& task) const;

  std::vector<ArmRun> runs_;
  std::map<std::tuple<std::string, std::int64_t, std::string>, TaskScores>
      scores_;  ///< by arm, seed, task; of all their runs
  std::string reference_;
  std::vector<std::string> arms_;
  std::vector<std::string> tasks_;
  std::map<std::pair<std::string, std::string>, PairedDifference> differences_;  ///< by arm, task
};

}  // namespace triptych
