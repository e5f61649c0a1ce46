// SPDX-License-Identifier: Apache-2.0
#include "framework/report/arm_comparison.h"

#include "framework/core/random.h"
#include "framework/report/box_chart.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/core.h>

namespace triptych {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kDraws = 10000;  ///< of the bootstrap

SeedMean mean_over_seeds(const std::vector<double>& values) {
  SeedMean result;
  double sum = 0.0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++result.seeds;
  }
  if (result.seeds == 0) return result;
  const auto count = static_cast<double>(result.seeds);
  result.mean = sum / count;
  if (result.seeds < 2) return result;
  double squares = 0.0;
  for (const double value : values) {
    if (std::isfinite(value)) squares += (value - result.mean) * (value - result.mean);
  }
  result.standard_error = std::sqrt(squares / (count - 1.0) / count);
  return result;
}

/// Differences [seed][sample] -> the interval; samples that a seed lacks are left out of its draws.
PairedDifference bootstrap(const std::vector<std::vector<double>>& differences) {
  PairedDifference result;
  double sum = 0.0;
  std::int64_t count = 0;
  for (const auto& row : differences) {
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      sum += value;
      ++count;
    }
  }
  if (count == 0) return result;
  result.mean = sum / static_cast<double>(count);
  result.seeds = static_cast<std::int64_t>(differences.size());
  result.samples = static_cast<std::int64_t>(differences.front().size());
  RandomStream random(hash_name("bootstrap"));
  std::vector<double> means;
  std::vector<std::size_t> chosen(differences.front().size());
  for (int draw = 0; draw < kDraws; ++draw) {
    for (std::size_t& sample : chosen)
      sample = static_cast<std::size_t>(random.integer(result.samples));
    double total = 0.0;
    std::int64_t drawn = 0;
    for (std::int64_t s = 0; s < result.seeds; ++s) {
      const auto& row = differences[static_cast<std::size_t>(random.integer(result.seeds))];
      for (const std::size_t sample : chosen) {
        if (!std::isfinite(row[sample])) continue;
        total += row[sample];
        ++drawn;
      }
    }
    if (drawn > 0) means.push_back(total / static_cast<double>(drawn));
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) {
    return means[static_cast<std::size_t>(share * static_cast<double>(means.size() - 1))];
  };
  result.low = at(0.025);
  result.high = at(0.975);
  return result;
}

std::string number_text(double value) {
  const double size = std::abs(value);
  return size >= 10.0  ? fmt::format("{:.2f}", value)
         : size >= 0.1 ? fmt::format("{:.4f}", value)
                       : fmt::format("{:.3g}", value);
}

std::string mean_text(const SeedMean& mean) {
  if (mean.seeds == 0) return "-";
  if (mean.seeds == 1) return number_text(mean.mean);
  return fmt::format("{} ± {:.2g}", number_text(mean.mean), mean.standard_error);
}

/// NaN where the sample lacks the metric.
double value_of(const TaskScores& scores, const std::string& sample, const std::string& metric) {
  const auto values = scores.samples.find(sample);
  if (values == scores.samples.end()) return kNan;
  const auto value = values->second.find(metric);
  return value == values->second.end() ? kNan : value->second;
}

Table::Cell ratio_cell(double value, double reference) {
  if (!std::isfinite(value) || !std::isfinite(reference) || reference == 0.0) return {};
  return value / reference;
}

}  // namespace

ArmComparison::ArmComparison(std::vector<ArmRun> runs, std::string reference)
    : runs_(std::move(runs)), reference_(std::move(reference)) {
  std::set<std::string> tasks;
  for (const ArmRun& run : runs_) {
    if (std::find(arms_.begin(), arms_.end(), run.arm) == arms_.end()) arms_.push_back(run.arm);
    for (const auto& [task, scores] : run.tasks) {
      tasks.insert(task);
      const auto [known, added] = scores_.try_emplace(std::tuple(run.arm, run.seed, task), scores);
      if (!added) known->second.samples.insert(scores.samples.begin(), scores.samples.end());
    }
  }
  std::stable_partition(
      arms_.begin(), arms_.end(), [&](const std::string& arm) { return arm == reference_; });
  tasks_.assign(tasks.begin(), tasks.end());
  for (const std::string& arm : arms_) {
    for (const std::string& task : tasks_)
      differences_[{arm, task}] = measured_difference(arm, task);
  }
}

const PairedDifference& ArmComparison::difference(const std::string& arm,
                                                  const std::string& task) const {
  return differences_.at({arm, task});
}

ArmComparison::Verdict ArmComparison::verdict_on(const std::string& arm,
                                                 const std::string& task) const {
  const PairedDifference& change = difference(arm, task);
  if (!change.significant()) return Verdict::kOpen;
  const bool lower = lower_is_better(task, main_metric(task));
  return (change.mean < 0.0) == lower ? Verdict::kBetter : Verdict::kWorse;
}

