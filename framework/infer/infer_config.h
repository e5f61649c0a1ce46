// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// Key `infer` of the configuration.
struct InferConfig {
  std::int64_t planes = 3;
  std::int64_t axis = 0;
  std::string fusion = "soft";
  std::string memory = "4GB";
  std::string scratch;
  std::string precision = "float32";
  std::vector<std::string> outputs = {"labels"};
  std::array<std::int64_t, 3> block = {96, 96, 96};
  double overlap = 0.25;

  void visit(auto& field) {
    field("planes",
          planes,
          "slicing plane sets of a 2D network: 1, 3 or 9 (six at 45 degrees)",
          config::Between{1, 9});
    field("axis",
          axis,
          "slicing axis of planes = 1 (0 = D, 1 = H, 2 = W); for thick slices the one they are "
          "stacked along",
          config::Between{0, 2});
    field("fusion",
          fusion,
          "soft = mean probability, majority = most votes",
          config::OneOf{"soft", "majority"});
    field("memory",
          memory,
          "memory for input and accumulators, e.g. 4GB; beyond it a scratch file serves");
    field("scratch", scratch, "folder of scratch files; empty = the system's temporary folder");
    field(
        "precision", precision, "arithmetic of the network", config::OneOf{"float32", "bfloat16"});
    field("outputs",
          outputs,
          "what predict writes",
          config::OneOf{"labels", "probabilities", "entropy", "disagreement"});
    field("block",
          block,
          "D, H, W of the blocks that a 3D network sees",
          config::AtLeast{1},
          config::Unit{"voxels"});
    field("overlap",
          overlap,
          "part of a block that it shares with its neighbour",
          config::Between{0.0, 0.5});
  }
  void validate(config::Problems& problems) const;
};

}  // namespace triptych
