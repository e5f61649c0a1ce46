// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triptych::config {

/// One entry of a defaults list, as written.
struct DefaultsItem {
  enum class Kind { kSelf, kConfig, kGroup };
  Kind kind = Kind::kSelf;
  std::string path;  ///< group of a kGroup, config of a kConfig; may start with '/'
  std::optional<std::string> package;
  bool optional = false;
  bool overrides = false;  ///< `override group: option`
  bool appended = false;   ///< `+group=option` on the command line
  /// Option of a group; nothing for null.
  std::optional<std::string> option;
  /// `group: [a, b]`
  bool is_list = false;
  std::vector<std::string> options;
  Mark mark;
};

/// A configuration file, taken apart.
struct ConfigFile {
  std::string file;                   ///< for messages
  std::optional<std::string> header;  ///< of `# @package header`
  std::vector<DefaultsItem> defaults;
  Node body;  ///< without the defaults list; a map or a list
};

struct SearchEntry {
  std::filesystem::path directory;
  std::string provider;  ///< who asked for it: "--config-dir", "triptych", ...
};

/// The files of a search path. Configurations go by their path without `.yaml`; the first folder
/// that has one wins. A group is a folder; its options are the files in all folders of that name.
class ConfigRepository {
 public:
  explicit ConfigRepository(std::vector<SearchEntry> search_path);

  const std::vector<SearchEntry>& search_path() const { return search_path_; }
  void append(SearchEntry entry) { search_path_.push_back(std::move(entry)); }

  /// nullptr if there is no such file. Loaded once.
  const ConfigFile* load(const std::string& config);
  bool has_config(const std::string& config) const;
  bool has_group(const std::string& group) const;
  /// Sorted names of the options of a group.
  std::vector<std::string> options(const std::string& group) const;
  /// Sorted names of all groups, nested ones as `a/b`.
  std::vector<std::string> groups() const;
  /// "folder (provider), folder (provider)"
  std::string search_path_text() const;

 private:
  std::optional<std::filesystem::path> find(const std::string& config) const;

  std::vector<SearchEntry> search_path_;
  std::map<std::string, std::unique_ptr<ConfigFile>> loaded_;
};

/// Takes a configuration text apart; errors of category `bad_header`, `bad_defaults_item`, those of
/// parse_yaml and `interpolation_syntax`.
ConfigFile parse_config(std::string_view text, const std::string& file);

}  // namespace triptych::config
