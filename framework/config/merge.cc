// SPDX-License-Identifier: Apache-2.0
#include "framework/config/merge.h"

#include "framework/config/interpolation.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <optional>

namespace triptych::config {
namespace {

void merge_value(Node& destination, const Node& source, const Node& root, MergeOptions options) {
  if (source.is_missing()) return;
  if (!source.is_scalar() && is_interpolation(destination)) {
    // OmegaConf: what the interpolation points at is copied, then merged into.
    if (std::optional<Node> target = container_target(root, destination))
      destination = *std::move(target);
  }
  if (destination.is_map() && source.is_map()) return merge(destination, source, root, options);
  if (destination.is_scalar() || source.is_scalar() || destination.kind() == source.kind()) {
    destination = source;
    return;
  }
  throw ConfigError("merge_type_mismatch",
                    fmt::format("{}: cannot merge {} over {} from {}",
                                source.mark().text(),
                                source.kind_name(),
                                destination.kind_name(),
                                destination.mark().text()));
}

}  // namespace

void merge(Node& destination, const Node& source, const Node& root, MergeOptions options) {
  if (!destination.is_map() || !source.is_map()) {
    throw ConfigError("merge_type_mismatch",
                      fmt::format("{}: cannot merge {} over {} from {}",
                                  source.mark().text(),
                                  source.kind_name(),
                                  destination.kind_name(),
                                  destination.mark().text()));
  }
  for (const Entry& entry : source.as_map()) {
    if (Node* present = destination.child(entry.key)) {
      merge_value(*present, entry.value, root, options);
    } else if (options.closed) {
      const std::string nearest_key = did_you_mean(entry.key.text(), destination.keys());
      throw ConfigError("key_not_found",
                        fmt::format("{}: unknown key '{}'{} Known keys: {}",
                                    entry.key.mark().text(),
                                    entry.key.text(),
                                    nearest_key.empty() ? "." : nearest_key,
                                    join(destination.keys())));
    } else {
      destination.as_map().push_back(entry);
    }
  }
}

Node embed(Node content, std::string_view package) {
  const std::vector<std::string> parts = split_path(package);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    Node outer = Node::map(content.mark());
    outer.set(*part, std::move(content));
    content = std::move(outer);
  }
  return content;
}

}  // namespace triptych::config
