// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/experiment.h"
#include "framework/ops/projector.h"

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

namespace triptych::app {

/// A trained head that reconstructs (role `projections`), ready to be called.
class LearnedReconstruction {
 public:
  /// Opens a run; `task` may be empty when the run has one, `device` to keep the training's. Throws
  /// usage_error for a task whose head reads anything but `projections` and `metal`.
  LearnedReconstruction(const std::string& run,
                        const std::string& checkpoint,
                        const std::string& task,
                        const std::string& device);

  bool reads_metal() const { return reads_metal_; }
  /// Slices [D, H, W] float32 on the CPU from `projections` [D, A, W], each slice an item of its
  /// own. `metal` [D, H, W], not zero where there is metal; only where reads_metal().
  at::Tensor operator()(const at::Tensor& projections,
                        const at::Tensor& metal,
                        std::shared_ptr<const ScanGeometry> scan,
                        const SliceGrid& grid) const;

 private:
  std::unique_ptr<Experiment> experiment_;
  std::string task_;
  bool reads_metal_ = false;
};

}  // namespace triptych::app
