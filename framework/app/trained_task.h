// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "framework/app/run_files.h"
#include "framework/infer/volume_predictor.h"

namespace triptych::app {

/// One task of a stored run, ready to predict.
struct TrainedTask {
  std::unique_ptr<Experiment> experiment;
  std::string key;
  std::string modality;       ///< of the role `image`
  std::int64_t channels = 1;  ///< of the role `image`

  const ExperimentTask& task() const { return experiment->task(key); }
  const InferConfig& infer() const { return experiment->config().infer; }
  std::filesystem::path scratch() const;
  /// Predicts volumes as `infer` says.
  VolumePredictor predictor() const;
};

/// Opens a run; `task` may be empty when the run has one. `device` (empty = as stored) and the keys of `infer` change what
/// the run stored.
TrainedTask open_task(const std::string& run,
                      const std::string& checkpoint,
                      const std::string& task,
                      const std::string& device,
                      const config::Node& infer);

}  // namespace triptych::app
