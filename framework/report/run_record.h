// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// What the program knows about its own build.
struct BuildRecord {
  std::string version = {};
  std::string git_commit = {};  ///< empty outside a repository
  bool git_dirty = false;       ///< built from a tree with changes that no commit holds
  std::string build_type = {};
  std::string compiler = {};
  std::map<std::string, std::string> libraries = {};  ///< name -> version
};

/// What is known about a run before its work begins.
struct RunSetup {
  BuildRecord build = {};
  std::vector<std::string> command_line = {};
  std::string device = "cpu";
  int threads = 1;
  bool deterministic = true;
  std::uint64_t seed = 0;
  std::string config_sha256 = {};  ///< of the resolved configuration
  std::string parent_run = {};  ///< the run this one was fine-tuned from or repeats; empty if none
};

enum class RunStatus { kRunning, kDone, kFailed, kStopped };

/// `run.json`: where, when, with what and from which data a run's results came.
///
/// The file is replaced as a whole at every write, so that a reader never sees half of it. A killed
/// process leaves the status "running"; a record that goes out of scope unfinished (an exception
/// passes) says "failed". Times are RFC 3339 in UTC, sizes bytes.
class RunRecord {
 public:
  static constexpr int kSchemaVersion = 1;

  /// Writes the file with the status "running". With `resume`, the attempt that an existing file
  /// describes moves into its list `earlier_attempts`, and data files and outputs are kept.
  RunRecord(std::filesystem::path path, const RunSetup& setup, bool resume = false);
  ~RunRecord();
  RunRecord(const RunRecord&) = delete;
  RunRecord& operator=(const RunRecord&) = delete;

  /// Records size and modification time of a data file, and its SHA-256 if it was computed (else
  /// empty).
  void add_data_file(const std::string& dataset,
                     const std::filesystem::path& file,
                     const std::string& sha256 = "");
  /// Records a result, relative to the folder of run.json if it lies in there. Twice the same is
  /// recorded once.
  void add_output(const std::filesystem::path& file);
  /// A free remark, such as the names of the GPUs; the last value of a key stays.
  void note(const std::string& key, const std::string& value);
  /// Brings the file up to date, peak memory included.
  void write();
  /// The last write: status, end, exit code, and why it ended where that needs words.
  void finish(RunStatus status, int exit_code, const std::string& message = "");

  std::string json() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Content;
  std::filesystem::path path_;
  std::unique_ptr<Content> content_;
};

/// "2026-03-01T12:00:00.250Z".
std::string rfc3339(double seconds_since_1970);

}  // namespace triptych
