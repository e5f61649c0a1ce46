// SPDX-License-Identifier: Apache-2.0
#include "framework/app/training_job.h"

#include "framework/app/initialised_record.h"
#include "framework/app/run_files.h"
#include "framework/app/run_observer.h"
#include "framework/app/test_record.h"
#include "framework/config/interpolation.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/core/torch_compat.h"
#include "framework/learn/trainer.h"
#include "framework/report/html_report.h"
#include "framework/report/machine.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

/// The complete configuration, every value with its origin. Text that looks like an interpolation
/// is escaped: it was resolved once and must not be again when the file is composed.
void write_resolved(const fs::path& folder, const config::Node& resolved) {
  write_file_atomically(
      folder / "resolved.yaml",
      config::to_yaml(config::escape_interpolations(resolved), {.origins = true}));
}

/// All faults of all data sets at once, before the first step.
void verify_datasets(const Experiment& experiment) {
  std::vector<std::string> faults;
  for (const auto& [name, node] : experiment.config().datasets) {
    for (const std::string& fault : experiment.dataset(name)->verify()) faults.push_back(fault);
  }
  if (faults.empty()) return;
  constexpr std::size_t kShown = 50;
  std::string text =
      fmt::format("{} {} in the data:", faults.size(), faults.size() == 1 ? "fault" : "faults");
  for (std::size_t i = 0; i < std::min(faults.size(), kShown); ++i) text += "\n" + faults[i];
  if (faults.size() > kShown) text += fmt::format("\nand {} more", faults.size() - kShown);
  throw data_error(
      text, "mend or leave out these files, or correct the data set's keys; nothing was trained");
}

std::string steps_text(const TrainingOutcome& outcome) {
  const std::string here = fmt::format("{} optimiser steps in {}",
                                       outcome.step - outcome.first_step,
                                       duration_text(outcome.seconds));
  return outcome.first_step == 0
             ? here
             : fmt::format(
                   "{}, continued from step {} to {}", here, outcome.first_step, outcome.step);
}

/// The folder and the one above it: 2026-01-31/12-30-00.
std::string folder_title(const fs::path& folder) {
  fs::path full = fs::absolute(folder).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();
  return (full.parent_path().filename() / full.filename()).string();
}

void write_report(const fs::path& folder,
                  const TrainingOutcome& outcome,
                  const RunObserver& observer) {
  HtmlReport report(folder_title(folder), steps_text(outcome));
  report.add_section("Curves");
  for (const auto& [name, svg] : observer.charts()) report.add_chart(svg, name);
  if (!observer.last_validation().empty()) {
    report.add_section("Last validation");
    Table table({"metric", "value"}, 4);
    for (const auto& [name, value] : observer.last_validation()) table.add_row({name, value});
    report.add_table(table);
    for (const auto& [place, picture] : observer.last_pictures()) {
      report.add_picture(picture, fmt::format("{}: {}", place.first, place.second));
    }
  }
  report.add_section("Record");
  report.add_text("resolved configuration", read_file(folder / "resolved.yaml"));
  report.add_text("run.json", read_file(folder / "run.json"));
  report.write(folder / "report.html");
}

RunSetup run_setup(const CommandLine& command,
                   const Experiment& experiment,
                   const std::string& resolved_text) {
  RunSetup setup;
  setup.build = build_record();
  setup.command_line = command.program_words;
  setup.device = device_text(experiment.device());
  setup.threads = num_threads();
  setup.seed = static_cast<std::uint64_t>(experiment.config().seed);
  setup.config_sha256 = sha256(resolved_text);
  if (!experiment.config().initialise.empty())
    setup.parent_run = experiment.config().initialise.front().run;
  return setup;
}

std::string outcome_text(const TrainingOutcome& outcome) {
  std::string text = steps_text(outcome);
  if (outcome.best_step >= 0)
    text += fmt::format(
        ", best {} {:.4f} at step {}", outcome.best_name, outcome.best_value, outcome.best_step);
  return text + fmt::format(", {:.2f} % of the time waiting for the loader",
                            100.0 * outcome.wait_fraction);
}

