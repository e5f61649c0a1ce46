// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <map>
#include <string>
#include <vector>

namespace triptych {

/// What a task takes from other tasks. All of them predict from the same batches.
struct TaskEdges {
  std::vector<std::string> reads_from = {};
  std::map<std::string, std::string> inputs = {};
  std::map<std::string, std::string> feedback = {};
  bool pass_gradients = true;

  void visit(auto& field) {
    field("reads_from", reads_from, "tasks whose predictions the head may read");
    field("inputs",
          inputs,
          "roles whose image another task makes, e.g. {image: denoising}: features then come from "
          "that task's prediction; a displacement warps the role's own image");
    field("feedback",
          feedback,
          "the same from the second of `rounds` on, from predictions of the round before; so tasks "
          "may take from each other");
    field("pass_gradients",
          pass_gradients,
          "false: what is taken from other tasks is constant, and they do not learn from this one");
  }

  /// Tasks that must be predicted before this one in every round.
  std::vector<std::string> sources() const;
  /// Those and the ones of `feedback`, each once.
  std::vector<std::string> all_sources() const;
};

}  // namespace triptych
