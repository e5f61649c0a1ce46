// SPDX-License-Identifier: Apache-2.0
#include "framework/app/sweep_runner.h"

#include "framework/app/engine.h"
#include "framework/app/run_files.h"
#include "framework/app/study_report.h"
#include "framework/app/training_job.h"
#include "framework/config/run_layout.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/folder_lock.h"
#include "framework/core/log.h"
#include "framework/core/stop.h"
#include "framework/core/suggest.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/experiment.h"
#include "framework/report/table.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

struct Job {
  std::string words;  ///< in which it differs from the other jobs
  fs::path folder;
  int exit_code = -1;  ///< negative: not started
};

nlohmann::json read_json(const fs::path& path) {
  return fs::exists(path) ? nlohmann::json::parse(read_file(path), nullptr, false)
                          : nlohmann::json();
}

bool is_done(const fs::path& folder) {
  const nlohmann::json record = read_json(folder / "run.json");
  return record.is_object() && record.value("status", "") == "done";
}

int run_job(const CommandLine& command, config::SweepJob& job, const fs::path& folder) {
  const FolderLock lock(folder);
  if (fs::exists(folder / "resolved.yaml") && recover_checkpoint(folder / "checkpoints" / "last")) {
    return run_training(command, read_resolved(folder), folder, true);
  }
  const config::Node resolved = config::resolve(job.composition);
  config::write_run_files(job.composition, folder);
  return run_training(command, resolved, folder, false);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Jobs that run in processes of their own; a job cannot take the sweep or another job down.
class JobProcesses {
 public:
  explicit JobProcesses(std::vector<Job>& jobs) : jobs_(jobs) {}

  std::size_t running() const { return running_.size(); }

  /// LibTorch has no threads yet, so forking is safe. The job dies with the sweep: two sweeps never
  /// write one folder.
  void start(std::size_t index, const std::function<int()>& work) {
    const pid_t sweep = ::getpid();
    const pid_t child = ::fork();
    if (child < 0)
      throw io_error(fmt::format("job {} could not be started: {}", index, std::strerror(errno)));
    if (child > 0) {
      running_[child] = index;
      return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != sweep) ::_exit(1);
    const int code = guarded(work);
    std::fflush(nullptr);
    ::_exit(code);
  }

  /// Waits for one job. A signal to the sweep is passed on, so that every job saves and stops.
  void wait_for_one() {
    constexpr std::chrono::milliseconds kPause(20);
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) == 0) {
      if (stop_requested() != 0) stop_all();
      std::this_thread::sleep_for(kPause);
    }
    const auto found = running_.find(ended);
    if (found == running_.end())
      throw io_error(fmt::format("waiting for a job failed: {}", std::strerror(errno)));
    Job& job = jobs_[found->second];
    job.exit_code = exit_code_of(status);
    TRIPTYCH_LOG(
        info, "job {} ended with exit code {}: {}", found->second, job.exit_code, job.words);
    running_.erase(found);
  }

 private:
  void stop_all() {
    if (stopping_) return;
    stopping_ = true;
    for (const auto& [process, index] : running_) ::kill(process, SIGTERM);
  }

  std::vector<Job>& jobs_;
  std::map<pid_t, std::size_t> running_;
  bool stopping_ = false;
};

/// The words in which the jobs of a sweep differ; all words where there is one job only.
std::string swept_words(const std::vector<config::SweepJob>& sweep, std::size_t index) {
  const std::vector<std::string>& words = sweep[index].overrides;
  std::vector<std::string> swept;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto same = [&](const config::SweepJob& job) {
      return i < job.overrides.size() && job.overrides[i] == words[i];
    };
    if (sweep.size() == 1 || !std::all_of(sweep.begin(), sweep.end(), same))
      swept.push_back(words[i]);
  }
  return join(swept, " ", "");
}

