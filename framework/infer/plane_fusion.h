// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "framework/config/fields.h"
#include "framework/data/volume_store.h"
#include "framework/image/volume.h"
#include "framework/infer/slice_planes.h"

namespace triptych {

/// Class probabilities of the central slice of a slab: [1, C, S, H, W] float32 -> [1, K, 1, H, W] (any float type),
/// same H and W; the function pads to what the network needs. Called from one thread at a time.
using SliceClassifier = std::function<at::Tensor(const at::Tensor& slab)>;

/// Key `infer` of the configuration.
struct InferConfig {
  std::int64_t planes = 3;
  std::string fusion = "soft";
  std::string memory = "4GB";
  std::string scratch;
  std::string precision = "float32";
  std::vector<std::string> outputs = {"labels"};

  void visit(auto& field) {
    field("planes", planes, "slicing plane sets: 1, 3 or 9 (six at 45 degrees)", config::Between{1, 9});
    field("fusion", fusion, "soft = mean probability, majority = most votes", config::OneOf{"soft", "majority"});
    field("memory", memory, "memory for input and accumulators, e.g. 4GB; beyond it a scratch file serves");
    field("scratch", scratch, "folder of scratch files; empty = the system's temporary folder");
    field("precision", precision, "arithmetic of the network", config::OneOf{"float32", "bfloat16"});
    field("outputs", outputs, "what predict writes", config::OneOf{"labels", "probabilities", "entropy", "disagreement"});
  }
  void validate(config::Problems& problems) const;
};

/// A volume's fused segmentation. Stores are as large as the input grid.
struct FusedVolume {
  std::unique_ptr<VolumeStore> labels;         ///< [1, D, H, W] uint8 class indices
  std::unique_ptr<VolumeStore> probabilities;  ///< [K, D, H, W] float16, soft mean over the planes that saw the voxel
  std::unique_ptr<VolumeStore> votes;          ///< [K, D, H, W] uint8 count of plane sets; only when asked for
};

/// What to keep besides the labels.
struct FusionOutputs {
  bool probabilities = false;
  bool votes = false;  ///< needed for majority fusion and for disagreement
};

/// Predicts a volume slice by slice along every plane set and fuses.
///
/// Soft voting: mean of the class probabilities over the plane sets that saw the voxel, then argmax. Majority: the class with
/// most plane sets' argmax. Ties, in both, go to the class with the higher mean probability, then to the lower class index.
/// What lies outside the volume gets no vote: an oblique sample counts only where its voxel's eight neighbours are inside or
/// it lies on the volume. Oblique predictions are carried back by sampling the plane stack at each voxel (linear), slab by
/// slab, never as a whole rotated volume.
/// Memory: K half-precision accumulators (and K bytes for votes) in the store; a small `budget` gives equal bits.
///
/// `input` is [C, D, H, W] float32. Progress is shown. Honours stop_requested() by throwing Error("stopped", ...).
class PlaneFusion {
 public:
  PlaneFusion(const VolumeStore& input, std::int64_t classes, std::int64_t slab, MemoryBudget& budget,
              std::filesystem::path scratch);
  ~PlaneFusion();
  PlaneFusion(const PlaneFusion&) = delete;
  PlaneFusion& operator=(const PlaneFusion&) = delete;

  /// Runs the classifier over one plane set and adds its votes.
  void add(const PlaneSet& planes, const SliceClassifier& classify);
  /// Argmax of one plane set alone is available after its add() when `keep_single` was called first (for tables).
  FusedVolume finish(const std::string& fusion, const FusionOutputs& outputs);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Shannon entropy of probabilities [K, ...] over K in nats divided by ln K, so in [0, 1]: [1, ...] float32.
at::Tensor normalised_entropy(const at::Tensor& probabilities);
/// Fraction of plane sets that disagree with the winning class, from votes [K, ...] uint8: [1, ...] float32 in [0, 1].
at::Tensor plane_disagreement(const at::Tensor& votes);

}  // namespace triptych
