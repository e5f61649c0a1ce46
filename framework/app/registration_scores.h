// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/registration_inputs.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace triptych::app {

/// How well a pair fits under a transform. What cannot be measured is NaN or empty.
struct PairScores {
  std::string stage;                ///< "before", "start" or "deformation"
  double seconds = 0.0;             ///< that the stage took
  double overlap = 0.0;             ///< share of the fixed image onto which the moving one falls
  double local_ncc = 0.0;           ///< ops/similarity.h, over the overlap
  double mutual_information = 0.0;  ///< in nats, over the overlap
  std::map<std::int64_t, double> dice;  ///< of each label > 0 that one of the images has
  std::map<std::int64_t, double> hd95;  ///< in mm (pixels), of labels that both have
  std::vector<double> landmark_errors;  ///< in mm (pixels), in the order of the pairs
  std::optional<ReferenceError> reference;
};

/// Scores of a transform, similarity at working resolution, labels at that of the fixed ones.
/// `with_surfaces` also measures hd95 where the labels fit into memory as whole volumes.
PairScores score(const RegistrationInputs& inputs,
                 const SpatialTransform& moving_from_fixed,
                 const std::string& stage,
                 bool with_surfaces);

/// Mean over the labels; NaN without any.
double mean_of(const std::map<std::int64_t, double>& values);

}  // namespace triptych::app
