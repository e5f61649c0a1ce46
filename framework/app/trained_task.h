// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/app/run_files.h"
#include "framework/infer/plane_fusion.h"

namespace triptych::app {

/// One task of a stored run, ready to predict.
struct TrainedTask {
  std::unique_ptr<Experiment> experiment;
  std::string key;

  /// Channels of the image that the task's role `image` takes.
  std::int64_t channels() const;
};

/// Opens a run; `task` may be empty when the run has one. `device` and `infer` change what the run stored.
TrainedTask open_task(const std::string& run, const std::string& checkpoint, const std::string& task,
                      const std::string& device, const config::Node& infer);

/// Predicts a harmonised volume [C, D, H, W] as `infer` says. Several plane sets need cubic voxels: geometry_error otherwise.
FusedVolume predict_volume(TrainedTask& task, const VolumeStore& input, const Geometry& geometry, MemoryBudget& budget,
                           const std::filesystem::path& scratch);

/// A label map [1, D, H, W] and the way it was made: "rc", "pc", ..., "soft-3", "majority-3", "soft-9", "majority-9".
struct NamedLabels {
  std::string name;
  at::Tensor labels;
};
/// Every plane set alone and every fusion, each plane set predicted once.
std::vector<NamedLabels> predict_every_way(TrainedTask& task, const VolumeStore& input, const Geometry& geometry,
                                           MemoryBudget& budget, const std::filesystem::path& scratch);

}  // namespace triptych::app
