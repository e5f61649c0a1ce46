// SPDX-License-Identifier: Apache-2.0
#include "framework/config/node.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <charconv>
#include <cmath>

namespace triptych::config {
namespace {

ConfigError wrong_kind(const Node& node, const char* expected) {
  return ConfigError(
      "schema", fmt::format("{}: expects {}, got {}", node.mark().text(), expected, node.brief()));
}

/// The list index that `part` spells, or -1.
std::int64_t index_of(std::string_view part) {
  std::int64_t index = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  return error == std::errc() && end == part.data() + part.size() ? index : -1;
}

bool same_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool same_map(const Node::Map& a, const Node& b) {
  if (a.size() != b.size()) return false;
  for (const Entry& entry : a) {
    const Node* other = b.child(entry.key);
    if (other == nullptr || !(entry.value == *other)) return false;
  }
  return true;
}

}  // namespace

bool Key::operator==(const Key& other) const {
  const auto* a = std::get_if<double>(&value_);
  const auto* b = std::get_if<double>(&other.value_);
  return a != nullptr && b != nullptr ? same_number(*a, *b) : value_ == other.value_;
}

std::string Key::text() const {
  if (const auto* text = std::get_if<std::string>(&value_)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value_)) return python_float(*number);
  return std::get<bool>(value_) ? "True" : "False";
}

Node::Node() = default;
Node::Node(const Node& other) = default;
Node::Node(Node&& other) noexcept = default;
Node& Node::operator=(const Node& other) = default;
Node& Node::operator=(Node&& other) noexcept = default;
Node::~Node() = default;
Node::Node(bool value, Mark mark) : value_(value), mark_(mark) {}
Node::Node(int value, Mark mark) : value_(std::int64_t{value}), mark_(mark) {}
Node::Node(std::int64_t value, Mark mark) : value_(value), mark_(mark) {}
Node::Node(double value, Mark mark) : value_(value), mark_(mark) {}
Node::Node(std::string value, Mark mark) : value_(std::move(value)), mark_(mark) {}
Node::Node(std::string_view value, Mark mark) : Node(std::string(value), mark) {}
Node::Node(const char* value, Mark mark) : Node(std::string(value), mark) {}

Node Node::null(Mark mark) {
  Node node;
  node.mark_ = mark;
  return node;
}

Node Node::list(List values, Mark mark) {
  Node node = null(mark);
  node.value_ = std::move(values);
  return node;
}

Node Node::map(Mark mark) {
  Node node = null(mark);
  node.value_ = Map();
  return node;
}

bool Node::is_missing() const { return is_string() && std::get<std::string>(value_) == "???"; }

bool Node::as_bool() const {
  if (!is_bool()) throw wrong_kind(*this, "true or false");
  return std::get<bool>(value_);
}

std::int64_t Node::as_int() const {
  if (!is_int()) throw wrong_kind(*this, "an integer");
  return std::get<std::int64_t>(value_);
}

double Node::as_double() const {
  if (is_int()) return static_cast<double>(std::get<std::int64_t>(value_));
  if (!is_double()) throw wrong_kind(*this, "a number");
  return std::get<double>(value_);
}

const std::string& Node::as_string() const& {
  if (!is_string()) throw wrong_kind(*this, "text");
  return std::get<std::string>(value_);
}

const Node::List& Node::as_list() const& {
  if (!is_list()) throw wrong_kind(*this, "a list");
  return std::get<List>(value_);
}

const Node::Map& Node::as_map() const& {
  if (!is_map()) throw wrong_kind(*this, "a map");
  return std::get<Map>(value_);
}

Node::List& Node::as_list() & { return const_cast<List&>(std::as_const(*this).as_list()); }
Node::Map& Node::as_map() & { return const_cast<Map&>(std::as_const(*this).as_map()); }

std::string Node::as_string() && { return std::as_const(*this).as_string(); }
Node::List Node::as_list() && { return std::move(static_cast<Node&>(*this).as_list()); }
Node::Map Node::as_map() && { return std::move(static_cast<Node&>(*this).as_map()); }

std::size_t Node::size() const {
  if (is_list()) return std::get<List>(value_).size();
  return is_map() ? std::get<Map>(value_).size() : 0;
}

const Node* Node::child(std::string_view key) const {
  if (!is_map()) return nullptr;
  for (const Entry& entry : std::get<Map>(value_)) {
    if (entry.key.is(key)) return &entry.value;
  }
  return nullptr;
}

const Node* Node::child(const Key& key) const {
  if (!is_map()) return nullptr;
  for (const Entry& entry : std::get<Map>(value_)) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Node* Node::child(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).child(key));
}
Node* Node::child(const Key& key) { return const_cast<Node*>(std::as_const(*this).child(key)); }

