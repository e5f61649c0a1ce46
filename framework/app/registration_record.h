// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/registration_scores.h"
#include "framework/config/node.h"
#include "framework/ops/jacobian.h"
#include "framework/report/table.h"

#include <string>
#include <vector>

namespace triptych::app {

/// A finished registration, for people and programs to read.
struct RegistrationRecord {
  const RegistrationInputs& inputs;
  config::Node settings;           ///< all keys with their values
  std::vector<PairScores> stages;  ///< in their order, "before" first
  JacobianStatistics regularity;   ///< of the deformation at working resolution
  double fill = 0.0;
};

/// A row for each stage.
Table stage_table(const RegistrationRecord& record);
/// What `registration.json` holds: settings, versions, scores of the stages; NaN is null.
std::string json_of(const RegistrationRecord& record);

}  // namespace triptych::app
