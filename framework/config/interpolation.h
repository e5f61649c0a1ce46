// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triptych::config {

/// True for a text with an interpolation in it.
bool is_interpolation(const Node& node);

/// Refuses malformed interpolations anywhere in the tree (category `interpolation_syntax`).
void check_interpolation_syntax(const Node& tree);

/// What interpolations see beside the configuration itself.
struct ResolveContext {
  /// Tree of `${hydra:...}`; may be null.
  const Node* hydra = nullptr;
  /// Moment of `${now:...}`; the current one if 0.
  std::time_t now = 0;
  /// Receives the messages of `oc.deprecated`; may be null.
  std::vector<std::string>* warnings = nullptr;
};

/// The tree with every interpolation replaced by its value. "???" stays.
Node resolve(const Node& root, const ResolveContext& context = {});

/// The resolved tree less one key of the top, which interpolations see all the same.
Node resolve_without(const Node& root, std::string_view key, const ResolveContext& context);

/// The resolved value at a dotted path; categories `key_not_found`, `index_out_of_range`,
/// `missing_value` and those of interpolations.
Node resolve_at(const Node& root, std::string_view path, const ResolveContext& context = {});

/// The resolved value at a path, nothing if it is absent or "???".
std::optional<Node> select(const Node& root,
                           std::string_view path,
                           const ResolveContext& context = {});

/// The unresolved list or map that the interpolation `node` inside `root` points at, if it does.
std::optional<Node> container_target(const Node& root, const Node& node);

/// The tree with `${` in texts escaped, so that resolving it gives the same texts.
Node escape_interpolations(const Node& tree);

}  // namespace triptych::config
