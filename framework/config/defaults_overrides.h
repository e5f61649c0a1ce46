// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/defaults_entry.h"
#include "framework/config/override.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace triptych::config {

/// Choices of options from the command line and from `override` entries, and what became of them.
class DefaultsOverrides {
 public:
  DefaultsOverrides(const ConfigRepository& repository, const std::vector<Override>& overrides);

  const std::vector<DefaultsItem>& appended() const { return appended_; }
  const std::vector<Override>& value_overrides() const { return value_overrides_; }
  /// Override key -> option, of every group entry met so far.
  const std::map<std::string, std::optional<std::string>>& known_choices() const {
    return known_choices_;
  }

  /// An `override` entry of a file. The first registration of a key wins, the command line's being
  /// the very first.
  void add(const DefaultsEntry& entry, const std::string& file);
  /// Puts the chosen option into a group entry.
  void apply(DefaultsEntry& entry);
  /// True if `~group` removes the entry.
  bool deletes(const DefaultsEntry& entry);
  /// Records an entry of the tree; refuses two options for one key (`conflicting_choices`).
  void note(const DefaultsEntry& entry);
  /// Every choice and every removal must have met an entry (`group_not_in_defaults`,
  /// `delete_group_not_in_defaults`).
  void check_used() const;

 private:
  struct Choice {
    DefaultsItem item;  // option, options, mark
    std::string place;  // for messages
    std::string word;   // of the command line, or ""
    bool used = false;
  };
  struct Deletion {
    std::optional<std::string> option;
    std::string place;
    bool used = false;
  };

  void add_word(const Override& override_word);
  std::vector<std::string> known_keys() const;

  std::map<std::string, Choice> choices_;
  std::vector<std::string> choice_order_;
  std::map<std::string, Deletion> deletions_;
  std::vector<DefaultsItem> appended_;
  std::vector<Override> value_overrides_;
  std::map<std::string, std::optional<std::string>> known_choices_;
  std::map<std::string, Mark> known_marks_;
  std::map<std::string, std::set<std::string>> keys_of_group_;
};

}  // namespace triptych::config