std::vector<Job> planned_jobs(const std::vector<config::SweepJob>& sweep) {
  std::vector<Job> jobs;
  std::map<fs::path, std::size_t> folders;
  for (const config::SweepJob& job : sweep) {
    const fs::path folder = config::job_directory(job);
    const auto [known, added] = folders.emplace(folder.lexically_normal(), jobs.size());
    if (!added) {
      throw ConfigError(
          "schema",
          fmt::format("hydra.sweep.subdir: jobs {} and {} would both write '{}'",
                      known->second,
                      jobs.size(),
                      folder.string()),
          "the subfolder has to differ, as ${hydra.job.num} and ${hydra.job.override_dirname} do");
    }
    config::check_same_words(job, folder);
    jobs.push_back({swept_words(sweep, jobs.size()), folder});
  }
  return jobs;
}

/// Every finite value of every job's last validation.
Table results(const std::vector<Job>& jobs, const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::map<std::string, double>> values(jobs.size());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const nlohmann::json result = read_json(jobs[i].folder / "result.json");
    if (!result.is_object()) continue;
    for (const auto& [name, value] : result.items()) {
      if (!value.is_number() || !wanted(name)) continue;
      values[i][name] = value.get<double>();
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::string> columns = {"job", "overrides", "exit"};
  columns.insert(columns.end(), names.begin(), names.end());
  Table table(columns, 4);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const bool started = jobs[i].exit_code >= 0;
    std::vector<Table::Cell> row = {
        static_cast<std::int64_t>(i),
        jobs[i].words,
        started ? Table::Cell(static_cast<std::int64_t>(jobs[i].exit_code)) : Table::Cell()};
    for (const std::string& name : names) {
      row.push_back(values[i].contains(name) ? Table::Cell(values[i].at(name)) : Table::Cell());
    }
    table.add_row(std::move(row));
  }
  return table;
}

void write_results(const fs::path& folder, const std::vector<Job>& jobs) {
  const Table table = results(jobs, [](const std::string&) { return true; });
  write_file_atomically(folder / "results.json", table.json() + "\n");
  write_file_atomically(folder / "results.md", table.markdown());
  const Table brief = results(
      jobs, [](const std::string& name) { return name == "monitor" || name == "loss/val"; });
  std::printf("%s\n%s\n", brief.text().c_str(), folder.c_str());
}

}  // namespace

int run_sweep(const CommandLine& command, const config::ComposeRequest& request) {
  config::SweepPlan plan = config::compose_sweep(request);
  std::vector<config::SweepJob>& sweep = plan.jobs;
  if (sweep.empty())
    throw usage_error("the sweep has no job: a swept range is empty",
                      "range(start,stop) ends before stop");
  std::vector<StudyJob> study;
  for (const config::SweepJob& job : sweep) {
    study.push_back({config::resolve(job.composition), {}});
    Experiment::check(study.back().resolved);
  }
  check_study(study);
  const fs::path folder = config::sweep_directory(plan.master);
  std::vector<Job> jobs = planned_jobs(sweep);
  for (std::size_t i = 0; i < jobs.size(); ++i) study[i].folder = jobs[i].folder;
  config::write_multirun_file(plan.master, folder);

  JobProcesses processes(jobs);
  for (std::size_t i = 0; i < sweep.size(); ++i) {
    if (is_done(jobs[i].folder)) {
      jobs[i].exit_code = 0;
      TRIPTYCH_LOG(info, "job {} was done before: {}", i, jobs[i].words);
      continue;
    }
    while (processes.running() >= static_cast<std::size_t>(command.jobs)) processes.wait_for_one();
    if (stop_requested() != 0) break;
    TRIPTYCH_LOG(info, "job {} of {} starts: {}", i, sweep.size(), jobs[i].words);
    processes.start(i, [&] { return run_job(command, sweep[i], jobs[i].folder); });
  }
  while (processes.running() > 0) processes.wait_for_one();

  write_results(folder, jobs);
  write_study_report(folder, study);
  if (const int signal = stop_requested()) return stop_exit_code(signal);
  const bool all_done =
      std::all_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.exit_code == 0; });
  return all_done ? 0 : 1;
}

}  // namespace triptych::app
