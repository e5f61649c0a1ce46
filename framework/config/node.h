// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/mark.h"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace triptych::config {

/// Key of a map. YAML types keys as it types values: `1:` is an integer key and differs from
/// `'1':`.
class Key {
 public:
  using Value = std::variant<std::string, std::int64_t, double, bool>;

  explicit Key(std::string_view text, Mark mark = {}) : value_(std::string(text)), mark_(mark) {}
  explicit Key(const std::string& text, Mark mark = {}) : value_(text), mark_(mark) {}
  explicit Key(const char* text, Mark mark = {}) : value_(std::string(text)), mark_(mark) {}
  explicit Key(Value value, Mark mark = {}) : value_(std::move(value)), mark_(mark) {}

  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is(std::string_view text) const { return is_string() && std::get<0>(value_) == text; }
  const Value& value() const { return value_; }
  /// As Python writes it: `True`, `1.5`, `word`.
  std::string text() const;
  Mark mark() const { return mark_; }

  /// Equal in type and value, NaN equal to NaN; the mark does not count.
  bool operator==(const Key& other) const;

 private:
  Value value_;
  Mark mark_;
};

struct Entry;

/// A value of a configuration: null, boolean, integer, floating-point number, text, list or map.
///
/// A value type: copies are deep. Maps keep the order in which keys were written. Every node knows
/// where it was written (`mark`). The text "???" stands for a value that somebody has to fill.
///
/// Paths are dotted: `a.b.0` is element 0 of the list `b` in the map `a`. A part matches text keys
/// only; use `child` for keys that hold dots.
class Node {
 public:
  enum class Kind { kNull, kBool, kInt, kDouble, kString, kList, kMap };
  using List = std::vector<Node>;
  using Map = std::vector<Entry>;

  // Defined in node.cc, copies and destruction included: they are costly to compile everywhere.
  Node();
  Node(const Node& other);
  Node(Node&& other) noexcept;
  Node& operator=(const Node& other);
  Node& operator=(Node&& other) noexcept;
  ~Node();
  explicit Node(bool value, Mark mark = {});
  explicit Node(int value, Mark mark = {});
  explicit Node(std::int64_t value, Mark mark = {});
  explicit Node(double value, Mark mark = {});
  explicit Node(std::string value, Mark mark = {});
  explicit Node(std::string_view value, Mark mark = {});
  explicit Node(const char* value, Mark mark = {});
  static Node null(Mark mark = {});
  static Node list(List values = {}, Mark mark = {});
  static Node map(Mark mark = {});

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt; }
  bool is_double() const { return kind() == Kind::kDouble; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_list() const { return kind() == Kind::kList; }
  bool is_map() const { return kind() == Kind::kMap; }
  bool is_scalar() const { return !is_list() && !is_map(); }
  /// Holds the placeholder "???".
  bool is_missing() const;

  /// The value, or a ConfigError of category `schema` that names the place. `as_double` takes
  /// integers too; nothing else converts.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const&;
  const List& as_list() const&;
  const Map& as_map() const&;
  List& as_list() &;
  Map& as_map() &;
  // By value from a temporary, so that `for (... : parse_yaml(text).as_list())` is sound.
  std::string as_string() &&;
  List as_list() &&;
  Map as_map() &&;

  /// Number of elements or entries; 0 for scalars.
  std::size_t size() const;

  /// Direct child, or nullptr.
  const Node* child(std::string_view key) const;
  const Node* child(const Key& key) const;
  Node* child(std::string_view key);
  Node* child(const Key& key);

  /// Node at a dotted path, or nullptr.
  const Node* find(std::string_view path) const;
  Node* find(std::string_view path);
  /// Node at a dotted path, or a ConfigError of category `key_not_found` with what is there.
  const Node& at(std::string_view path) const;

  /// Value at a dotted path, or `fallback` where the path is absent or null.
  bool bool_or(std::string_view path, bool fallback) const;
  std::int64_t int_or(std::string_view path, std::int64_t fallback) const;
  double double_or(std::string_view path, double fallback) const;
  std::string string_or(std::string_view path, std::string_view fallback) const;

  /// Adds or replaces a direct child; turns a null into a map. Returns the child.
  Node& set(std::string_view key, Node value);
  Node& set(const Key& key, Node value);
  /// Adds or replaces at a dotted path, making maps on the way.
  Node& set_path(std::string_view path, Node value);
  /// Removes a direct child; false if there is none.
  bool erase(std::string_view key);
  /// Text keys of a map, in order.
  std::vector<std::string> keys() const;

  Mark mark() const { return mark_; }
  void set_mark(Mark mark) { mark_ = mark; }

  /// "an integer", "a map", ... for messages.
  const char* kind_name() const;
  /// Short one-line text for messages: `'4.0'`, `[1, 2, ...]`.
  std::string brief() const;

  /// Deep equality of type and value; maps compare without order, NaN equals NaN, 1 differs from
  /// 1.0. Marks do not count.
  bool operator==(const Node& other) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> value_;
  Mark mark_;
};

struct Entry {
  Key key;
  Node value;
};

/// Parts of a dotted path: "a.b.0" -> {"a", "b", "0"}; "" -> {}.
std::vector<std::string> split_path(std::string_view path);

/// As Python prints a float: shortest text that reads back the same, `1.0`, `1e-05`, `inf`.
std::string python_float(double value);

/// Text of a scalar where it becomes part of a longer string: `True`, `None`, `1e-05`.
std::string python_text(const Node& scalar);

/// Text as Python's `str()` writes a whole value: `{'a': 1, 'b': [True, 'x']}`.
std::string python_repr(const Node& value);

}  // namespace triptych::config
