// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/config_repository.h"
#include "framework/config/defaults_entry.h"
#include "framework/config/override.h"

#include <map>
#include <string>
#include <vector>

namespace triptych::config {

/// One step of the composition: a file and the package its body goes to.
struct DefaultsStep {
  std::string config;
  std::string package;
  std::string parent;  ///< the file that asked for it; "" for the primary one
  bool is_self = false;
  Mark mark;
};

struct DefaultsResult {
  std::vector<DefaultsStep> steps;             ///< in the order of merging
  std::map<std::string, std::string> choices;  ///< override key -> option ("null" if none)
  std::vector<Override> value_overrides;       ///< words that chose no group
};

/// Expands the defaults list of the primary configuration.
///
/// Words whose key names a folder choose options; the others come back as `value_overrides`.
/// `skip_missing` leaves groups whose option is "???" alone: a sweep may fill them.
DefaultsResult expand_defaults(ConfigRepository& repository,
                               const std::string& primary,
                               const std::vector<Override>& overrides,
                               bool skip_missing);

}  // namespace triptych::config
