// SPDX-License-Identifier: Apache-2.0
#include "framework/config/defaults_tree.h"

#include "framework/config/defaults_overrides.h"
#include "framework/config/interpolation.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <memory>
#include <set>

namespace triptych::config {
namespace {

/// Deeper than honest configurations nest; ends files that list each other.
constexpr int kDeepest = 50;

struct TreeNode {
  DefaultsEntry entry;
  std::vector<TreeNode> children;
};

class TreeExpander {
 public:
  TreeExpander(ConfigRepository& repository, DefaultsOverrides& overrides, bool skip_missing)
      : repository_(repository), overrides_(overrides), skip_missing_(skip_missing) {}

  TreeNode expand_primary(const std::string& name) {
    TreeNode root;
    root.entry.item.kind = DefaultsItem::Kind::kConfig;
    root.entry.item.path = name;
    root.entry.primary = true;
    expand(root, false);
    return root;
  }

 private:
  void expand(TreeNode& node, bool below_interpolation);
  std::vector<DefaultsItem> items_of(const ConfigFile& file, const DefaultsEntry& entry) const;
  void register_overrides(std::vector<DefaultsEntry>& entries,
                          const DefaultsEntry& parent,
                          bool below_interpolation);
  void expand_entry(DefaultsEntry entry, TreeNode& node, bool below_interpolation);
  void expand_interpolated(TreeNode& child);
  std::string resolved(const std::string& text, Mark mark) const;
  [[noreturn]] void not_found(const DefaultsEntry& entry) const;
  [[noreturn]] void choice_missing(const DefaultsEntry& entry) const;

