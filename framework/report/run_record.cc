// SPDX-License-Identifier: Apache-2.0
#include "framework/report/run_record.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/machine.h"

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace triptych {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kStatusNames[] = {"running", "done", "failed", "stopped"};

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string working_folder() {
  std::error_code code;
  const fs::path folder = fs::current_path(code);
  return code ? std::string() : folder.string();
}

Json describe(const BuildRecord& build) {
  return {{"version", text_or_null(build.version)},
          {"git_commit", text_or_null(build.git_commit)},
          {"git_dirty", build.git_dirty},
          {"build_type", text_or_null(build.build_type)},
          {"compiler", text_or_null(build.compiler)},
          {"libraries", build.libraries}};
}

Json describe(const Machine& machine) {
  return {{"hostname", machine.hostname},
          {"operating_system", machine.operating_system},
          {"cpu_model", machine.cpu_model},
          {"logical_cores", machine.logical_cores},
          {"usable_cores", machine.usable_cores},
          {"memory_bytes", machine.memory_bytes}};
}

/// The fields of an attempt that a resumed run would otherwise lose.
Json summary_of_attempt(const Json& record) {
  Json attempt = Json::object();
  for (const char* key :
       {"status", "message", "exit_code", "start", "end", "command_line", "peak_memory_bytes"}) {
    if (record.contains(key)) attempt[key] = record[key];
  }
  if (record.contains("machine") && record["machine"].contains("hostname")) {
    attempt["hostname"] = record["machine"]["hostname"];
  }
  if (record.contains("build") && record["build"].contains("git_commit")) {
    attempt["git_commit"] = record["build"]["git_commit"];
  }
  return attempt;
}

Json read_record(const fs::path& path) {
  Json record = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("schema_version")) {
    throw data_error(
        fmt::format("{}: expected the record of a run, got something else", path.string()),
        "move the file away, or give another run directory");
  }
  return record;
}

/// Relative to `folder` if it lies inside, absolute otherwise.
std::string relative_name(const fs::path& file, const fs::path& folder) {
  const fs::path inside = fs::absolute(file).lexically_normal();
  const fs::path base = fs::absolute(folder).lexically_normal();
  const fs::path relative = inside.lexically_relative(base);
  const bool outside = relative.empty() || *relative.begin() == "..";
  return outside ? inside.string() : relative.string();
}

}  // namespace

struct RunRecord::Content {
  Json record;
  double start = 0;  ///< seconds since 1970
};

RunRecord::RunRecord(fs::path path, const RunSetup& setup, bool resume)
    : path_(std::move(path)), content_(std::make_unique<Content>()) {
  Json previous;
  if (resume && fs::exists(path_)) previous = read_record(path_);
  content_->start = now();
  content_->record = {{"schema_version", kSchemaVersion},
                      {"status", kStatusNames[static_cast<int>(RunStatus::kRunning)]},
                      {"message", nullptr},
                      {"exit_code", nullptr},
                      {"start", rfc3339(content_->start)},
                      {"end", nullptr},
                      {"duration_s", nullptr},
                      {"command_line", setup.command_line},
                      {"working_directory", working_folder()},
                      {"process_id", ::getpid()},
                      {"config_sha256", text_or_null(setup.config_sha256)},
                      {"seed", setup.seed},
                      {"deterministic", setup.deterministic},
                      {"device", setup.device},
                      {"threads", setup.threads},
                      {"parent_run", text_or_null(setup.parent_run)},
                      {"build", describe(setup.build)},
                      {"machine", describe(this_machine())},
                      {"batch_environment", batch_environment()},
                      {"peak_memory_bytes", peak_memory_bytes()},
                      {"notes", Json::object()},
                      {"data_files", Json::array()},
                      {"outputs", Json::array()},
                      {"earlier_attempts", Json::array()}};
  if (previous.is_object()) {
    for (const char* key : {"notes", "data_files", "outputs", "earlier_attempts"}) {
      if (previous.contains(key)) content_->record[key] = previous[key];
    }
    content_->record["earlier_attempts"].push_back(summary_of_attempt(previous));
  }
  write();
}

RunRecord::~RunRecord() {
  if (content_->record["status"] != kStatusNames[static_cast<int>(RunStatus::kRunning)]) return;
  try {
    finish(RunStatus::kFailed, 1, "ended by an error");
  } catch (const std::exception&) {
    // A full disk is a likely reason for being here; the error that is under way says so.
  }
}

void RunRecord::add_data_file(const std::string& dataset,
                              const fs::path& file,
                              const std::string& sha256) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw io_error(
        fmt::format("{}: expected a data file of '{}', got none", file.string(), dataset));
  }
  const double modified = static_cast<double>(status.st_mtim.tv_sec) +
                          1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
  const std::string name = fs::absolute(file).lexically_normal().string();
  Json entry = {{"dataset", dataset},
                {"path", name},
                {"size", status.st_size},
                {"modified", rfc3339(modified)}};
  if (!sha256.empty()) entry["sha256"] = sha256;
  for (Json& known : content_->record["data_files"]) {
    if (known.value("dataset", "") == dataset && known.value("path", "") == name) {
      known = std::move(entry);
      return;
    }
  }
  content_->record["data_files"].push_back(std::move(entry));
}

void RunRecord::add_output(const fs::path& file) {
  const Json name = relative_name(file, path_.parent_path());
  for (const Json& known : content_->record["outputs"]) {
    if (known == name) return;
  }
  content_->record["outputs"].push_back(name);
}

void RunRecord::note(const std::string& key, const std::string& value) {
  content_->record["notes"][key] = value;
}

void RunRecord::write() {
  content_->record["peak_memory_bytes"] = peak_memory_bytes();
  write_file_atomically(path_, json());
}

void RunRecord::finish(RunStatus status, int exit_code, const std::string& message) {
  TRIPTYCH_ASSERT(status != RunStatus::kRunning);
  const double end = now();
  Json& record = content_->record;
  record["status"] = kStatusNames[static_cast<int>(status)];
  record["message"] = text_or_null(message);
  record["exit_code"] = exit_code;
  record["end"] = rfc3339(end);
  record["duration_s"] = std::round(1e3 * (end - content_->start)) / 1e3;
  write();
}

std::string RunRecord::json() const {
  return content_->record.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string rfc3339(double seconds_since_1970) {
  const double milliseconds = std::floor(seconds_since_1970 * 1e3 + 1e-6);
  const auto whole = static_cast<std::time_t>(std::floor(milliseconds / 1e3));
  std::tm utc{};
  ::gmtime_r(&whole, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format(
      "{}.{:03}Z", text.data(), static_cast<int>(milliseconds - 1e3 * static_cast<double>(whole)));
}

}  // namespace triptych
