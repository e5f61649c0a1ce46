// SPDX-License-Identifier: Apache-2.0
#include "framework/app/study_report.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/core/suggest.h"
#include "framework/learn/experiment.h"
#include "framework/report/arm_comparison.h"
#include "framework/report/task_affinity.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTrivial =
    "trivial/";  ///< metrics of no prediction at all say nothing of an arm

TaskScores read_scores(const nlohmann::json& task) {
  TaskScores scores;
  scores.main_metric = task.at("main_metric").get<std::string>();
  for (const auto& [metric, direction] : task.at("directions").items()) {
    if (!metric.starts_with(kTrivial)) scores.lower_is_better[metric] = direction == "lower";
  }
  for (const auto& [sample, values] : task.at("samples").items()) {
    for (const auto& [metric, value] : values.items()) {
      if (value.is_number()) scores.samples[sample][metric] = value.get<double>();
    }
  }
  return scores;
}

double noted(const nlohmann::json& record, const char* key) {
  const auto notes = record.find("notes");
  if (notes == record.end() || !notes->contains(key))
    return std::numeric_limits<double>::quiet_NaN();
  return std::strtod(notes->at(key).get<std::string>().c_str(), nullptr);
}

ArmRun read_run(const StudyJob& job, const std::string& arm) {
  ArmRun run;
  run.arm = arm;
  run.seed = job.resolved.int_or("seed", 0);
  const fs::path file = job.folder / "test.json";
  try {
    const nlohmann::json tested = nlohmann::json::parse(read_file(file));
    for (const auto& [task, scores] : tested.at("tasks").items())
      run.tasks[task] = read_scores(scores);
    const nlohmann::json record = nlohmann::json::parse(read_file(job.folder / "run.json"));
    run.processor_seconds_per_step = noted(record, "processor_seconds_per_step");
    run.peak_memory_bytes = record.value("peak_memory_bytes", run.peak_memory_bytes);
  } catch (const nlohmann::json::exception& error) {
    throw data_error(
        fmt::format("{}: expected the scores of a test, got: {}", file.string(), error.what()),
        "remove the job's folder and sweep again");
  }
  return run;
}

/// What is said of pairs of tasks; empty where the arms are no pairs.
std::string affinity_text(const std::optional<TaskAffinity>& affinity) {
  if (!affinity) return "";
  return fmt::format(
      "{}\nRecommended groups: {}\n", affinity_table(*affinity).markdown(), groups_text(*affinity));
}

void write_comparison(const fs::path& folder,
                      const ArmComparison& comparison,
                      const std::string& left_out) {
  const Table summary = comparison.summary(), differences = comparison.differences(),
              all = comparison.all_metrics();
  const std::optional<TaskAffinity> affinity = task_affinity(comparison);
  write_file_atomically(folder / "comparison.md",
                        fmt::format("{}\n{}{}\n{}\n{}",
                                    summary.markdown(),
                                    left_out.empty() ? "" : left_out + "\n",
                                    affinity_text(affinity),
                                    differences.markdown(),
                                    all.markdown()));
  write_file_atomically(
      folder / "comparison.json",
      fmt::format(
          "{{\"summary\": {},\n\"affinity\": {},\n\"differences\": {},\n\"metrics\": {}}}\n",
          summary.json(),
          affinity ? affinity_table(*affinity).json() : "null",
          differences.json(),
          all.json()));
  HtmlReport page = comparison.report(folder.filename().string());
  if (affinity) {
    page.add_section("Affinity");
    page.add_table(affinity_table(*affinity),
                   "Change of the row's main metric when it trains with the column's task. "
                   "Recommended groups: " +
                       groups_text(*affinity));
  }
  if (!left_out.empty()) page.add_text("jobs without scores", left_out, true);
  page.write(folder / "comparison.html");
  std::printf("%s\n%s%s\n",
              summary.text().c_str(),
              affinity ? ("Recommended groups: " + groups_text(*affinity) + "\n").c_str() : "",
              (folder / "comparison.html").c_str());
}

std::string arm_of(const StudyJob& job) { return job.resolved.string_or("study.arm", ""); }

}  // namespace

void check_study(const std::vector<StudyJob>& jobs) {
  std::vector<std::string> arms, references;
  const auto add = [](std::vector<std::string>& words, const std::string& word) {
    if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end())
      words.push_back(word);
  };
  for (const StudyJob& job : jobs) {
    add(arms, arm_of(job));
    add(references, job.resolved.string_or("study.reference", ""));
  }
  if (arms.empty()) return;
  if (references.size() > 1)
    throw ConfigError("schema",
                      fmt::format("study.reference: expected the same arm in every job, got {}",
                                  join(references)));
  const std::string reference = references.empty() ? StudyConfig{}.reference : references.front();
  if (std::find(arms.begin(), arms.end(), reference) != arms.end()) return;
  const std::string meant = did_you_mean(reference, arms);
  const std::string message =
      fmt::format("study.reference: no job of the sweep has the arm '{}'{} Arms: {}",
                  reference,
                  meant.empty() ? "." : meant,
                  join(arms));
  if (!references.empty()) throw ConfigError("schema", message);
  TRIPTYCH_LOG(warning, "{}; nothing will be compared with it", message);
}

void write_study_report(const fs::path& folder, const std::vector<StudyJob>& jobs) {
  std::vector<ArmRun> runs;
  std::string reference, left_out;
  bool any = false;
  for (const StudyJob& job : jobs) {
    const std::string arm = arm_of(job);
    any = any || !arm.empty();
    if (reference.empty()) reference = job.resolved.string_or("study.reference", "");
    if (!arm.empty() && fs::exists(job.folder / "test.json"))
      runs.push_back(read_run(job, arm));
    else
      left_out += fmt::format("Left out: {}, {}\n",
                              job.folder.string(),
                              arm.empty() ? "which names no arm (study.arm)"
                                          : fmt::format("arm '{}', which has no scores", arm));
  }
  if (!any) return;
  if (runs.empty()) {
    TRIPTYCH_LOG(warning, "no job has a test.json to compare; set trainer.test=true");
    return;
  }
  if (reference.empty()) reference = StudyConfig{}.reference;
  write_comparison(folder, ArmComparison(std::move(runs), reference), left_out);
  std::printf("%s", left_out.c_str());
}

}  // namespace triptych::app
