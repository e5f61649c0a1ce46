// SPDX-License-Identifier: Apache-2.0
#include "framework/app/learned_alignment.h"

#include "framework/app/run_heads.h"
#include "framework/app/stored_image.h"
#include "framework/core/error.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/mind.h"
#include "framework/ops/warp.h"
#include "framework/registration/working_resolution.h"

#include <cmath>
#include <memory>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr const char* kDescriptor = "descriptor";
const std::vector<std::string> kAligningHeads = {
    kDescriptor, "registration_svf", "registration_convex"};

/// One network for all images of a registration.
class LearnedNetwork {
 public:
  LearnedNetwork(TrainedTask trained, std::int64_t memory, const std::string& scratch)
      : trained_(std::move(trained)),
        predictor_(trained_.predictor()),
        memory_(memory),
        scratch_(scratch_folder(scratch)) {}

  /// [1, C, D, H, W] of unit length: image [1, 1, D, H, W].
  at::Tensor descriptors(const at::Tensor& image, const Geometry& grid) const {
    MemoryBudget budget(memory_);
    const auto store = stored(image, budget);
    const at::Tensor values =
        predictor_.predict(*store, grid, budget, scratch_).values->tensor().unsqueeze(0);
    constexpr double kTiny = 1e-8;  // neighbouring blocks are averaged where they overlap
    return values / (values.square().sum(1, true) + kTiny).sqrt();
  }

  /// [1, 3, D, H, W] in mm, found on a grid of no more voxels than a block of the run.
  at::Tensor displacement(const at::Tensor& fixed,
                          const at::Tensor& moving,
                          const Geometry& grid) const {
    const auto& block = trained_.infer().block;
    const Index3 cell = pooling_factors(grid, block[0] * block[1] * block[2]);
    const Geometry coarse = pooled_grid(grid, cell);
    MemoryBudget budget(memory_);
    const auto mean = [&](const at::Tensor& image) {
      return stored(at::avg_pool3d(image, at::IntArrayRef(cell.data(), cell.size())), budget);
    };
    const auto fixed_mean = mean(fixed), moving_mean = mean(moving);
    const PredictedVolume predicted = trained_.predict(
        {{"fixed", {fixed_mean.get(), coarse}}, {"moving", {moving_mean.get(), coarse}}}, budget);
    return resample_to_grid(predicted.values->tensor().unsqueeze(0), coarse, grid);
  }

 private:
  std::unique_ptr<VolumeStore> stored(const at::Tensor& image, MemoryBudget& budget) const {
    const Index3 shape{image.size(2), image.size(3), image.size(4)};
    auto store = std::make_unique<VolumeStore>(1, shape, at::kFloat, budget, scratch_);
    store->tensor().copy_(network_values(trained_, image[0]));
    return store;
  }

  TrainedTask trained_;
  VolumePredictor predictor_;
  std::int64_t memory_;
  std::filesystem::path scratch_;
};

/// Descriptors of the image with voxels of two, where the network sees twice as far, on the image's
/// own grid.
FeatureFunction learned_features(std::shared_ptr<const LearnedNetwork> network) {
  return [=](const at::Tensor& image, const Geometry& grid) {
    const Index3 cell = search_cell(grid, 2);
    const Geometry coarse = pooled_grid(grid, cell);
    const at::Tensor mean = at::avg_pool3d(image, at::IntArrayRef(cell.data(), cell.size()));
    const at::Tensor descriptors = network->descriptors(mean, coarse);
    const auto channels = static_cast<double>(descriptors.size(1));
    // A channel of unit-length descriptors has a variance of 1 / channels at most.
    return resample_to_grid(descriptors, coarse, grid).mul_(std::sqrt(kMindVariance * channels));
  };
}

/// MIND-SSC and learned features side by side, each set with half of the weight whatever its number
/// of channels.
FeatureFunction with_mind(const FeatureFunction& learned) {
  return [learned, mind = mind_features()](const at::Tensor& image, const Geometry& grid) {
    const at::Tensor a = learned(image, grid), b = mind(image, grid);
    const double half = 0.5 * static_cast<double>(a.size(1) + b.size(1));
    return at::cat({a * std::sqrt(half / static_cast<double>(a.size(1))),
                    b * std::sqrt(half / static_cast<double>(b.size(1)))},
                   1);
  };
}

}  // namespace

DeformationGuide alignment_guide(const RegisterKeys& keys, bool planar) {
  DeformationGuide guide(mind_features());
  if (keys.run.empty()) return guide;
  const bool wants_features = keys.features == "both" || keys.features == "learned";
  if (keys.start_from == "canonical" && !wants_features &&
      tasks_with_heads(keys, kAligningHeads).empty())
    return guide;
  const TaskHead chosen =
      task_with_head(keys, kAligningHeads, "experiment=registration_features trains descriptors");
  if (chosen.head == kDescriptor && keys.features == "mind") {
    throw usage_error("features: with mind nothing of the run would be used",
                      "leave the run out, or let features be both or learned");
  }
  if (chosen.head != kDescriptor && wants_features) {
    throw model_error(
        fmt::format("{}: the head {} gives no features, its displacement starts the descent",
                    keys.run,
                    chosen.head),
        "leave features out");
  }
  const auto network = std::make_shared<const LearnedNetwork>(
      open_image_task(keys, chosen, {"fixed", "moving"}, planar),
      bytes_from_text(keys.memory),
      keys.scratch);
  if (chosen.head != kDescriptor) {
    guide.first_field =
        [network](const at::Tensor& fixed, const at::Tensor& moving, const Geometry& grid) {
          return network->displacement(fixed, moving, grid);
        };
    return guide;
  }
  guide.features = learned_features(network);
  if (keys.features != "learned") guide.features = with_mind(guide.features);
  return guide;
}

}  // namespace triptych::app
