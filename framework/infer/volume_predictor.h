// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "framework/infer/infer_config.h"
#include "framework/infer/plane_fusion.h"

namespace triptych {

class MultiTaskModel;

/// What whole-volume prediction must know of a network: logits of an image [1, C, D, H, W] of fitting size on `device`.
struct ClassifierNetwork {
  std::function<at::Tensor(const at::Tensor& image)> logits;  ///< -> [1, K, D or 1, H, W]
  std::int64_t classes = 0;
  std::int64_t slab = 1;  ///< as Backbone::slab(): 1 slices, S slabs, 0 volumes
  std::array<std::int64_t, 3> size_multiple{1, 1, 1};
  c10::Device device = c10::Device(c10::kCPU);
};

/// A task of a model that reads the one role `image` of `modality`. The model must outlive the result and be in evaluation
/// mode; call prepare_inference() before, which folds it.
ClassifierNetwork classifier_network(MultiTaskModel& model,
                                     const std::string& task,
                                     const std::string& modality,
                                     c10::Device device);

/// A label map and the way it was made: "rc", "pc", "pr", "soft-3", "majority-3", "soft-9", "majority-9", or "blocks".
struct NamedLabels {
  std::string name;
  std::unique_ptr<VolumeStore> labels;  ///< [1, D, H, W] uint8
};

/// Predicts whole volumes [C, D, H, W]: a 2D network slice by slice along the configured plane sets, a 3D network in
/// overlapping blocks. Pads to the network's stride by edge replication and crops back; softmax in float32; bfloat16
/// autocast where configured; no autograd. A volume of one slice (D = 1) has one plane set, whatever is configured.
class VolumePredictor {
 public:
  VolumePredictor(ClassifierNetwork network, InferConfig config);

  /// Several plane sets need cubic voxels: geometry_error otherwise. What `config.outputs` names is kept besides the labels.
  FusedVolume predict(const VolumeStore& input,
                      const Geometry& geometry,
                      MemoryBudget& budget,
                      const std::filesystem::path& scratch) const;

  /// Each axis-aligned plane set alone and every fusion of three (and, for infer.planes = 9, of nine) sets, with each set
  /// predicted once. The accumulators of all of these live at the same time.
  std::vector<NamedLabels> predict_every_way(const VolumeStore& input,
                                             const Geometry& geometry,
                                             MemoryBudget& budget,
                                             const std::filesystem::path& scratch) const;

  /// Probabilities of a slab's central slice or of a block, [1, K, 1 or D, H, W] float32 on the CPU.
  at::Tensor classify(const at::Tensor& image) const;

 private:
  int plane_count(const VolumeStore& input, const Geometry& geometry) const;

  ClassifierNetwork network_;
  InferConfig config_;
};

}  // namespace triptych
