// SPDX-License-Identifier: Apache-2.0
#include "framework/app/quality_record.h"

#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/image/slabs.h"
#include "framework/learn/experiment_check.h"
#include "framework/ops/image_quality.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

/// Edge in pixels below which slices are not measured.
constexpr std::int64_t kSmallestSlice = 8;

/// Slices that an adversary of volumes judges together; a thinner rest is left out.
constexpr std::int64_t kSlabOfVolumes = 16;

nlohmann::ordered_json number(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

nlohmann::ordered_json as_json(const ImageQuality& quality) {
  return {{"voxels", quality.voxels},
          {"mean", number(quality.mean)},
          {"standard_deviation", number(quality.standard_deviation)},
          {"noise", number(quality.noise)},
          {"sharpness", number(quality.sharpness)},
          {"contrast_to_noise", number(quality.contrast_to_noise)},
          {"entropy", number(quality.entropy)},
          {"streak_index", number(quality.streak_index)}};
}

/// The adversary that the run trained for the task, or nullptr.
std::shared_ptr<Adversary> trained_adversary(const TrainedTask& trained) {
  const ExperimentTask& task = trained.task();
  if (!task.setup.adversary) return nullptr;
  const std::string part = "adversary_" + task.key;
  auto adversary = AdversaryRegistry::instance().create(
      split_adversary(*task.setup.adversary).component, task.task->context());
  load_module(*adversary,
              read_checkpoint_part(trained.checkpoint, part),
              "",
              (trained.checkpoint / part).string());
  adversary->to(trained.experiment->device());
  adversary->eval();
  return adversary;
}

/// Mean of the adversary's scores over an image in the network's grey values; nothing where it
/// gives none.
std::optional<double> mean_score(Adversary& adversary,
                                 const TrainedTask& trained,
                                 const VolumeStore& image) {
  const c10::InferenceMode inference;
  const bool slices = trained.experiment->model().column().slab() != 0;
  if (!slices && image.shape()[0] < kSlabOfVolumes) return {};
  double sum = 0.0;
  std::int64_t count = 0;
  for (const Region& slab : slabs_of_slices(image.shape(), slices ? 1 : kSlabOfVolumes)) {
    if (!slices && slab.size[0] < kSlabOfVolumes) continue;
    const at::Tensor part =
        image.read(slab).to(at::kFloat).unsqueeze(0).to(trained.experiment->device());
    const at::Tensor scores = adversary.scores(part);
    if (!scores.defined()) return {};
    sum += scores.sum().item<double>();
    count += scores.numel();
  }
  return sum / static_cast<double>(count);
}

bool is_measurable(const Index3& shape) { return std::min(shape[1], shape[2]) >= kSmallestSlice; }

void write_report(const std::string& output, const nlohmann::ordered_json& report) {
  write_file_atomically(output + ".quality.json", report.dump(2) + "\n");
}

}  // namespace

void write_quality(const std::string& output, const VolumeSource& result) {
  if (!is_measurable(result.geometry.shape)) return;
  write_report(output, {{"output", as_json(image_quality(result))}});
}

void write_quality(const std::string& output,
                   const TrainedTask& trained,
                   const MeasuredImage& input,
                   const MeasuredImage& result) {
  if (!is_measurable(input.network.shape())) return;
  const ImageQuality before = image_quality(input.file);
  const ImageQuality after = image_quality(result.file);
  nlohmann::ordered_json report = {{"input", as_json(before)}, {"output", as_json(after)}};
  if (const auto adversary = trained_adversary(trained)) {
    const std::optional<double> old_score = mean_score(*adversary, trained, input.network);
    const std::optional<double> new_score = mean_score(*adversary, trained, result.network);
    if (old_score && new_score) {
      report["input"]["adversary_score"] = number(*old_score);
      report["output"]["adversary_score"] = number(*new_score);
    }
  }
  write_report(output, report);
  TRIPTYCH_LOG(info,
               "noise {:.4g} -> {:.4g}, sharpness {:.4g} -> {:.4g}; more in {}.quality.json",
               before.noise,
               after.noise,
               before.sharpness,
               after.sharpness,
               output);
}

}  // namespace triptych::app