const TaskScores* ArmComparison::scores(const std::string& arm,
                                        const std::string& task,
                                        std::int64_t seed) const {
  const auto found = scores_.find({arm, seed, task});
  return found == scores_.end() ? nullptr : &found->second;
}

std::vector<std::int64_t> ArmComparison::seeds_of(const std::string& arm) const {
  std::set<std::int64_t> seeds;
  for (const ArmRun& run : runs_) {
    if (run.arm == arm) seeds.insert(run.seed);
  }
  return {seeds.begin(), seeds.end()};
}

const std::string& ArmComparison::main_metric(const std::string& task) const {
  for (const ArmRun& run : runs_) {
    if (const auto found = run.tasks.find(task); found != run.tasks.end())
      return found->second.main_metric;
  }
  static const std::string none;
  return none;
}

bool ArmComparison::lower_is_better(const std::string& task, const std::string& metric) const {
  for (const ArmRun& run : runs_) {
    const auto found = run.tasks.find(task);
    if (found == run.tasks.end()) continue;
    const auto direction = found->second.lower_is_better.find(metric);
    if (direction != found->second.lower_is_better.end()) return direction->second;
  }
  return false;
}

double ArmComparison::seed_mean(const std::string& arm,
                                const std::string& task,
                                const std::string& metric,
                                std::int64_t seed) const {
  const TaskScores* found = scores(arm, task, seed);
  if (found == nullptr) return kNan;
  double sum = 0.0;
  std::int64_t count = 0;
  for (const auto& [sample, values] : found->samples) {
    const double value = value_of(*found, sample, metric);
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNan : sum / static_cast<double>(count);
}

SeedMean ArmComparison::mean(const std::string& arm,
                             const std::string& task,
                             const std::string& metric) const {
  std::vector<double> values;
  for (const std::int64_t seed : seeds_of(arm))
    values.push_back(seed_mean(arm, task, metric, seed));
  return mean_over_seeds(values);
}

PairedDifference ArmComparison::measured_difference(const std::string& arm,
                                                    const std::string& task) const {
  const std::string& metric = main_metric(task);
  std::set<std::string> names;
  std::vector<std::pair<const TaskScores*, const TaskScores*>> pairs;
  for (const std::int64_t seed : seeds_of(arm)) {
    const TaskScores *own = scores(arm, task, seed), *other = scores(reference_, task, seed);
    if (own == nullptr || other == nullptr) continue;
    pairs.emplace_back(own, other);
    for (const auto& [sample, values] : own->samples) {
      if (other->samples.contains(sample)) names.insert(sample);
    }
  }
  if (pairs.empty() || names.empty()) return {};
  std::vector<std::vector<double>> differences;
  for (const auto& [own, other] : pairs) {
    auto& row = differences.emplace_back();
    for (const std::string& name : names)
      row.push_back(value_of(*own, name, metric) - value_of(*other, name, metric));
  }
  return bootstrap(differences);
}

double ArmComparison::gain_of_seed(const std::string& arm,
                                   const std::string& task,
                                   std::int64_t seed) const {
  const std::string& metric = main_metric(task);
  const double own = seed_mean(arm, task, metric, seed);
  const double other = seed_mean(reference_, task, metric, seed);
  const double sign = lower_is_better(task, metric) ? -1.0 : 1.0;
  return 100.0 * sign * (own - other) / std::abs(other);
}

SeedMean ArmComparison::relative_gain(const std::string& arm, const std::string& task) const {
  std::vector<double> gains;
  for (const std::int64_t seed : seeds_of(arm)) gains.push_back(gain_of_seed(arm, task, seed));
  return mean_over_seeds(gains);
}

SeedMean ArmComparison::relative_gain(const std::string& arm) const {
  std::vector<double> gains;
  for (const std::int64_t seed : seeds_of(arm)) {
    double sum = 0.0;
    for (const std::string& task : tasks_) sum += gain_of_seed(arm, task, seed);
    gains.push_back(sum / static_cast<double>(tasks_.size()));
  }
  return mean_over_seeds(gains);
}

std::optional<std::string> ArmComparison::arm_of(std::vector<std::string> tasks) const {
  std::sort(tasks.begin(), tasks.end());
  for (const ArmRun& run : runs_) {
    std::vector<std::string> own;
    for (const auto& [task, scores] : run.tasks) own.push_back(task);
    if (run.arm != reference_ && own == tasks) return run.arm;
  }
  return std::nullopt;
}

double ArmComparison::cost(const std::string& arm, double ArmRun::*value, bool sum) const {
  std::vector<double> by_seed;
  for (const std::int64_t seed : seeds_of(arm)) {
    double total = 0.0;
    for (const ArmRun& run : runs_) {
      if (run.arm == arm && run.seed == seed)
        total = sum ? total + run.*value : std::max(total, run.*value);
    }
    by_seed.push_back(total);
  }
  return mean_over_seeds(by_seed).mean;
}

Table ArmComparison::summary() const {
  std::vector<std::string> columns = {"arm", "seeds"};
  for (const std::string& task : tasks_)
    columns.push_back(fmt::format(
        "{}/{} {}", task, main_metric(task), lower_is_better(task, main_metric(task)) ? "↓" : "↑"));
  columns.insert(columns.end(), {"Delta_m %", "time a step", "memory"});
  Table table(columns, 2);
  const double time = cost(reference_, &ArmRun::processor_seconds_per_step, true);
  const double memory = cost(reference_, &ArmRun::peak_memory_bytes, false);
  for (const std::string& arm : arms_) {
    std::vector<Table::Cell> row = {arm, static_cast<std::int64_t>(seeds_of(arm).size())};
    for (const std::string& task : tasks_) {
      std::string text = mean_text(mean(arm, task, main_metric(task)));
      if (arm != reference_) {
        const Verdict verdict = verdict_on(arm, task);
        if (verdict != Verdict::kOpen) text += verdict == Verdict::kBetter ? " (+)" : " (-)";
      }
      row.emplace_back(text);
    }
    row.emplace_back(arm == reference_ ? "0" : mean_text(relative_gain(arm)));
    row.push_back(ratio_cell(cost(arm, &ArmRun::processor_seconds_per_step, true), time));
    row.push_back(ratio_cell(cost(arm, &ArmRun::peak_memory_bytes, false), memory));
    table.add_row(std::move(row));
  }
  return table;
}

Table ArmComparison::differences() const {
  Table table(
      {"task", "metric", "arm", "difference", "low", "high", "samples", "seeds", "significant"}, 5);
  for (const std::string& task : tasks_) {
    for (const std::string& arm : arms_) {
      if (arm == reference_) continue;
      const PairedDifference& change = difference(arm, task);
      if (change.seeds == 0) continue;
      const Verdict verdict = verdict_on(arm, task);
      table.add_row({task,
                     main_metric(task),
                     arm,
                     change.mean,
                     change.low,
                     change.high,
                     change.samples,
                     change.seeds,
                     std::string(verdict == Verdict::kOpen     ? "no"
                                 : verdict == Verdict::kBetter ? "better"
                                                               : "worse")});
    }
  }
  return table;
}

Table ArmComparison::all_metrics() const {
  std::vector<std::string> columns = {"metric"};
  columns.insert(columns.end(), arms_.begin(), arms_.end());
  Table table(columns);
  for (const std::string& task : tasks_) {
    std::set<std::string> metrics;
    for (const ArmRun& run : runs_) {
      const auto found = run.tasks.find(task);
      if (found == run.tasks.end()) continue;
      for (const auto& [metric, lower] : found->second.lower_is_better) metrics.insert(metric);
    }
    for (const std::string& metric : metrics) {
      std::vector<Table::Cell> row = {task + "/" + metric};
      for (const std::string& arm : arms_) row.emplace_back(mean_text(mean(arm, task, metric)));
      table.add_row(std::move(row));
    }
  }
  return table;
}

std::string ArmComparison::svg(const std::string& task) const {
  const std::string& metric = main_metric(task);
  BoxChart chart;
  chart.title = task;
  chart.y_label = metric;
  for (const std::string& arm : arms_) {
    BoxGroup group{arm, {}};
    for (const std::int64_t seed : seeds_of(arm)) {
      const TaskScores* found = scores(arm, task, seed);
      if (found == nullptr) continue;
      for (const auto& [sample, values] : found->samples) {
        if (const auto value = values.find(metric); value != values.end())
          group.values.push_back(value->second);
      }
    }
    if (!group.values.empty()) chart.groups.push_back(std::move(group));
  }
  return svg_of(chart);
}

HtmlReport ArmComparison::report(const std::string& title) const {
  HtmlReport page(title, "compared with: " + reference_);
  page.add_section("Summary");
  page.add_table(
      summary(),
      "Mean over seeds ± its standard error. (+) better and (-) worse than the reference: the 95 % "
      "interval of "
      "the paired differences, with seeds and samples drawn anew, leaves zero out. Delta_m: mean "
      "relative change "
      "over the tasks. Time (of the processor) and memory are multiples of the reference's.");
  page.add_section("Samples");
  for (const std::string& task : tasks_)
    page.add_chart(svg(task), "every test sample of every seed");
  page.add_section("Differences");
  page.add_table(differences());
  page.add_section("All metrics");
  page.add_table(all_metrics());
  return page;
}

}  // namespace triptych