  ConfigRepository& repository_;
  DefaultsOverrides& overrides_;
  bool skip_missing_;
  int depth_ = 0;
};

void TreeExpander::not_found(const DefaultsEntry& entry) const {
  const std::string path = entry.config_path();
  const std::string searched = "Search path: " + repository_.search_path_text();
  if (entry.primary) {
    const std::vector<std::string> available = repository_.options("");
    throw ConfigError(
        "config_not_found",
        fmt::format("no configuration '{}.yaml'{} Available: {}",
                    path,
                    did_you_mean(path, available).empty() ? "." : did_you_mean(path, available),
                    join(available)),
        searched);
  }
  const std::string asked = entry.item.mark.text();
  const std::string group = entry.group_path();
  const std::vector<std::string> available = repository_.options(group);
  const std::string name = entry.name().value_or("");
  const std::string suggestion = did_you_mean(name, available);
  if (available.empty()) {
    const std::vector<std::string> groups = repository_.groups();
    const std::string nearest_group = did_you_mean(group, groups);
    throw ConfigError("config_not_found",
                      fmt::format("{}: no configuration '{}': there is no group '{}'{} Groups: {}",
                                  asked,
                                  path,
                                  group,
                                  nearest_group.empty() ? "." : nearest_group,
                                  join(groups)),
                      searched);
  }
  throw ConfigError("config_not_found",
                    fmt::format("{}: no configuration '{}'{} Options of '{}': {}",
                                asked,
                                path,
                                suggestion.empty() ? "." : suggestion,
                                group,
                                join(available)),
                    searched);
}

void TreeExpander::choice_missing(const DefaultsEntry& entry) const {
  if (!entry.is_group()) {
    throw ConfigError(
        "choice_missing",
        fmt::format("{}: a configuration cannot be left open, only the option of a group can",
                    entry.item.mark.text()));
  }
  throw ConfigError("choice_missing",
                    fmt::format("{}: no option is chosen for '{}'; options: {}",
                                entry.item.mark.text(),
                                entry.override_key(),
                                join(repository_.options(entry.group_path()))),
                    fmt::format("write {}=<option>", entry.override_key()));
}

/// The defaults list of a file as it counts: `_self_` made explicit, appended groups at its end.
std::vector<DefaultsItem> TreeExpander::items_of(const ConfigFile& file,
                                                 const DefaultsEntry& entry) const {
  std::vector<DefaultsItem> items = file.defaults;
  const bool appends = entry.primary && !overrides_.appended().empty();
  if (!items.empty() || appends) {
    bool has_self = false;
    bool has_plain = false;
    for (const DefaultsItem& item : items) {
      has_plain = has_plain || !item.overrides;
      if (item.kind != DefaultsItem::Kind::kSelf) continue;
      if (has_self)
        throw ConfigError(
            "duplicate_self",
            fmt::format("{}: _self_ stands twice in the defaults list", item.mark.text()));
      has_self = true;
    }
    if ((!has_self && has_plain) || items.empty()) items.emplace_back();
  }
  if (appends)
    items.insert(items.end(), overrides_.appended().begin(), overrides_.appended().end());
  return items;
}

void TreeExpander::register_overrides(std::vector<DefaultsEntry>& entries,
                                      const DefaultsEntry& parent,
                                      bool below_interpolation) {
  const DefaultsEntry* seen = nullptr;
  for (DefaultsEntry& entry : entries) {
    if (entry.is_self()) continue;
    entry.set_parent(parent.group_path(), parent.package());
    const DefaultsItem& item = entry.item;
    if (seen != nullptr && !item.overrides && !item.appended) {
      throw ConfigError("override_not_last",
                        fmt::format("{}: '{}' follows 'override {}' from {}",
                                    item.mark.text(),
                                    item.path,
                                    seen->item.path,
                                    seen->item.mark.text()),
                        "override entries come last in a defaults list");
    }
    if (!item.overrides) continue;
    seen = &entry;
    if (below_interpolation) {
      throw ConfigError(
          "override_in_interpolated_choice",
          fmt::format("{}: 'override {}' below an option that was chosen by interpolation",
                      item.mark.text(),
                      item.path));
    }
    overrides_.add(entry, parent.config_path());
  }
}

void TreeExpander::expand(TreeNode& node, bool below_interpolation) {
  DefaultsEntry& entry = node.entry;
  const bool chosen = entry.name().has_value();
  if (entry.primary && !repository_.has_config(entry.config_path())) not_found(entry);
  const ConfigFile* file =
      chosen && !entry.is_missing() ? repository_.load(entry.config_path()) : nullptr;
  if (file != nullptr) entry.set_header(file->header);
  if (overrides_.deletes(entry)) {
    entry.deleted = true;
    return;
  }
  overrides_.note(entry);
  if (!chosen) return;
  if (entry.is_missing()) {
    if (skip_missing_) return;
    choice_missing(entry);
  }
  if (file == nullptr) {
    if (!entry.item.optional) not_found(entry);
    entry.deleted = true;
    return;
  }
  if (++depth_ > kDeepest) {
    throw ConfigError(
        "bad_defaults_item",
        fmt::format("{}: defaults lists lead more than {} levels deep; does a file list itself?",
                    entry.item.mark.text(),
                    kDeepest));
  }
  std::vector<DefaultsEntry> entries;
  for (DefaultsItem& item : items_of(*file, entry)) {
    DefaultsEntry child;
    child.item = std::move(item);
    entries.push_back(std::move(child));
  }
  register_overrides(entries, entry, below_interpolation);
  // From last to first, so that a later entry's `override` reaches the entries before it.
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
    if (!it->item.overrides) expand_entry(std::move(*it), node, below_interpolation);
  }
  for (TreeNode& child : node.children) {
    if (!child.entry.is_self() && child.children.empty() && child.entry.is_interpolation())
      expand_interpolated(child);
  }
  std::reverse(node.children.begin(), node.children.end());
  --depth_;
}

void TreeExpander::expand_entry(DefaultsEntry entry, TreeNode& node, bool below_interpolation) {
  const std::string directory = node.entry.group_path();
  const std::string package = node.entry.package();
  if (entry.is_self()) {
    entry.set_parent(node.entry.parent_directory, node.entry.parent_package);
    node.children.push_back({std::move(entry), {}});
    return;
  }
  overrides_.apply(entry);
  std::vector<DefaultsEntry> chosen;
  if (entry.is_group() && entry.item.is_list) {
    for (auto option = entry.item.options.rbegin(); option != entry.item.options.rend(); ++option) {
      if (option->find("${") != std::string::npos) {
        throw ConfigError(
            "bad_defaults_item",
            fmt::format("{}: no interpolation in a list of options", entry.item.mark.text()));
      }
      DefaultsEntry single = entry;
      single.item.kind = DefaultsItem::Kind::kConfig;
      single.item.is_list = false;
      single.item.path = entry.item.path + "/" + *option;
      chosen.push_back(std::move(single));
    }
  } else {
    chosen.push_back(std::move(entry));
  }
  for (DefaultsEntry& single : chosen) {
    single.set_parent(directory, package);
    node.children.push_back({std::move(single), {}});
    TreeNode& child = node.children.back();
    if (!child.entry.is_interpolation()) expand(child, below_interpolation);
  }
}

/// An interpolated entry waits until its siblings have made their choices.
void TreeExpander::expand_interpolated(TreeNode& child) {
  DefaultsItem& item = child.entry.item;
  if (child.entry.is_group()) {
    item.option = resolved(*item.option, item.mark);
  } else {
    item.path = resolved(item.path, item.mark);
  }
  expand(child, true);
}

/// Replaces `${group}` by the option chosen for it.
std::string TreeExpander::resolved(const std::string& text, Mark mark) const {
  std::string result;
  std::vector<std::string> known;
  Node choices = Node::map();
  for (const auto& [key, option] : overrides_.known_choices()) {
    known.push_back(key);
    if (option) choices.set(key, Node(*option));
  }
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = text.find("${", i);
    const std::size_t end = begin == std::string::npos ? begin : text.find('}', begin);
    result += text.substr(i, begin == std::string::npos ? begin : begin - i);
    if (begin == std::string::npos) break;
    std::string key = text.substr(begin + 2, end == std::string::npos ? end : end - begin - 2);
    std::erase(key, ' ');
    const Node* choice = choices.child(key);
    if (end == std::string::npos || choice == nullptr) {
      const std::string suggestion = did_you_mean(key, known);
      throw ConfigError(
          "defaults_interpolation",
          fmt::format("{}: '${{{}}}' in a defaults list names no known choice{} Known choices: {}",
                      mark.text(),
                      key,
                      suggestion.empty() ? "." : suggestion,
                      join(known)),
          "interpolations in defaults lists see the options of groups, never values");
    }
    result += choice->as_string();
    i = end + 1;
  }
  return result;
}

