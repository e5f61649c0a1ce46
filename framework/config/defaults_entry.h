// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/config_repository.h"

#include <optional>
#include <string>

namespace triptych::config {

/// An entry of a defaults list at its place in the tree: knows where its list stands, so it knows
/// its file, its package and the key that overrides it.
struct DefaultsEntry {
  DefaultsItem item;
  std::string parent_directory;  ///< group of the file that lists it
  std::string parent_package;
  std::optional<std::string> header;  ///< package of the file's header, made absolute
  bool primary = false;
  bool deleted = false;

  bool is_self() const { return item.kind == DefaultsItem::Kind::kSelf; }
  bool is_group() const { return item.kind == DefaultsItem::Kind::kGroup; }
  /// Hangs the entry below a file.
  void set_parent(const std::string& directory, const std::string& package);
  /// Remembers the header of the entry's own file; it counts from the root.
  void set_header(const std::optional<std::string>& package);

  /// Option or last part of the path; nothing for a null choice.
  std::optional<std::string> name() const;
  bool is_missing() const { return name() == "???"; }
  bool is_interpolation() const;
  /// `group/option` from the configuration root.
  std::string config_path() const;
  /// Folder of the file from the configuration root.
  std::string group_path() const;
  /// Where the file's content goes ("" is the top).
  std::string package(bool use_header = true) const;
  /// `group` or `group@package` if the package is not the group's own.
  std::string override_key() const;

 private:
  bool is_absolute() const { return item.path.starts_with('/') || item.appended; }
  std::string written_path() const;
  std::string written_group() const;
};

}  // namespace triptych::config
