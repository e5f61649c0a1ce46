// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override.h"

#include "framework/core/error.h"

namespace triptych::config {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\()[]{}:=, \t").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// Inverse of unquote(): backslashes count only before a quote and at the end.
std::string quoted(const std::string& text, char quote) {
  std::string out(1, quote);
  std::size_t backslashes = 0;
  for (const char c : text) {
    if (c == quote) out.append(backslashes + 1, '\\');
    backslashes = c == '\\' ? backslashes + 1 : 0;
    out += c;
  }
  out.append(backslashes, '\\');
  return out + quote;
}

std::string scalar_text(const Node& scalar) {
  if (scalar.is_null()) return "null";
  return scalar.is_string() ? escaped(scalar.as_string()) : python_text(scalar);
}

}  // namespace

OverrideValue OverrideValue::of(Node scalar) {
  OverrideValue value;
  value.scalar = std::move(scalar);
  return value;
}

Node OverrideValue::to_node() const {
  if (kind == Kind::kList) {
    Node list = Node::list();
    for (const OverrideValue& element : elements) list.as_list().push_back(element.to_node());
    return list;
  }
  if (kind == Kind::kMap) {
    Node map = Node::map();
    for (const auto& [key, value] : entries) map.as_map().push_back({key, value.to_node()});
    return map;
  }
  return scalar;
}

std::string OverrideValue::text() const {
  if (kind == Kind::kQuoted) return quoted(scalar.as_string(), quote);
  if (kind == Kind::kScalar) return scalar_text(scalar);
  std::string inner;
  for (const OverrideValue& element : elements)
    inner += (inner.empty() ? "" : ",") + element.text();
  for (const auto& [key, value] : entries) {
    inner += inner.empty() ? "" : ",";
    inner += (key.is_string() ? escaped(key.text()) : key.text()) + ":" + value.text();
  }
  return kind == Kind::kList ? "[" + inner + "]" : "{" + inner + "}";
}

Node Override::node() const {
  if (is_sweep()) return Node::null(mark);
  Node value_node = element().to_node();
  value_node.set_mark(mark);
  return value_node;
}

std::string Override::key_text() const {
  constexpr const char* kPrefix[] = {"", "+", "++", "~"};
  const std::string text = kPrefix[static_cast<int>(type)] + key;
  return package ? text + "@" + *package : text;
}

std::string Override::place() const { return fmt::format("{} '{}'", mark.text(), word); }

void refuse_sweeps(const std::vector<Override>& overrides) {
  for (const Override& override_word : overrides) {
    if (!override_word.is_sweep()) continue;
    const std::string value = override_word.word.substr(override_word.word.find('=') + 1);
    if (override_word.sweep().kind == Sweep::Kind::kChoice && override_word.sweep().simple) {
      throw ConfigError(
          "ambiguous_value",
          fmt::format("{}: several values for '{}'", override_word.place(), override_word.key),
          fmt::format(
              "a list is {}=[{}], a text {}='\"{}\"', a sweep over the values needs --multirun",
              override_word.key,
              value,
              override_word.key,
              value));
    }
    throw ConfigError(
        "sweep_without_multirun",
        fmt::format(
            "{}: a sweep over '{}' without --multirun", override_word.place(), override_word.key),
        "add -m to run a job for each value");
  }
}

Node words_to_node(const std::vector<std::string>& words, const std::vector<int>& numbers) {
  const std::vector<Override> overrides = parse_overrides(words, numbers);
  refuse_sweeps(overrides);
  Node node = Node::map(Mark::named("command line"));
  for (const Override& override_word : overrides) {
    const bool group = override_word.package || override_word.key.find('/') != std::string::npos;
    if (group) {
      throw ConfigError(
          "usage",
          fmt::format("{}: this verb composes no groups; write key=value", override_word.place()));
    }
    if (override_word.type != Override::Type::kDelete) {
      node.set_path(override_word.key, override_word.node());
      continue;
    }
    const std::size_t dot = override_word.key.rfind('.');
    Node* parent = dot == std::string::npos ? &node : node.find(override_word.key.substr(0, dot));
    const std::string last = override_word.key.substr(dot == std::string::npos ? 0 : dot + 1);
    if (parent == nullptr || !parent->erase(last)) {
      throw ConfigError(
          "delete_missing_key",
          fmt::format("{}: there is no key '{}'", override_word.place(), override_word.key));
    }
  }
  return node;
}

}  // namespace triptych::config
