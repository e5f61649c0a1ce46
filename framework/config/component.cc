// SPDX-License-Identifier: Apache-2.0
#include "framework/config/component.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cstring>

namespace triptych::config {
namespace {

std::vector<const AnyRegistry*>& registries() {
  static std::vector<const AnyRegistry*> list;
  return list;
}

bool good_name(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto fits = [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && lower(name.front()) && std::all_of(name.begin(), name.end(), fits);
}

std::string relative_file(const std::source_location& where) {
  std::string file = where.file_name();
#ifdef TRIPTYCH_SOURCE_DIR
  const std::string root = std::string(TRIPTYCH_SOURCE_DIR) + "/";
  if (file.starts_with(root)) file.erase(0, root.size());
#endif
  return file;
}

std::string place_of(const std::source_location& where) {
  return fmt::format("{}:{}", relative_file(where), where.line());
}

}  // namespace

AnyRegistry::AnyRegistry(std::string kind) : kind_(std::move(kind)) {
  registries().push_back(this);
}

std::vector<const AnyRegistry*> AnyRegistry::all() {
  std::vector<const AnyRegistry*> sorted = registries();
  std::sort(sorted.begin(), sorted.end(), [](const AnyRegistry* a, const AnyRegistry* b) {
    return a->kind() < b->kind();
  });
  return sorted;
}

const AnyRegistry* AnyRegistry::of_kind(std::string_view kind) {
  for (const AnyRegistry* registry : registries()) {
    if (registry->kind() == kind) return registry;
  }
  return nullptr;
}

std::vector<std::string> AnyRegistry::names() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; info(i) != nullptr; ++i) names.push_back(info(i)->name);
  std::sort(names.begin(), names.end());
  return names;
}

std::size_t AnyRegistry::index_of(std::string_view name) const {
  std::size_t i = 0;
  while (info(i) != nullptr && info(i)->name != name) ++i;
  return i;
}

bool AnyRegistry::contains(std::string_view name) const { return info(index_of(name)) != nullptr; }

bool AnyRegistry::accept(std::string_view name, const std::source_location& where) {
  if (!good_name(name)) {
    mistakes_.push_back(fmt::format(
        "{}: name '{}' of a {} must match [a-z][a-z0-9_]*", place_of(where), name, kind_));
    return false;
  }
  const ComponentInfo* other = info(index_of(name));
  if (other == nullptr) return true;
  mistakes_.push_back(fmt::format("{}: {} '{}' is registered already at {}",
                                  place_of(where),
                                  kind_,
                                  name,
                                  place_of(other->where)));
  return false;
}

std::string AnyRegistry::name_problem(const Node& config) const {
  const std::string available = fmt::format("Registered: {}", join(names()));
  if (!config.is_map()) {
    return fmt::format("expects the configuration of a {}, a map with key 'name', got {}. {}",
                       kind_,
                       config.brief(),
                       available);
  }
  const Node* name = config.child("name");
  if (name == nullptr || name->is_missing() || name->is_null()) {
    return fmt::format("missing required 'name' of a {}. {}", kind_, available);
  }
  if (!name->is_string()) {
    return fmt::format("'name' of a {} expects text, got {}. {}", kind_, name->brief(), available);
  }
  if (contains(name->as_string())) return "";
  const std::string nearest_name = did_you_mean(name->as_string(), names());
  return fmt::format("no {} is called '{}'{} {}{}",
                     kind_,
                     name->as_string(),
                     nearest_name.empty() ? "." : nearest_name,
                     available,
                     nearest_name.empty() ? "; one of your own has to be registered in its .cc and "
                                            "built into this program"
                                          : "");
}

std::size_t AnyRegistry::chosen(const Node& config) const {
  const std::string problem = name_problem(config);
  if (problem.empty()) return index_of(config.child("name")->as_string());
  const Node* name = config.child("name");
  const Mark mark = name != nullptr ? name->mark() : config.mark();
  throw ConfigError("schema", fmt::format("{}: {}", mark.text(), problem));
}

void AnyRegistry::check(const Node& config, Problems& problems) const {
  const std::string problem = name_problem(config);
  if (problem.empty()) return info(chosen(config))->check(config, problems);
  const Node* name = config.child("name");
  const std::string path = problems.path_of("");
  problems.add_at(name != nullptr ? name->mark() : config.mark(),
                  path.empty() ? problem : fmt::format("'{}': {}", path, problem));
}

std::vector<FieldInfo> AnyRegistry::describe(std::string_view name) const {
  const ComponentInfo* component = info(index_of(name));
  if (component != nullptr) return component->describe();
  throw ConfigError("usage",
                    fmt::format("no {} is called '{}'{} Registered: {}",
                                kind_,
                                name,
                                did_you_mean(name, names()),
                                join(names())));
}

std::string AnyRegistry::source_file(std::string_view name) const {
  const ComponentInfo* component = info(index_of(name));
  return component == nullptr ? "" : relative_file(component->where);
}

}  // namespace triptych::config