/// What a comparison of costs needs, whether or not the training was interrupted.
void note_cost(RunRecord& record, const TrainingOutcome& outcome, double processor_seconds) {
  const auto steps = static_cast<double>(outcome.step - outcome.first_step);
  if (steps == 0.0) return;
  record.note("seconds_per_step", fmt::format("{:.4g}", outcome.seconds / steps));
  record.note("processor_seconds_per_step", fmt::format("{:.4g}", processor_seconds / steps));
}

/// Empty when a stop was requested on the way.
std::string tested(Experiment& experiment) {
  const std::vector<SampleScore> scores = score_test_samples(experiment);
  return scores.empty() ? "" : test_record(experiment, scores);
}

int finish_run(const fs::path& folder,
               Experiment& experiment,
               RunRecord& record,
               RunObserver& observer,
               TrainingOutcome outcome) {
  observer.finish();
  for (const char* name : {"metrics.jsonl", "metrics.csv", "checkpoints/best", "checkpoints/last"})
    if (fs::exists(folder / name)) record.add_output(folder / name);
  TRIPTYCH_LOG(info, "{}", outcome_text(outcome));
  if (outcome.stop_signal == 0 && experiment.config().trainer.test) {
    if (const std::string scores = tested(experiment); scores.empty())
      outcome.stop_signal = stop_requested();
    else
      write_file_atomically(folder / "test.json", scores);
  }
  if (outcome.stop_signal != 0) {
    const int code = stop_exit_code(outcome.stop_signal);
    record.finish(RunStatus::kStopped, code, "stopped by a signal");
    TRIPTYCH_LOG(info,
                 "stopped with a checkpoint; continue with: triptych train resume={}",
                 folder.string());
    return code;
  }
  record.note("weights_sha256", weights_checksum(folder / "checkpoints" / "last"));
  if (fs::exists(folder / "test.json")) record.add_output(folder / "test.json");
  record.add_output(folder / "report.html");
  record.finish(RunStatus::kDone, 0);
  write_report(folder, outcome, observer);
  std::printf("%s\n", folder.c_str());
  return 0;
}

/// What failed is what the user has to read, even where the record cannot be written either.
void note_failure(RunRecord& record, const std::exception& error) {
  try {
    record.finish(RunStatus::kFailed, 1, message_without_backtrace(error));
  } catch (const Error& unwritten) {
    TRIPTYCH_LOG(warning, "{}", unwritten.what());
  }
}

}  // namespace

void check_holds_no_run(const fs::path& folder) {
  for (const char* name : {"last", "best"}) {
    if (!recover_checkpoint(folder / "checkpoints" / name)) continue;
    throw usage_error(
        fmt::format(
            "hydra.run.dir: '{}' holds a run already (checkpoints/{})", folder.string(), name),
        fmt::format("continue it with resume={}, name another folder, or remove this one",
                    folder.string()));
  }
}

int run_training(const CommandLine& command,
                 const config::Node& resolved,
                 const fs::path& folder,
                 bool resume) {
  Experiment::check(resolved);
  apply_threads(resolved.int_or("threads", 0));
  fs::create_directories(folder);
  log::set_file(folder / "train.log");
  Experiment experiment(resolved, true);
  verify_datasets(experiment);
  if (!resume) write_resolved(folder, resolved);

  RunRecord record(folder / "run.json",
                   run_setup(command, experiment, read_file(folder / "resolved.yaml")),
                   resume);
  try {
    std::optional<std::int64_t> resume_step;
    if (resume) resume_step = read_train_state(folder / "checkpoints" / "last").step;
    if (!resume) initialise_run(experiment, folder, record);
    RunObserver observer(folder, resume_step);
    Trainer trainer(experiment, folder, &observer);
    if (resume) TRIPTYCH_LOG(info, "continuing {} at step {}", folder.string(), trainer.resume());
    const double before = processor_seconds();
    const TrainingOutcome outcome = trainer.run();
    note_cost(record, outcome, processor_seconds() - before);
    return finish_run(folder, experiment, record, observer, outcome);
  } catch (const std::exception& error) {
    note_failure(record, error);
    throw;
  }
}

}  // namespace triptych::app
