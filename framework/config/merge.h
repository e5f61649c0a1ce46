// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <string_view>

namespace triptych::config {

struct MergeOptions {
  /// Refuse keys that the destination does not have (category `key_not_found`).
  bool closed = false;
};

/// Merges `source` over `destination`, both maps, as OmegaConf does: maps deep; lists, scalars and
/// null replace; `???` never replaces; a list against a map is an error (`merge_type_mismatch`).
/// `root` is the whole configuration, needed where `destination` holds an interpolation: a map
/// merged over one copies what it points at.
void merge(Node& destination, const Node& source, const Node& root, MergeOptions options = {});

/// `content` inside maps for each part of `package` ("a.b"); itself if the package is empty.
Node embed(Node content, std::string_view package);

}  // namespace triptych::config