/// The flat list: depth first, in written order.
class StepCollector {
 public:
  void collect(const TreeNode& node, const TreeNode* parent) {
    const DefaultsEntry& entry = node.entry;
    if (entry.deleted || !entry.name() || entry.is_missing()) return;
    check_new(entry);
    if (node.children.empty()) {
      add(entry, parent, false);
      return;
    }
    for (const TreeNode& child : node.children) {
      if (child.entry.is_self()) {
        add(entry, parent, true);
      } else {
        collect(child, &node);
      }
    }
  }

  std::vector<DefaultsStep> take() { return std::move(steps_); }

 private:
  void add(const DefaultsEntry& entry, const TreeNode* parent, bool is_self) {
    steps_.push_back({entry.config_path(),
                      entry.package(),
                      parent != nullptr ? parent->entry.config_path() : "",
                      is_self,
                      entry.item.mark});
  }

  void check_new(const DefaultsEntry& entry) {
    if (!entry.is_group()) return;
    const auto [first, is_new] = seen_.emplace(entry.override_key(), entry.item.mark);
    if (is_new) return;
    throw ConfigError("duplicate_group",
                      fmt::format("{}: '{}' is in the defaults already, by {}",
                                  entry.item.mark.text(),
                                  entry.override_key(),
                                  first->second.text()));
  }

  std::vector<DefaultsStep> steps_;
  std::map<std::string, Mark> seen_;
};

}  // namespace

DefaultsResult expand_defaults(ConfigRepository& repository,
                               const std::string& primary,
                               const std::vector<Override>& overrides,
                               bool skip_missing) {
  DefaultsOverrides choices(repository, overrides);
  const TreeNode tree = TreeExpander(repository, choices, skip_missing).expand_primary(primary);
  StepCollector collector;
  collector.collect(tree, nullptr);
  choices.check_used();
  DefaultsResult result;
  result.steps = collector.take();
  result.value_overrides = choices.value_overrides();
  for (const auto& [key, option] : choices.known_choices())
    result.choices[key] = option.value_or("null");
  return result;
}

}  // namespace triptych::config
