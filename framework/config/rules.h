// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace triptych::config {

/// What a field accepts. Bounds of a list hold for its elements, those of an optional value for the
/// value if it is there.
enum class Need { kOptional, kRequired };
struct AtLeast {
  double bound;
};
struct AtMost {
  double bound;
};
/// Greater than the bound.
struct Above {
  double bound;
};
/// Less than the bound.
struct Below {
  double bound;
};
/// Both ends included.
struct Between {
  double low;
  double high;
};
/// Number of elements of a list.
struct Length {
  std::size_t length;
};
/// Unit of measurement, for the documentation only.
struct Unit {
  const char* text;
};
struct OneOf {
  OneOf(std::initializer_list<const char*> accepted) : words(accepted.begin(), accepted.end()) {}
  explicit OneOf(std::vector<std::string> accepted) : words(std::move(accepted)) {}
  std::vector<std::string> words;
};

/// All rules of one field.
struct FieldSpec {
  const char* name = "";
  const char* help = "";
  bool required = false;
  std::optional<double> at_least, at_most, above, below;
  std::optional<std::size_t> length;
  std::vector<std::string> one_of;
  std::string unit;

  void apply(Need need) { required = need == Need::kRequired; }
  void apply(AtLeast rule) { at_least = rule.bound; }
  void apply(AtMost rule) { at_most = rule.bound; }
  void apply(Above rule) { above = rule.bound; }
  void apply(Below rule) { below = rule.bound; }
  void apply(Between rule) { at_least = rule.low, at_most = rule.high; }
  void apply(Length rule) { length = rule.length; }
  void apply(Unit rule) { unit = rule.text; }
  void apply(const OneOf& rule) { one_of = rule.words; }

  /// ">= 2, < 10, one of a, b; 3 elements; in mm", or "".
  std::string bounds_text() const;
  /// What a number breaks, as "must be >= 2, got 1", or "".
  std::string check_number(double value) const;
  std::string check_word(const std::string& value) const;
};

}  // namespace triptych::config
