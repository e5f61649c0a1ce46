// SPDX-License-Identifier: Apache-2.0
#include "framework/config/resolver.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <charconv>

namespace triptych::config {
namespace {

/// More than any honest configuration needs, little enough to stop at once.
constexpr std::size_t kBudget = 20'000'000;
constexpr int kDeepest = 200;

/// Marks a node as being evaluated, and finds cycles.
class Active {
 public:
  Active(std::set<const Node*>& active, const Node& node) : active_(active), node_(&node) {
    if (!active.insert(node_).second) {
      throw ConfigError(
          "interpolation_cycle",
          fmt::format("{}: '{}' needs its own value", node.mark().text(), node.brief()));
    }
  }
  ~Active() { active_.erase(node_); }
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;

 private:
  std::set<const Node*>& active_;
  const Node* node_;
};

struct DepthGuard {
  DepthGuard(int& counter, const Node& node) : depth(counter) {
    if (++depth > kDeepest) {
      --depth;
      throw ConfigError(
          "interpolation_cycle",
          fmt::format(
              "{}: interpolations lead more than {} levels deep", node.mark().text(), kDeepest));
    }
  }
  ~DepthGuard() { --depth; }
  int& depth;
};

}  // namespace

void Resolver::spend(std::size_t amount, const Place& place) {
  spent_ += amount;
  if (spent_ <= kBudget) return;
  throw ConfigError("resolver_error",
                    fmt::format("{}: interpolations expand to more than {} values and characters",
                                place.node().mark().text(),
                                kBudget));
}

Place Resolver::keep(Node value) {
  made_.push_back(std::move(value));
  literal_.insert(&made_.back());
  return {{&made_.back()}};
}

Node Resolver::value_of(const Place& place) {
  const DepthGuard depth(depth_, place.node());
  const Place target = followed(place);
  const Node& node = target.node();
  spend(1 + (node.is_string() ? node.as_string().size() : 0), place);
  if (node.is_scalar() || literal_.contains(target.chain.front())) {
    Node value = node;
    if (place.node().is_scalar()) value.set_mark(place.node().mark());
    return value;
  }
  const Active active(active_, node);
  Node value = node.is_list() ? Node::list({}, node.mark()) : Node::map(node.mark());
  Place inner = target;
  inner.chain.push_back(nullptr);
  if (node.is_list()) {
    for (const Node& element : node.as_list()) {
      inner.chain.back() = &element;
      value.as_list().push_back(value_of(inner));
    }
    return value;
  }
  for (const Entry& entry : node.as_map()) {
    inner.chain.back() = &entry.value;
    value.as_map().push_back({entry.key, value_of(inner)});
  }
  return value;
}

Place Resolver::followed(const Place& place) {
  const Node& node = place.node();
  if (!is_interpolation(node) || literal_.contains(place.chain.front())) return place;
  const auto known = followed_.find(&node);
  if (known != followed_.end()) return known->second;
  const DepthGuard depth(depth_, node);
  const Active active(active_, node);
  Place target = evaluate(parse_interpolated(node.as_string(), node.mark()), place);
  return followed_[&node] = followed(target);
}

std::optional<Place> Resolver::child(const Place& container, const std::string& part) {
  const Node& node = container.node();
  const Node* found =
      node.is_scalar() || part.find('.') != std::string::npos ? nullptr : node.find(part);
  if (node.is_map()) found = node.child(std::string_view(part));
  if (found == nullptr) return std::nullopt;
  Place place = container;
  place.chain.push_back(found);
  return place;
}

std::optional<Place> Resolver::find(Place start, const std::vector<std::string>& path) {
  for (const std::string& part : path) {
    std::optional<Place> next = child(followed(start), part);
    if (!next) return std::nullopt;
    start = *std::move(next);
  }
  return start;
}

Place Resolver::evaluate(const Expression& expression, const Place& place) {
  switch (expression.kind) {
    case Expression::Kind::kLiteral:
      return keep(expression.literal);
    case Expression::Kind::kNode:
      return evaluate_node(expression, place);
    case Expression::Kind::kCall:
      return evaluate_call(expression, place);
    case Expression::Kind::kText:
      if (expression.parts.size() == 1) return evaluate(expression.parts[0], place);
      return evaluate_text(expression, place);
    case Expression::Kind::kQuoted:
      return evaluate_text(expression, place);
    default:
      break;
  }
  Node value = expression.kind == Expression::Kind::kList ? Node::list() : Node::map();
  for (std::size_t i = 0; i < expression.parts.size(); ++i) {
    Node part = evaluate_value(expression.parts[i], place);
    if (value.is_list()) {
      value.as_list().push_back(std::move(part));
    } else {
      value.set(expression.keys[i], std::move(part));
    }
  }
  return keep(std::move(value));
}

Node Resolver::evaluate_value(const Expression& expression, const Place& place) {
  return value_of(evaluate(expression, place));
}

Place Resolver::evaluate_text(const Expression& expression, const Place& place) {
  std::string text;
  for (const Expression& part : expression.parts) {
    const Node value = evaluate_value(part, place);
    text += value.is_scalar() ? python_text(value) : python_repr(value);
    spend(text.size(), place);
  }
  return keep(Node(std::move(text), place.node().mark()));
}

Place Resolver::evaluate_node(const Expression& expression, const Place& place) {
  std::string path(static_cast<std::size_t>(expression.dots), '.');
  std::vector<std::string> parts;
  for (const Expression& key : expression.parts) {
    parts.push_back(python_text(evaluate_value(key, place)));
    path += (path.empty() || path.back() == '.' ? "" : ".") + parts.back();
  }
  const std::string where = place.node().mark().text();
  Place current = root();
  if (expression.dots > 0) {
    const auto climb = static_cast<std::size_t>(expression.dots);
    if (climb >= place.chain.size()) {
      throw ConfigError("interpolation_key_not_found",
                        fmt::format("{}: '${{{}}}' climbs above the root", where, path));
    }
    current.chain.assign(place.chain.begin(),
                         place.chain.end() - static_cast<std::ptrdiff_t>(climb));
  }
  for (const std::string& part : parts) {
    const Place container = followed(current);
    std::optional<Place> next = child(container, part);
    if (!next && container.node().is_missing()) {
      throw ConfigError(
          "interpolation_to_missing",
          fmt::format(
              "{}: '${{{}}}' leads to ??? at {}", where, path, container.node().mark().text()));
    }
    if (!next) {
      const std::vector<std::string> keys = container.node().keys();
      const std::string nearest_key = did_you_mean(part, keys);
      throw ConfigError("interpolation_key_not_found",
                        fmt::format("{}: '${{{}}}' finds no '{}'{} Known keys: {}",
                                    where,
                                    path,
                                    part,
                                    nearest_key.empty() ? "." : nearest_key,
                                    join(keys)));
    }
    current = *std::move(next);
  }
  if (current.node().is_missing() && !literal_.contains(current.chain.front())) {
    throw ConfigError(
        "interpolation_to_missing",
        fmt::format("{}: '${{{}}}' leads to ??? at {}", where, path, current.node().mark().text()));
  }
  if (active_.contains(&current.node())) {
    throw ConfigError("interpolation_cycle",
                      fmt::format("{}: '${{{}}}' needs its own value", where, path));
  }
  return followed(current);
}

Place Resolver::evaluate_call(const Expression& expression, const Place& place) {
  const std::string name = python_text(evaluate_value(expression.parts[0], place));
  std::vector<Node> arguments;
  for (std::size_t i = 1; i < expression.parts.size(); ++i) {
    arguments.push_back(evaluate_value(expression.parts[i], place));
  }
  Node value = call_resolver(*this, name, arguments, place);
  value.set_mark(place.node().mark());
  return keep(std::move(value));
}

}  // namespace triptych::config
