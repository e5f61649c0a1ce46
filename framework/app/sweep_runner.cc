// SPDX-License-Identifier: Apache-2.0
#include "framework/app/sweep_runner.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "framework/app/engine.h"
#include "framework/app/training_job.h"
#include "framework/config/run_layout.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/core/stop.h"
#include "framework/core/suggest.h"
#include "framework/learn/experiment.h"
#include "framework/learn/checkpoint.h"
#include "framework/report/table.h"

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

struct Job {
  std::string words;
  fs::path folder;
  int exit_code = -1;
};

nlohmann::json read_json(const fs::path& path) {
  return fs::exists(path) ? nlohmann::json::parse(read_file(path), nullptr, false) : nlohmann::json();
}

bool is_done(const fs::path& folder) {
  const nlohmann::json record = read_json(folder / "run.json");
  return record.is_object() && record.value("status", "") == "done";
}

/// Starts a job in a child process; LibTorch has no threads yet, so forking is safe.
pid_t start(const CommandLine& command, config::SweepJob& job, const fs::path& folder) {
  const pid_t child = ::fork();
  if (child < 0) throw io_error("a job could not be started: no more processes");
  if (child > 0) return child;
  const int code = guarded([&] {
    if (fs::exists(folder / "resolved.yaml") && recover_checkpoint(folder / "checkpoints" / "last")) {
      return run_training(command, config::read_yaml_file((folder / "resolved.yaml").string()), folder, true);
    }
    const config::Node resolved = config::resolve(job.composition);
    config::write_run_files(job.composition, folder);
    return run_training(command, resolved, folder, false);
  });
  std::fflush(nullptr);
  ::_exit(code);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

Table results(const std::vector<Job>& jobs) {
  std::vector<std::map<std::string, double>> values(jobs.size());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const nlohmann::json result = read_json(jobs[i].folder / "result.json");
    if (!result.is_object()) continue;
    for (const auto& [name, value] : result.items()) {
      if (!value.is_number()) continue;
      values[i][name] = value.get<double>();
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::string> columns = {"job", "overrides", "exit"};
  columns.insert(columns.end(), names.begin(), names.end());
  Table table(columns, 4);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::vector<Table::Cell> row = {static_cast<std::int64_t>(i), jobs[i].words, static_cast<std::int64_t>(jobs[i].exit_code)};
    for (const std::string& name : names) {
      row.push_back(values[i].contains(name) ? Table::Cell(values[i].at(name)) : Table::Cell());
    }
    table.add_row(std::move(row));
  }
  return table;
}

void collect(std::map<pid_t, std::size_t>& running, std::vector<Job>& jobs) {
  int status = 0;
  const pid_t ended = ::wait(&status);
  if (ended < 0) return;
  const std::size_t index = running.at(ended);
  running.erase(ended);
  jobs[index].exit_code = exit_code_of(status);
  TRIPTYCH_LOG(info, "job {} ended with exit code {}: {}", index, jobs[index].exit_code, jobs[index].words);
}

}  // namespace

int run_sweep(const CommandLine& command, const config::ComposeRequest& request) {
  config::SweepPlan plan = config::compose_sweep(request);
  std::vector<config::SweepJob>& sweep = plan.jobs;
  for (const config::SweepJob& job : sweep) Experiment::check(config::resolve(job.composition));
  const fs::path folder = config::sweep_directory(plan.master);
  config::write_multirun_file(plan.master, folder);

  std::vector<Job> jobs;
  for (const config::SweepJob& job : sweep) jobs.push_back({join(job.overrides, " ", ""), config::job_directory(job)});
  std::map<pid_t, std::size_t> running;
  for (std::size_t i = 0; i < sweep.size() && stop_requested() == 0; ++i) {
    if (is_done(jobs[i].folder)) {
      jobs[i].exit_code = 0;
      TRIPTYCH_LOG(info, "job {} was done before: {}", i, jobs[i].words);
      continue;
    }
    while (static_cast<int>(running.size()) >= command.jobs) collect(running, jobs);
    TRIPTYCH_LOG(info, "job {} of {} starts: {}", i, sweep.size(), jobs[i].words);
    running[start(command, sweep[i], jobs[i].folder)] = i;
  }
  while (!running.empty()) collect(running, jobs);

  const Table table = results(jobs);
  write_file_atomically(folder / "results.json", table.json() + "\n");
  write_file_atomically(folder / "results.md", table.markdown());
  std::printf("%s\n%s\n", table.text().c_str(), folder.c_str());
  if (const int signal = stop_requested()) return stop_exit_code(signal);
  const bool all_done = std::all_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.exit_code == 0; });
  return all_done ? 0 : 1;
}

}  // namespace triptych::app
