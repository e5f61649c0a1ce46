// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace triptych::config {

/// A value of an override word. Beside the value itself it remembers quotes, so that a sweep can
/// write the words of its jobs.
struct OverrideValue {
  enum class Kind { kScalar, kQuoted, kList, kMap };
  Kind kind = Kind::kScalar;
  Node scalar;       ///< kScalar, and the text of kQuoted
  char quote = '"';  ///< kQuoted
  std::vector<OverrideValue> elements;
  std::vector<std::pair<Key, OverrideValue>> entries;

  static OverrideValue of(Node scalar);
  bool is_text() const { return scalar.is_string() && kind <= Kind::kQuoted; }
  Node to_node() const;
  /// Text that parses to the same value (special characters escaped, quotes kept).
  std::string text() const;
};

/// Several values for one key: `a,b`, `choice(...)`, `range(...)`, `interval(...)`, `glob(...)`.
struct Sweep {
  enum class Kind { kChoice, kRange, kInterval, kGlob };
  Kind kind = Kind::kChoice;
  bool simple = false;  ///< a choice written without `choice(`
  bool shuffled = false;
  std::vector<OverrideValue> choices;
  Node start, stop, step;                     ///< kRange: numbers; kInterval: start and stop
  std::vector<std::string> include, exclude;  ///< kGlob
};

/// One word of the command line in Hydra's grammar.
struct Override {
  enum class Type { kChange, kAdd, kForceAdd, kDelete };
  Type type = Type::kChange;
  std::string key;  ///< `a.b.0` or `group/sub`
  std::optional<std::string> package;
  std::variant<OverrideValue, Sweep> value;
  std::string word;  ///< as it was given
  Mark mark;

  bool is_sweep() const { return std::holds_alternative<Sweep>(value); }
  const Sweep& sweep() const { return std::get<Sweep>(value); }
  const OverrideValue& element() const { return std::get<OverrideValue>(value); }
  /// The value with the word's mark; null for sweeps.
  Node node() const;
  /// `+key@package`
  std::string key_text() const;
  bool concerns_hydra() const { return key.starts_with("hydra.") || key.starts_with("hydra/"); }
  /// "command line, word 2 'a=1'", for messages.
  std::string place() const;
};

/// Parses one word. Throws ConfigError of category `override_syntax`, `unknown_function`,
/// `bad_function_call` or `bad_key_type`.
Override parse_override(std::string_view word, Mark mark);

/// Parses words; `numbers` are their positions on the command line (1, 2, ... if there are fewer).
std::vector<Override> parse_overrides(const std::vector<std::string>& words,
                                      const std::vector<int>& numbers = {});

/// Refuses sweeps outside multirun: categories `ambiguous_value` and `sweep_without_multirun`.
void refuse_sweeps(const std::vector<Override>& overrides);

/// `key=value` words of a verb that composes nothing: sets, adds (`+`) or removes (`~`) keys.
Node words_to_node(const std::vector<std::string>& words, const std::vector<int>& numbers = {});

}  // namespace triptych::config
