// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/interpolation.h"
#include "framework/config/interpolation_parser.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace triptych::config {

/// A node of a tree together with the containers that hold it, outermost first. Interpolations
/// that begin with dots climb this chain.
struct Place {
  std::vector<const Node*> chain;
  const Node& node() const { return *chain.back(); }
};

/// Evaluates interpolations lazily in one tree, which must not change meanwhile.
///
/// What has been evaluated is kept; a value that needs itself is `interpolation_cycle`; the work is
/// bounded, because a short text can ask for an exponential result.
class Resolver {
 public:
  Resolver(const Node& root, const ResolveContext& context) : root_(root), context_(context) {}

  Place root() const { return {{&root_}}; }

  /// The value at a place with all interpolations inside resolved.
  Node value_of(const Place& place);

  /// The place itself, or what it leads to if it is an interpolation.
  Place followed(const Place& place);

  /// Child of a list or map by its text, not followed; nothing if there is none.
  std::optional<Place> child(const Place& container, const std::string& part);

  /// Walks a path, following interpolations on the way but not at its end; nothing if it ends
  /// nowhere or at a "???" on the way.
  std::optional<Place> find(Place start, const std::vector<std::string>& path);

  /// A node made here (the result of a resolver), alive as long as this object.
  Place keep(Node value);

  const ResolveContext& context() const { return context_; }

  /// Evaluates an expression that stands at `place`.
  Place evaluate(const Expression& expression, const Place& place);
  /// The same as a value without interpolations.
  Node evaluate_value(const Expression& expression, const Place& place);

 private:
  Place evaluate_node(const Expression& expression, const Place& place);
  Place evaluate_text(const Expression& expression, const Place& place);
  Place evaluate_call(const Expression& expression, const Place& place);
  void spend(std::size_t amount, const Place& place);

  const Node& root_;
  ResolveContext context_;
  std::deque<Node> made_;
  /// Nodes that are finished values: their texts are not interpolated again.
  std::set<const Node*> literal_;
  std::map<const Node*, Place> followed_;
  std::set<const Node*> active_;
  std::size_t spent_ = 0;
  int depth_ = 0;
};

/// Runs a built-in resolver (`oc.env`, `now`, ...); in resolver_functions.cc.
Node call_resolver(Resolver& resolver,
                   const std::string& name,
                   const std::vector<Node>& arguments,
                   const Place& place);

}  // namespace triptych::config
