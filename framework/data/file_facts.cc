// SPDX-License-Identifier: Apache-2.0
#include "framework/data/file_facts.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/log.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace triptych {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeader = "triptych file facts 1";

struct Stamp {
  std::uintmax_t size = 0;
  std::int64_t time = 0;
};

void add_file(const fs::path& file, Stamp& stamp) {
  std::error_code failure;
  const auto size = fs::file_size(file, failure);
  if (!failure) stamp.size += size;
  const auto time = fs::last_write_time(file, failure);
  if (!failure)
    stamp.time = std::max(stamp.time, static_cast<std::int64_t>(time.time_since_epoch().count()));
}

/// Size and time of a file, summed up over the slices of a folder; a `:/dataset` behind an HDF5
/// file does not count.
Stamp stamp_of(const std::string& location) {
  const auto colon = location.find(":/");
  const fs::path path = colon == std::string::npos ? location : location.substr(0, colon);
  Stamp stamp;
  std::error_code failure;
  if (fs::is_directory(path, failure)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path, failure))
      add_file(entry.path(), stamp);
  } else {
    add_file(path, stamp);
    // Headers whose voxels lie beside them (.mhd + .raw): a change of either counts.
    for (const char* extension : {".raw", ".zraw", ".img"}) {
      fs::path beside = path;
      beside.replace_extension(extension);
      if (beside != path && fs::exists(beside, failure)) add_file(beside, stamp);
    }
  }
  return stamp;
}

std::string key_of(const std::string& location, const std::string& question) {
  const Stamp stamp = stamp_of(location);
  std::error_code failure;
  const fs::path absolute = fs::absolute(location, failure).lexically_normal();
  return fmt::format("{}\t{}\t{}\t{}", absolute.string(), stamp.size, stamp.time, question);
}

}  // namespace

FileFacts::FileFacts(fs::path store) : store_(std::move(store)), facts_(load(store_)) {}

fs::path FileFacts::cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return fs::path(cache) / "triptych";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home) / ".cache" / "triptych";
  return fs::path(".cache") / "triptych";
}

FileFacts::Facts FileFacts::load(const fs::path& store) {
  Facts facts;
  std::error_code failure;
  if (!fs::exists(store, failure)) return facts;
  std::string text;
  try {
    text = read_file(store);
  } catch (const Error&) {
    return facts;
  }
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kHeader) return facts;  // another version: start anew
  while (std::getline(lines, line)) {
    const auto tab = line.rfind('\t');
    if (tab != std::string::npos && std::count(line.begin(), line.end(), '\t') == 4)
      facts[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return facts;
}

std::optional<std::string> FileFacts::find(const std::string& location,
                                           const std::string& question) const {
  const std::string key = key_of(location, question);
  const std::scoped_lock lock(mutex_);
  const auto found = facts_.find(key);
  if (found == facts_.end()) return std::nullopt;
  return found->second;
}

void FileFacts::remember(const std::string& location,
                         const std::string& question,
                         const std::string& answer) {
  if (location.find_first_of("\t\n") != std::string::npos) return;  // would break the store's lines
  const std::string key = key_of(location, question);
  const std::scoped_lock lock(mutex_);
  facts_[key] = answer;
  fresh_[key] = answer;
}

void FileFacts::save() {
  const std::scoped_lock lock(mutex_);
  if (fresh_.empty()) return;
  constexpr std::size_t kLargest = 100000;
  try {
    Facts merged = load(store_);
    if (merged.size() > kLargest) merged.clear();  // a cache may forget; it must not grow for ever
    for (const auto& [key, answer] : fresh_) merged[key] = answer;
    std::string text = std::string(kHeader) + "\n";
    for (const auto& [key, answer] : merged) text += key + "\t" + answer + "\n";
    write_file_atomically(store_, text);
    fresh_.clear();
  } catch (const std::exception& error) {
    TRIPTYCH_LOG(warning,
                 "what was found out about the files is not kept for the next run: {}",
                 error.what());
  }
}

}  // namespace triptych
