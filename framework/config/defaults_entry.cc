// SPDX-License-Identifier: Apache-2.0
#include "framework/config/defaults_entry.h"

#include <algorithm>

namespace triptych::config {
namespace {

std::string dotted(std::string path) {
  std::replace(path.begin(), path.end(), '/', '.');
  return path;
}

std::string joined(const std::string& a, const std::string& b, char separator) {
  if (a.empty()) return b;
  return b.empty() ? a : a + separator + b;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

void DefaultsEntry::set_parent(const std::string& directory, const std::string& package) {
  parent_directory = directory;
  parent_package = package;
  if (!item.package) return;
  if (*item.package == "_here_") item.package = "";
  const std::string keyword = "_group_";
  const std::size_t at = item.package->find(keyword);
  if (at == std::string::npos) return;
  std::string resolved = *item.package;
  resolved.replace(at, keyword.size(), dotted(group_path()));
  item.package = "_global_." + resolved;
}

void DefaultsEntry::set_header(const std::optional<std::string>& package) {
  if (!package) return;
  const bool absolute = *package == "_global_" || package->starts_with("_global_.");
  header = absolute ? *package : package->empty() ? "_global_" : "_global_." + *package;
}

std::optional<std::string> DefaultsEntry::name() const {
  if (is_group()) return item.option;
  const std::size_t slash = item.path.rfind('/');
  return slash == std::string::npos ? item.path : item.path.substr(slash + 1);
}

bool DefaultsEntry::is_interpolation() const {
  const std::string& text = is_group() ? item.option.value_or("") : item.path;
  return text.find("${") != std::string::npos;
}

std::string DefaultsEntry::written_path() const {
  return item.path.starts_with('/') ? item.path.substr(1) : item.path;
}

std::string DefaultsEntry::written_group() const {
  return is_group() ? written_path() : folder_of(written_path());
}

std::string DefaultsEntry::group_path() const {
  if (is_self()) return parent_directory;
  return is_absolute() ? written_group() : joined(parent_directory, written_group(), '/');
}

std::string DefaultsEntry::config_path() const {
  if (is_group()) return group_path() + "/" + name().value_or("");
  return is_absolute() ? written_path() : joined(parent_directory, written_path(), '/');
}

std::string DefaultsEntry::package(bool use_header) const {
  std::string own;
  if (item.package) {
    own = *item.package;
  } else if (use_header && header) {
    own = *header;
  } else {
    own = dotted(written_group());
  }
  const std::string full = joined(parent_package, own, '.');
  const std::string keyword = "_global_";
  const std::size_t last = full.rfind(keyword);
  if (last == std::string::npos) return full;
  return full.substr(std::min(last + keyword.size() + 1, full.size()));
}

std::string DefaultsEntry::override_key() const {
  const std::string group = group_path();
  const std::string own = package(false);
  if (own == dotted(group)) return group;
  return group + "@" + (own.empty() ? "_global_" : own);
}

}  // namespace triptych::config
