// SPDX-License-Identifier: Apache-2.0
#include "framework/config/defaults_overrides.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych::config {
namespace {

/// Option or options of `group=option`, `group=[a,b]`.
void read_choice(const Override& override_word, DefaultsItem& item) {
  const Node value = override_word.node();
  const ConfigError bad(
      "bad_group_value",
      fmt::format("{}: '{}' is a group, its option must be a name or a list of names, got {}",
                  override_word.place(),
                  override_word.key,
                  value.brief()),
      "quote an option whose name is a number or null; ~group removes a group");
  item.mark = override_word.mark;
  if (value.is_string()) {
    item.option = value.as_string();
    return;
  }
  if (!value.is_list()) throw bad;
  item.is_list = true;
  for (const Node& element : value.as_list()) {
    if (!element.is_string()) throw bad;
    item.options.push_back(element.as_string());
  }
}

}  // namespace

DefaultsOverrides::DefaultsOverrides(const ConfigRepository& repository,
                                     const std::vector<Override>& overrides) {
  for (const Override& override_word : overrides) {
    if (override_word.is_sweep()) continue;
    if (!repository.has_group(override_word.key) || override_word.node().is_map()) {
      value_overrides_.push_back(override_word);
    } else {
      add_word(override_word);
    }
  }
}

void DefaultsOverrides::add_word(const Override& override_word) {
  if (override_word.type == Override::Type::kForceAdd) {
    throw ConfigError("force_add_group",
                      fmt::format("{}: ++ does not work for a group", override_word.place()),
                      "write group=option to change the option, +group=option to add the group");
  }
  const std::string key =
      override_word.package ? override_word.key + "@" + *override_word.package : override_word.key;
  if (override_word.type == Override::Type::kDelete) {
    const Node option = override_word.node();
    if (!option.is_null() && !option.is_string()) {
      throw ConfigError("bad_group_value",
                        fmt::format("{}: the option of '{}' must be a name, got {}",
                                    override_word.place(),
                                    override_word.key,
                                    option.brief()));
    }
    deletions_[key] = {option.is_null() ? std::nullopt : std::optional(option.as_string()),
                       override_word.place(),
                       false};
    return;
  }
  DefaultsItem item;
  item.kind = DefaultsItem::Kind::kGroup;
  item.path = override_word.key;
  item.package = override_word.package;
  read_choice(override_word, item);
  if (override_word.type == Override::Type::kAdd) {
    item.appended = true;
    appended_.push_back(std::move(item));
    return;
  }
  if (!choices_.contains(key)) choice_order_.push_back(key);
  choices_[key] = {std::move(item), override_word.place(), override_word.word, false};
}

void DefaultsOverrides::add(const DefaultsEntry& entry, const std::string& file) {
  const std::string key = entry.override_key();
  const std::string place =
      fmt::format("{}: 'override {}' in {}", entry.item.mark.text(), entry.item.path, file);
  if (choices_.try_emplace(key, Choice{entry.item, place, "", false}).second)
    choice_order_.push_back(key);
}

void DefaultsOverrides::apply(DefaultsEntry& entry) {
  if (!entry.is_group()) return;
  const auto found = choices_.find(entry.override_key());
  if (found == choices_.end()) return;
  found->second.used = true;
  entry.item.option = found->second.item.option;
  entry.item.is_list = found->second.item.is_list;
  entry.item.options = found->second.item.options;
  entry.item.mark = found->second.item.mark;
}

bool DefaultsOverrides::deletes(const DefaultsEntry& entry) {
  if (!entry.is_group()) return false;
  const auto found = deletions_.find(entry.override_key());
  if (found == deletions_.end()) return false;
  if (found->second.option && found->second.option != entry.name()) return false;
  return found->second.used = true;
}

void DefaultsOverrides::note(const DefaultsEntry& entry) {
  if (!entry.is_group()) return;
  const std::string key = entry.override_key();
  keys_of_group_[entry.group_path()].insert(key);
  const auto [known, is_new] = known_choices_.emplace(key, entry.name());
  if (is_new) {
    known_marks_[key] = entry.item.mark;
    return;
  }
  if (known->second == entry.name()) return;
  const std::string other = known->second.value_or("null");
  throw ConfigError("conflicting_choices",
                    fmt::format("{}: '{}' chooses '{}', but {} chooses '{}' for the same group",
                                entry.item.mark.text(),
                                key,
                                entry.name().value_or("null"),
                                known_marks_[key].text(),
                                other),
                    fmt::format("to change an option write 'override {}: {}'", key, other));
}

std::vector<std::string> DefaultsOverrides::known_keys() const {
  std::vector<std::string> keys;
  for (const auto& choice : known_choices_) keys.push_back(choice.first);
  return keys;
}

void DefaultsOverrides::check_used() const {
  const std::string available = fmt::format("Groups in the defaults list: {}", join(known_keys()));
  for (const std::string& key : choice_order_) {
    const Choice& choice = choices_.at(key);
    if (choice.used) continue;
    const auto same_group = keys_of_group_.find(key.substr(0, key.find('@')));
    std::string suggestion = did_you_mean(key, known_keys());
    if (same_group != keys_of_group_.end()) {
      suggestion =
          fmt::format("; did you mean {}?",
                      join({same_group->second.begin(), same_group->second.end()}, " or "));
    }
    throw ConfigError(
        "group_not_in_defaults",
        fmt::format("{}: no defaults list holds '{}'{} {}",
                    choice.place,
                    key,
                    suggestion.empty() ? "." : suggestion,
                    available),
        choice.word.empty() ? "" : fmt::format("to add the group write +{}", choice.word));
  }
  for (const auto& [key, deletion] : deletions_) {
    if (deletion.used) continue;
    const std::string suggestion = did_you_mean(key, known_keys());
    throw ConfigError("delete_group_not_in_defaults",
                      fmt::format("{}: no defaults list holds '{}{}'{} {}",
                                  deletion.place,
                                  key,
                                  deletion.option ? "=" + *deletion.option : "",
                                  suggestion.empty() ? "." : suggestion,
                                  available));
  }
}

}  // namespace triptych::config