const Node* Node::find(std::string_view path) const {
  const Node* node = this;
  for (const std::string& part : split_path(path)) {
    if (node->is_list()) {
      const std::int64_t index = index_of(part);
      if (index < 0 || static_cast<std::size_t>(index) >= node->size()) return nullptr;
      node = &node->as_list()[static_cast<std::size_t>(index)];
    } else {
      node = node->child(std::string_view(part));
      if (node == nullptr) return nullptr;
    }
  }
  return node;
}

Node* Node::find(std::string_view path) {
  return const_cast<Node*>(std::as_const(*this).find(path));
}

const Node& Node::at(std::string_view path) const {
  if (const Node* node = find(path)) return *node;
  const Node* parent = this;
  for (const std::string& part : split_path(path)) {
    const Node* next = parent->find(part);
    if (next != nullptr) {
      parent = next;
      continue;
    }
    if (parent->is_list()) {
      throw ConfigError("index_out_of_range",
                        fmt::format("{}: no element '{}' for '{}'; the list has {} elements",
                                    parent->mark().text(),
                                    part,
                                    path,
                                    parent->size()));
    }
    throw ConfigError("key_not_found",
                      fmt::format("{}: no key '{}' for '{}'{} Known keys: {}",
                                  parent->mark().text(),
                                  part,
                                  path,
                                  did_you_mean(part, parent->keys()),
                                  join(parent->keys())));
  }
  throw ConfigError("key_not_found", fmt::format("no key '{}'", path));
}

bool Node::bool_or(std::string_view path, bool fallback) const {
  const Node* node = find(path);
  return node == nullptr || node->is_null() ? fallback : node->as_bool();
}

std::int64_t Node::int_or(std::string_view path, std::int64_t fallback) const {
  const Node* node = find(path);
  return node == nullptr || node->is_null() ? fallback : node->as_int();
}

double Node::double_or(std::string_view path, double fallback) const {
  const Node* node = find(path);
  return node == nullptr || node->is_null() ? fallback : node->as_double();
}

std::string Node::string_or(std::string_view path, std::string_view fallback) const {
  const Node* node = find(path);
  return node == nullptr || node->is_null() ? std::string(fallback) : node->as_string();
}

Node& Node::set(std::string_view key, Node value) {
  return set(Key(key, value.mark()), std::move(value));
}

Node& Node::set(const Key& key, Node value) {
  if (is_null()) value_ = Map();
  if (Node* present = child(key)) {
    *present = std::move(value);
    return *present;
  }
  Map& map = as_map();
  map.push_back(Entry{key, std::move(value)});
  return map.back().value;
}

Node& Node::set_path(std::string_view path, Node value) {
  Node* node = this;
  const std::vector<std::string> parts = split_path(path);
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    Node* next = node->find(parts[i]);
    node = next != nullptr && !next->is_scalar() ? next
                                                 : &node->set(parts[i], Node::map(value.mark()));
  }
  if (parts.empty()) return *node = std::move(value);
  if (node->is_list()) {
    Node* element = node->find(parts.back());
    if (element == nullptr)
      throw ConfigError("index_out_of_range", "no element '" + parts.back() + "'");
    return *element = std::move(value);
  }
  return node->set(parts.back(), std::move(value));
}

bool Node::erase(std::string_view key) {
  if (!is_map()) return false;
  return std::erase_if(as_map(), [&](const Entry& entry) { return entry.key.is(key); }) > 0;
}

std::vector<std::string> Node::keys() const {
  std::vector<std::string> keys;
  if (!is_map()) return keys;
  for (const Entry& entry : as_map()) keys.push_back(entry.key.text());
  return keys;
}

const char* Node::kind_name() const {
  switch (kind()) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInt:
      return "an integer";
    case Kind::kDouble:
      return "a number";
    case Kind::kString:
      return "text";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::string Node::brief() const {
  constexpr std::size_t kLongest = 60;
  std::string text;
  if (is_null()) return "null";
  if (is_bool()) return as_bool() ? "true" : "false";
  if (is_int() || is_double()) return "'" + python_text(*this) + "'";
  if (is_string()) {
    text = as_string();
    if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
    return "text '" + text + "'";
  }
  if (is_map()) return size() == 0 ? "{}" : "a map with keys " + join(keys());
  text = "[";
  for (const Node& element : as_list()) {
    if (text.size() > 1) text += ", ";
    if (text.size() > kLongest) return text + "...]";
    text += element.is_scalar() ? python_text(element) : element.kind_name();
  }
  return text + "]";
}

bool Node::operator==(const Node& other) const {
  if (kind() != other.kind()) return false;
  if (is_double()) return same_number(as_double(), other.as_double());
  if (is_list()) return as_list() == other.as_list();
  if (is_map()) return same_map(as_map(), other);
  if (is_null()) return true;
  if (is_bool()) return as_bool() == other.as_bool();
  if (is_int()) return as_int() == other.as_int();
  return as_string() == other.as_string();
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return parts;
}

}  // namespace triptych::config
