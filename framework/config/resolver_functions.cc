// SPDX-License-Identifier: Apache-2.0
// The resolvers of OmegaConf and Hydra: ${oc.env:...}, ${oc.select:...}, ${now:...}, ...
#include "framework/config/resolver.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <cstdlib>
#include <ctime>

namespace triptych::config {
namespace {

struct Call {
  Resolver& resolver;
  const std::string& name;
  const std::vector<Node>& arguments;
  const Place& place;

  ConfigError error(const std::string& what, const char* category = "resolver_error") const {
    return ConfigError(category,
                       fmt::format("{}: ${{{}:...}}: {}", place.node().mark().text(), name, what));
  }

  void expect_arguments(std::size_t least, std::size_t most) const {
    if (arguments.size() >= least && arguments.size() <= most) return;
    const std::string expected =
        least == most ? std::to_string(least) : fmt::format("{} to {}", least, most);
    throw error(fmt::format("takes {} arguments, got {}", expected, arguments.size()));
  }

  const std::string& text(std::size_t index) const {
    if (!arguments[index].is_string()) {
      throw error(
          fmt::format("argument {} must be text, got {}", index + 1, arguments[index].brief()));
    }
    return arguments[index].as_string();
  }

  /// A key as these resolvers take it: absolute, or relative if it starts with a dot.
  std::optional<Place> find_key(const std::string& key) const {
    const std::size_t dots = std::min(key.find_first_not_of('.'), key.size());
    Place start = resolver.root();
    if (dots > 0) {
      if (dots >= place.chain.size()) return std::nullopt;
      start.chain.assign(place.chain.begin(),
                         place.chain.end() - static_cast<std::ptrdiff_t>(dots));
    }
    std::string dotted;
    for (const char c : key.substr(dots)) {
      if (c == '[') {
        if (!dotted.empty()) dotted += '.';
      } else if (c != ']') {
        dotted += c;
      }
    }
    return resolver.find(std::move(start), split_path(dotted));
  }
};

Node env(const Call& call) {
  call.expect_arguments(1, 2);
  const std::string& variable = call.text(0);
  if (const char* value = std::getenv(variable.c_str())) return Node(value);
  if (call.arguments.size() == 1) {
    throw call.error(fmt::format("environment variable '{}' is not set", variable),
                     "env_not_found");
  }
  const Node& fallback = call.arguments[1];
  return fallback.is_null() ? Node() : Node(python_text(fallback));
}

Node select(const Call& call) {
  call.expect_arguments(1, 2);
  const std::optional<Place> place = call.find_key(call.text(0));
  if (place && !place->node().is_missing()) return call.resolver.value_of(*place);
  return call.arguments.size() == 2 ? call.arguments[1] : Node();
}

Node decode(const Call& call) {
  call.expect_arguments(1, 1);
  if (call.arguments[0].is_null()) return Node();
  Expression expression;
  try {
    expression = parse_argument(call.text(0), call.place.node().mark());
  } catch (const ConfigError& error) {
    throw call.error(error.what());
  }
  return call.resolver.evaluate_value(expression, call.place);
}

Node create(const Call& call) {
  call.expect_arguments(1, 1);
  const Node& argument = call.arguments[0];
  if (!argument.is_string()) {
    if (argument.is_scalar())
      throw call.error(fmt::format("expects a list, a map or YAML text, got {}", argument.brief()));
    return argument;
  }
  Node value;
  try {
    value = parse_yaml(argument.as_string(), call.name);
  } catch (const ConfigError& error) {
    throw call.error(error.what());
  }
  if (value.is_null()) return Node::map();
  if (!value.is_string()) return value;
  Node map = Node::map();
  map.set(value.as_string(), Node());
  return map;
}

/// The map that oc.dict.keys and oc.dict.values work on.
Node map_argument(const Call& call) {
  call.expect_arguments(1, 1);
  Node value = call.arguments[0];
  if (value.is_string()) {
    const std::optional<Place> place = call.find_key(value.as_string());
    if (!place || place->node().is_missing())
      throw call.error(fmt::format("no key '{}'", value.as_string()));
    value = call.resolver.value_of(*place);
  }
  if (!value.is_map())
    throw call.error(fmt::format("expects a map or the key of one, got {}", value.brief()));
  return value;
}

Node dict_keys(const Call& call) {
  Node keys = Node::list();
  const Node map = map_argument(call);
  for (const Entry& entry : map.as_map()) {
    keys.as_list().push_back(
        std::visit([](const auto& key) { return Node(key); }, entry.key.value()));
  }
  return keys;
}

Node dict_values(const Call& call) {
  Node values = Node::list();
  const Node map = map_argument(call);
  for (const Entry& entry : map.as_map()) values.as_list().push_back(entry.value);
  return values;
}

Node deprecated(const Call& call) {
  call.expect_arguments(1, 2);
  const std::optional<Place> place = call.find_key(call.text(0));
  if (!place) throw call.error(fmt::format("no key '{}'", call.text(0)));
  if (call.resolver.context().warnings != nullptr) {
    call.resolver.context().warnings->push_back(
        fmt::format("{}: this key is deprecated, use '{}'{}",
                    call.place.node().mark().text(),
                    call.text(0),
                    call.arguments.size() == 2 ? ": " + call.text(1) : ""));
  }
  return call.resolver.value_of(*place);
}

Node now(const Call& call) {
  call.expect_arguments(1, 1);
  const std::time_t chosen = call.resolver.context().now;
  const std::time_t moment = chosen != 0 ? chosen : std::time(nullptr);
  std::tm parts{};
  localtime_r(&moment, &parts);
  char buffer[256];
  const std::size_t length = std::strftime(buffer, sizeof buffer, call.text(0).c_str(), &parts);
  return Node(std::string(buffer, length));
}

Node hydra(const Call& call) {
  call.expect_arguments(1, 1);
  const Node* tree = call.resolver.context().hydra;
  if (tree == nullptr) throw call.error("is known only while a command line is composed");
  ResolveContext context = call.resolver.context();
  // The tree of hydra refers to itself as `hydra`.
  Node root = Node::map();
  root.set("hydra", *tree);
  try {
    return resolve_at(root, "hydra." + call.text(0), context);
  } catch (const ConfigError& error) {
    throw call.error(error.what());
  }
}

struct Function {
  const char* name;
  Node (*run)(const Call&);
};

constexpr Function kFunctions[] = {
    {"hydra", hydra},
    {"now", now},
    {"oc.create", create},
    {"oc.decode", decode},
    {"oc.deprecated", deprecated},
    {"oc.dict.keys", dict_keys},
    {"oc.dict.values", dict_values},
    {"oc.env", env},
    {"oc.select", select},
};

}  // namespace

Node call_resolver(Resolver& resolver,
                   const std::string& name,
                   const std::vector<Node>& arguments,
                   const Place& place) {
  const Call call{resolver, name, arguments, place};
  std::vector<std::string> names;
  for (const Function& function : kFunctions) {
    if (name == function.name) return function.run(call);
    names.emplace_back(function.name);
  }
  throw call.error(
      fmt::format("no such resolver{} Resolvers: {}", did_you_mean(name, names), join(names)),
      "unknown_resolver");
}

}  // namespace triptych::config
