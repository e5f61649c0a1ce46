// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/run_files.h"
#include "framework/infer/volume_predictor.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych::app {

/// An image that a task reads to predict.
struct InputRole {
  std::string role;
  std::string modality;
  std::int64_t channels = 1;
};

/// A whole image [C, D, H, W] float32 and its grid.
struct InputImage {
  const VolumeStore* store = nullptr;
  Geometry geometry;
};

/// One task of a stored run, ready to predict.
struct TrainedTask {
  std::unique_ptr<Experiment> experiment;
  std::string key;
  std::filesystem::path checkpoint;  ///< folder of the weights
  std::vector<InputRole> inputs;     ///< the one whose grid the prediction lies on comes first

  const ExperimentTask& task() const { return experiment->task(key); }
  const InferConfig& infer() const { return experiment->config().infer; }
  std::filesystem::path scratch() const;
  /// Predicts volumes as `infer` says.
  VolumePredictor predictor() const { return predictor(infer()); }
  VolumePredictor predictor(const InferConfig& infer) const;
  /// Grid of the prediction for an image on `image`.
  Geometry prediction_grid(const Geometry& image) const;
  /// Predicts from one image for each of `inputs`, as Task::volume_prediction() says.
  PredictedVolume predict(const std::map<std::string, InputImage>& images,
                          MemoryBudget& budget) const;
};

/// The key of the experiment's task; throws usage_error naming them when there are several.
std::string only_task(const Experiment& experiment);

/// Opens a run; `task` may be empty when the run has one. `device` (empty = as stored) and the keys
/// of `infer` change what the run stored. Throws usage_error for a task that reads anything but
/// images.
TrainedTask open_task(const std::string& run,
                      const std::string& checkpoint,
                      const std::string& task,
                      const std::string& device,
                      const config::Node& infer);

}  // namespace triptych::app
