// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override_apply.h"

#include "framework/config/merge.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <charconv>

namespace triptych::config {
namespace {

std::string full_key(const std::vector<std::string>& parts, std::size_t count) {
  return join({parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count)}, ".", "");
}

class Applier {
 public:
  Applier(Node& config, const Override& override_word, const ResolveContext& context)
      : config_(config),
        word_(override_word),
        context_(context),
        parts_(split_path(override_word.key)) {}

  void run() {
    if (word_.package) {
      throw ConfigError("group_not_found",
                        fmt::format("{}: there is no group '{}'", word_.place(), word_.key),
                        "key@package chooses the option of a group, a folder of configurations");
    }
    if (word_.type == Override::Type::kDelete) return remove();
    const Node value = word_.node();
    check_interpolation_syntax(value);
    const bool adds = word_.type != Override::Type::kChange;
    if (word_.type == Override::Type::kAdd && value.is_scalar()) {
      if (const std::optional<Node> present = select(config_, word_.key, context_);
          present && !present->is_null()) {
        throw ConfigError(
            "key_exists",
            fmt::format(
                "{}: '{}' has a value already: {}", word_.place(), word_.key, present->brief()),
            fmt::format("write {} to change it, +{} to change or add it",
                        word_.word.substr(1),
                        word_.word));
      }
    }
    set(value, adds);
  }

 private:
  [[noreturn]] void unknown(const Node& parent, std::size_t index) const {
    const std::vector<std::string> keys = parent.keys();
    const std::string suggestion = did_you_mean(parts_[index], keys);
    throw ConfigError(
        "key_not_found",
        fmt::format("{}: there is no key '{}'{} Known keys{}: {}",
                    word_.place(),
                    full_key(parts_, index + 1),
                    suggestion.empty() ? "." : suggestion,
                    index == 0 ? "" : " of '" + full_key(parts_, index) + "'",
                    join(keys)),
        word_.type == Override::Type::kChange ? "to add it write +" + word_.word : "");
  }

  /// Element of a list that a part of the key names; out of range is an error, `+` included.
  Node& element(Node& list, std::size_t index) const {
    const std::string& part = parts_[index];
    std::size_t position = 0;
    const auto result = std::from_chars(part.data(), part.data() + part.size(), position);
    if (result.ec != std::errc() || result.ptr != part.data() + part.size()) {
      throw ConfigError("key_not_found",
                        fmt::format("{}: '{}' is a list, '{}' is no index",
                                    word_.place(),
                                    full_key(parts_, index),
                                    part));
    }
    if (position < list.size()) return list.as_list()[position];
    throw ConfigError("index_out_of_range",
                      fmt::format("{}: '{}' has {} elements, there is no element {}",
                                  word_.place(),
                                  full_key(parts_, index),
                                  list.size(),
                                  part),
                      "a list is replaced as a whole: key=[...]");
  }

  Node* step(Node& parent, std::size_t index) const {
    return parent.is_list() ? &element(parent, index)
                            : parent.child(std::string_view(parts_[index]));
  }

  void set(const Node& value, bool adds) {
    Node* parent = &config_;
    for (std::size_t i = 0; i + 1 < parts_.size(); ++i) {
      Node* next = step(*parent, i);
      if (next != nullptr && next->is_missing()) {
        throw ConfigError(
            "missing_value",
            fmt::format(
                "{}: '{}' is ???, so it has no keys yet", word_.place(), full_key(parts_, i + 1)));
      }
      if (next == nullptr && !adds) unknown(*parent, i);
      if (next == nullptr) next = &parent->set(Key(parts_[i], word_.mark), Node::map(word_.mark));
      // Going through a scalar makes it a map, in which without `+` nothing can be set.
      if (next->is_scalar() && !adds) unknown(*next, i + 1);
      if (next->is_scalar()) *next = Node::map(word_.mark);
      parent = next;
    }
    const std::size_t last = parts_.size() - 1;
    Node* present = step(*parent, last);
    if (present == nullptr && !adds) unknown(*parent, last);
    if (present == nullptr) {
      parent->set(Key(parts_[last], word_.mark), value);
    } else if (!value.is_scalar() && !present->is_scalar()) {
      merge_into(*present, value, adds);
    } else {
      *present = value;
    }
  }

  void merge_into(Node& present, const Node& value, bool adds) {
    if (present.is_list() && value.is_list()) {
      present = value;
      return;
    }
    try {
      merge(present, value, config_, {.closed = !adds});
    } catch (const ConfigError& error) {
      if (error.category() != "key_not_found") throw;
      throw ConfigError(error.category(),
                        fmt::format("{} (in '{}')", error.what(), word_.word),
                        "to add keys write +" + word_.word);
    }
  }

  void remove() {
    const std::optional<Node> present = select(config_, word_.key, context_);
    const Node* parent = config_.find(full_key(parts_, parts_.size() - 1));
    if (!present || present->is_null()) {
      const std::vector<std::string> keys =
          parent != nullptr ? parent->keys() : std::vector<std::string>();
      const std::string suggestion = did_you_mean(parts_.back(), keys);
      throw ConfigError("delete_missing_key",
                        fmt::format("{}: there is no value '{}' to remove{} Known keys: {}",
                                    word_.place(),
                                    word_.key,
                                    suggestion.empty() ? "." : suggestion,
                                    join(keys)));
    }
    const Node wanted = word_.node();
    if (!wanted.is_null() && !(wanted == *present)) {
      throw ConfigError("delete_value_mismatch",
                        fmt::format("{}: '{}' is {}, not {}",
                                    word_.place(),
                                    word_.key,
                                    present->brief(),
                                    wanted.brief()));
    }
    auto* container = const_cast<Node*>(parent);
    if (container == nullptr || container->is_scalar()) {
      throw ConfigError(
          "delete_missing_key",
          fmt::format("{}: '{}' is reached by an interpolation only", word_.place(), word_.key));
    }
    if (container->is_map()) {
      container->erase(parts_.back());
      return;
    }
    const Node* removed = &element(*container, parts_.size() - 1);
    Node::List& list = container->as_list();
    list.erase(list.begin() + (removed - list.data()));
  }

  Node& config_;
  const Override& word_;
  const ResolveContext& context_;
  std::vector<std::string> parts_;
};

}  // namespace

void apply_override(Node& config, const Override& override_word, const ResolveContext& context) {
  Applier(config, override_word, context).run();
}

}  // namespace triptych::config
