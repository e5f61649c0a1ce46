// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/safetensors.h"
#include "framework/image/class_table.h"

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// What a run needs besides weights and optimiser moments to go on as if nothing had happened.
/// Random streams and sampler positions follow from seed and step.
struct TrainState {
  std::int64_t step = 0;  ///< optimiser steps done
  std::int64_t validated_step =
      -1;  ///< step of the last finished validation; a stop may come between step and validation
  double best_value = 0.0;
  std::int64_t best_step = -1;
  std::map<std::string, double>
      first_metrics;  ///< metric values of the first validation, for relative changes
  std::map<std::string, double> schedule;
  std::map<std::string, ClassTable>
      classes;  ///< of each task, so that prediction needs no data set
  std::map<std::string, std::int64_t> channels;  ///< input channels of each modality, likewise
  bool early_stopped = false;
};

/// A checkpoint folder: state.yaml and <name>.safetensors for each of `parts` (model, weighting,
/// optimizer, ...). Written whole or not at all: the folder that was there before stays until the
/// new one is complete.
void write_checkpoint(const std::filesystem::path& folder,
                      const std::vector<std::pair<std::string, NamedTensors>>& parts,
                      const TrainState& state);

/// Puts back the previous checkpoint when a killed process left `folder` missing between two
/// renames, and removes what else it left beside it. Only for a folder that nobody is writing to.
/// Returns true when `folder` exists afterwards.
bool recover_checkpoint(const std::filesystem::path& folder);

TrainState read_train_state(const std::filesystem::path& folder);
SafeTensors read_checkpoint_part(const std::filesystem::path& folder, const std::string& name);
SafeTensors read_model_state(const std::filesystem::path& folder);

/// Parameters and buffers into `module`, from the tensors whose names start with `prefix` (cut).
/// Throws model_error listing (at most five each) missing, unknown and differently shaped tensors,
/// with a hint that the checkpoint is of another model; then nothing was changed. `place` starts
/// the message.
void load_module(torch::nn::Module& module,
                 const SafeTensors& tensors,
                 const std::string& prefix,
                 const std::string& place);

/// Parameters and buffers by name, with `prefix` put before each.
NamedTensors module_tensors(const torch::nn::Module& module, const std::string& prefix);

/// "a, b, c and 4 more": at most five of the names.
std::string some_of(std::vector<std::string> names);
/// "[2, 3]".
std::string shape_text(const at::Tensor& tensor);

/// SHA-256 over names, shapes and bytes of all tensors of model.safetensors: equal weights, equal
/// text.
std::string weights_checksum(const std::filesystem::path& folder);

}  // namespace triptych
