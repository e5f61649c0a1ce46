// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace triptych {

/// Remembers what was found out about files, so that a second run need not read them all again. A
/// fact holds as long as the file's size and time of change stay. Thread-safe.
class FileFacts {
 public:
  /// `store` is the file that keeps the facts between runs; a missing or unreadable one is an empty
  /// one.
  explicit FileFacts(std::filesystem::path store);

  /// `$XDG_CACHE_HOME/triptych`, else `$HOME/.cache/triptych`, else `.cache/triptych`.
  static std::filesystem::path cache_folder();

  /// `question` names what was asked, e.g. "intensity 0.5 99.9".
  std::optional<std::string> find(const std::string& location, const std::string& question) const;
  void remember(const std::string& location,
                const std::string& question,
                const std::string& answer);

  /// Writes the store when something is new: merged with what other processes wrote meanwhile,
  /// atomically. Never throws for a folder that cannot be written to; that only costs time at the
  /// next start, and is logged.
  void save();

 private:
  using Facts =
      std::map<std::string, std::string>;  ///< "location<tab>size<tab>time<tab>question" -> answer
  static Facts load(const std::filesystem::path& store);

  std::filesystem::path store_;
  mutable std::mutex mutex_;
  Facts facts_;
  Facts fresh_;
};

}  // namespace triptych
