// SPDX-License-Identifier: Apache-2.0
#include "framework/app/learned_alignment.h"

#include "framework/app/input_volume.h"
#include "framework/app/stored_image.h"
#include "framework/app/trained_task.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/warp.h"
#include "framework/registration/working_resolution.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr const char* kDescriptor = "descriptor";
/// Mean variance of a channel of MIND-SSC over an image (about that on brains). That of C
/// channels of unit length is 1 / C at most; scaled to the same one, the regularisation has the
/// same weight against either.
constexpr double kMindVariance = 0.1;
const std::vector<std::string> kAligningHeads = {
    kDescriptor, "registration_svf", "registration_convex"};

struct TaskHead {
  std::string task, head;
};

/// The tasks of a run whose head helps an alignment, or only `wanted`.
std::vector<TaskHead> aligning_tasks(const config::Node& tasks, const std::string& wanted) {
  std::vector<TaskHead> found;
  for (const config::Entry& entry : tasks.as_map()) {
    const std::string key = entry.key.text(), head = entry.value.string_or("head.name", "");
    if (!wanted.empty() && key != wanted) continue;
    if (std::find(kAligningHeads.begin(), kAligningHeads.end(), head) != kAligningHeads.end())
      found.push_back({key, head});
  }
  return found;
}

TaskHead aligning_task(const RegisterKeys& keys) {
  const config::Node resolved = read_resolved(keys.run);
  const config::Node& tasks = resolved.at("tasks");
  if (!keys.task.empty() && tasks.child(keys.task) == nullptr) {
    throw usage_error(
        fmt::format(
            "task: the run has no task '{}'{}", keys.task, did_you_mean(keys.task, tasks.keys())),
        "it has: " + join(tasks.keys()));
  }
  const std::vector<TaskHead> found = aligning_tasks(tasks, keys.task);
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    std::vector<std::string> heads;
    for (const config::Entry& entry : tasks.as_map())
      heads.push_back(entry.value.string_or("head.name", "?"));
    throw model_error(fmt::format("{}: expected a run with one of the heads {}, got {}",
                                  keys.run,
                                  join(kAligningHeads),
                                  join(heads)),
                      "experiment=registration_features trains descriptors");
  }
  std::vector<std::string> names;
  for (const TaskHead& candidate : found) names.push_back(candidate.task);
  throw usage_error(
      fmt::format("task: several tasks of the run could be meant; name one of: {}", join(names)));
}

/// Grey values as the run's images have them. Made-up images, which need no harmonising, lie
/// between 0 and 1, where percentiles bring others too.
HarmoniseConfig grey_values_of(const TrainedTask& trained) {
  HarmoniseConfig harmonise;
  if (const auto own = stored_harmonise(trained.experiment->node(), trained.task().setup.dataset))
    harmonise = *own;
  harmonise.spacing_mm.clear();
  return harmonise;
}

at::Tensor harmonised(const at::Tensor& image, const HarmoniseConfig& harmonise) {
  const BlockSource whole = [&](const auto& block) { block(image); };
  return measured_intensity_map(whole, harmonise, "image").apply(image);
}

/// One network for all images of a registration.
class LearnedNetwork {
 public:
  LearnedNetwork(TrainedTask trained, std::int64_t memory, const std::string& scratch)
      : trained_(std::move(trained)),
        predictor_(trained_.predictor()),
        harmonise_(grey_values_of(trained_)),
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
    store->tensor().copy_(harmonised(image[0], harmonise_));
    return store;
  }

  TrainedTask trained_;
  VolumePredictor predictor_;
  HarmoniseConfig harmonise_;
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

TrainedTask open_aligning_task(const RegisterKeys& keys, const TaskHead& chosen, bool planar) {
  TrainedTask trained = open_task(keys.run, keys.checkpoint, chosen.task, "", {});
  for (const InputRole& input : trained.inputs) {
    if ((input.role == "fixed" || input.role == "moving") && input.channels == 1) continue;
    throw model_error(
        fmt::format("{}: expected a task that reads the roles fixed and moving of one channel, got "
                    "{} of {}",
                    keys.run,
                    input.role,
                    input.channels));
  }
  if ((trained.experiment->model().column().slab() == 1) != planar) {
    throw model_error(fmt::format("{}: expected a backbone of {} for these images, got one of {}",
                                  keys.run,
                                  planar ? "slices" : "volumes",
                                  planar ? "volumes" : "slices"),
                      fmt::format("train with backbone.dimensions={}", planar ? 2 : 3));
  }
  return trained;
}

}  // namespace

DeformationGuide alignment_guide(const RegisterKeys& keys, bool planar) {
  DeformationGuide guide(mind_features());
  if (keys.run.empty()) return guide;
  const TaskHead chosen = aligning_task(keys);
  if (chosen.head == kDescriptor && keys.features == "mind") {
    throw usage_error("features: with mind nothing of the run would be used",
                      "leave the run out, or let features be both or learned");
  }
  if (chosen.head != kDescriptor && (keys.features == "both" || keys.features == "learned")) {
    throw model_error(
        fmt::format("{}: the head {} gives no features, its displacement starts the descent",
                    keys.run,
                    chosen.head),
        "leave features out");
  }
  const auto network = std::make_shared<const LearnedNetwork>(
      open_aligning_task(keys, chosen, planar), bytes_from_text(keys.memory), keys.scratch);
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
