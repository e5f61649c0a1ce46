// SPDX-License-Identifier: Apache-2.0
#include "framework/config/interpolation.h"

#include "framework/config/interpolation_parser.h"
#include "framework/config/resolver.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych::config {

bool is_interpolation(const Node& node) {
  return node.is_string() && node.as_string().find("${") != std::string::npos;
}

void check_interpolation_syntax(const Node& tree) {
  if (is_interpolation(tree)) parse_interpolated(tree.as_string(), tree.mark());
  if (tree.is_list()) {
    for (const Node& element : tree.as_list()) check_interpolation_syntax(element);
  } else if (tree.is_map()) {
    for (const Entry& entry : tree.as_map()) check_interpolation_syntax(entry.value);
  }
}

Node resolve(const Node& root, const ResolveContext& context) {
  Resolver resolver(root, context);
  return resolver.value_of(resolver.root());
}

Node resolve_without(const Node& root, std::string_view key, const ResolveContext& context) {
  Resolver resolver(root, context);
  Node value = Node::map(root.mark());
  for (const Entry& entry : root.as_map()) {
    if (entry.key.is(key)) continue;
    value.as_map().push_back({entry.key, resolver.value_of({{&root, &entry.value}})});
  }
  return value;
}

Node resolve_at(const Node& root, std::string_view path, const ResolveContext& context) {
  Resolver resolver(root, context);
  Place place = resolver.root();
  std::string walked;
  for (const std::string& part : split_path(path)) {
    const Place parent = resolver.followed(place);
    if (parent.node().is_missing()) {
      throw ConfigError("missing_value",
                        fmt::format("{}: '{}' is ???, a value that has to be filled",
                                    parent.node().mark().text(),
                                    walked));
    }
    std::optional<Place> child = resolver.child(parent, part);
    walked += (walked.empty() ? "" : ".") + part;
    if (!child) {
      if (parent.node().is_list()) {
        throw ConfigError("index_out_of_range",
                          fmt::format("{}: no element '{}'; the list has {} elements",
                                      parent.node().mark().text(),
                                      walked,
                                      parent.node().size()));
      }
      const std::vector<std::string> keys = parent.node().keys();
      const std::string nearest_key = did_you_mean(part, keys);
      throw ConfigError("key_not_found",
                        fmt::format("{}: no key '{}'{} Known keys: {}",
                                    parent.node().mark().text(),
                                    walked,
                                    nearest_key.empty() ? "." : nearest_key,
                                    join(keys)));
    }
    place = *std::move(child);
  }
  Node value = resolver.value_of(place);
  if (place.node().is_missing()) {
    throw ConfigError(
        "missing_value",
        fmt::format(
            "{}: '{}' is ???, a value that has to be filled", place.node().mark().text(), path));
  }
  return value;
}

std::optional<Node> select(const Node& root, std::string_view path, const ResolveContext& context) {
  Resolver resolver(root, context);
  const std::optional<Place> place = resolver.find(resolver.root(), split_path(path));
  if (!place || place->node().is_missing()) return std::nullopt;
  return resolver.value_of(*place);
}

namespace {

bool find_chain(const Node& current, const Node& wanted, std::vector<const Node*>& chain) {
  chain.push_back(&current);
  if (&current == &wanted) return true;
  if (current.is_list()) {
    for (const Node& element : current.as_list()) {
      if (find_chain(element, wanted, chain)) return true;
    }
  } else if (current.is_map()) {
    for (const Entry& entry : current.as_map()) {
      if (find_chain(entry.value, wanted, chain)) return true;
    }
  }
  chain.pop_back();
  return false;
}

}  // namespace

std::optional<Node> container_target(const Node& root, const Node& node) {
  Resolver resolver(root, {});
  Place place;
  if (!find_chain(root, node, place.chain)) return std::nullopt;
  try {
    const Place target = resolver.followed(place);
    if (target.node().is_scalar()) return std::nullopt;
    return target.node();
  } catch (const ConfigError&) {
    // Nothing to copy yet: the interpolation is replaced by what is merged over it.
    return std::nullopt;
  }
}

Node escape_interpolations(const Node& tree) {
  Node copy = tree;
  if (copy.is_string()) {
    std::string text;
    const std::string& source = tree.as_string();
    for (std::size_t i = 0; i < source.size();) {
      std::size_t run = i;
      while (run < source.size() && source[run] == '\\') ++run;
      const bool opens = source.compare(run, 2, "${") == 0;
      text.append(opens ? 2 * (run - i) + 1 : run - i, '\\');
      if (run < source.size()) text += source[run];
      i = run + 1;
    }
    copy = Node(std::move(text), tree.mark());
  } else if (copy.is_list()) {
    for (Node& element : copy.as_list()) element = escape_interpolations(element);
  } else if (copy.is_map()) {
    for (Entry& entry : copy.as_map()) entry.value = escape_interpolations(entry.value);
  }
  return copy;
}

}  // namespace triptych::config
