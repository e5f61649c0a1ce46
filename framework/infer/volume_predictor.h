// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/infer/infer_config.h"
#include "framework/infer/plane_fusion.h"
#include "framework/infer/vote_accumulator.h"
#include "framework/model/head.h"

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace triptych {

class MultiTaskModel;

/// What whole-volume prediction must know of a network.
struct VolumeNetwork {
  std::function<Prediction(const Batch& batch)> predict;  ///< images of fitting size on `device`
  std::function<at::Tensor(const Prediction&)>
      activate;                ///< probabilities of logits; other kinds as they are written
  std::int64_t channels = 0;   ///< of Prediction::value
  std::string role = "image";  ///< of the one image that slices and blocks are cut from
  std::string modality;
  std::int64_t slab = 1;  ///< as Backbone::slab(): 1 slices, S slabs, 0 volumes
  std::array<std::int64_t, 3> size_multiple{1, 1, 1};
  Index3 upsampling{1, 1, 1};  ///< as Head::upsampling()
  c10::Device device = c10::Device(c10::kCPU);
};

/// A task of a model whose head reads one image of `modality`. The model must outlive the result
/// and be in evaluation mode; call prepare_inference() before, which folds it. For a head that
/// reads no role or several, `role` is "" and only predict_whole is possible.
VolumeNetwork volume_network(MultiTaskModel& model,
                             const std::string& task,
                             const std::string& modality,
                             c10::Device device,
                             std::function<at::Tensor(const Prediction&)> activate);

/// What a task says of a whole volume.
struct PredictedVolume {
  Prediction::Kind kind = Prediction::Kind::kLogits;
  FusedVolume classes;                  ///< kLogits only
  std::unique_ptr<VolumeStore> values;  ///< other kinds: [C, D, H, W] float32

  /// For metrics, sharing the stores' data: labels as kLabels [1, 1, D, H, W] uint8, or the values
  /// [1, C, D, H, W].
  Prediction prediction() const;
};

/// A label map and the way it was made: "rc", "pc", "pr", "soft-3", "majority-3", "soft-9",
/// "majority-9", or "blocks".
struct NamedLabels {
  std::string name;
  std::unique_ptr<VolumeStore> labels;  ///< [1, D, H, W] uint8
};

/// Predicts whole volumes [C, D, H, W]: a 2D network slice by slice along the configured plane
/// sets, a 3D network in overlapping blocks. Pads to the network's stride by edge replication and
/// crops back; activation in float32; bfloat16 autocast where configured; no autograd. A volume of
/// one slice (D = 1) has one plane set, whatever is configured.
class VolumePredictor {
 public:
  VolumePredictor(VolumeNetwork network, InferConfig config);

  /// The kind of what the network gives, found by predicting a small image of zeros, decides: votes
  /// for logits, means for intensities and displacements. Several plane sets need cubic voxels:
  /// geometry_error otherwise. A network that upsamples predicts slices along one axis: usage_error
  /// for more plane sets, model_error for a 3D one. What `config.outputs` names is kept besides the
  /// labels.
  PredictedVolume predict(const VolumeStore& input,
                          const Geometry& geometry,
                          MemoryBudget& budget,
                          const std::filesystem::path& scratch) const;

  /// One call of the network on whole entries (VolumePrediction::kGlobal): `batch` holds one item,
  /// as large as memory allows; the prediction lies on the grid of the role `reference`.
  PredictedVolume predict_whole(const Batch& batch,
                                const std::string& reference,
                                MemoryBudget& budget,
                                const std::filesystem::path& scratch) const;

  /// Each axis-aligned plane set alone and every fusion of three (and, for infer.planes = 9, of
  /// nine) sets, with each set predicted once. The accumulators of all of these live at the same
  /// time. For logits.
  std::vector<NamedLabels> predict_every_way(const VolumeStore& input,
                                             const Geometry& geometry,
                                             MemoryBudget& budget,
                                             const std::filesystem::path& scratch) const;

  /// Voxels of the prediction for each voxel of a volume [D, H, W] of this shape.
  Index3 upsampling(const Index3& shape) const;

  /// Activated prediction of a slab's central slice or of a block, [1, K, 1 or D, H, W] (upsampled:
  /// so many times longer axes) float32 on the CPU.
  at::Tensor predict_piece(const at::Tensor& image) const;

 private:
  int plane_count(const VolumeStore& input, const Geometry& geometry) const;
  /// Of predictions for images of so many channels; throws model_error when the head reads other
  /// than one image.
  Prediction::Kind find_kind(std::int64_t image_channels) const;
  /// The plane set of planes = 1.
  PlaneSet single_set(const Index3& shape) const;
  PredictedVolume predict_upsampled(const VolumeStore& input,
                                    MemoryBudget& budget,
                                    const std::filesystem::path& scratch) const;
  void run(const VolumeStore& input, const Geometry& geometry, VolumeAccumulator& receiver) const;

  VolumeNetwork network_;
  InferConfig config_;
};

}  // namespace triptych
