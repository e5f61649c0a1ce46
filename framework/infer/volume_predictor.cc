// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/volume_predictor.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "framework/core/error.h"
#include "framework/core/torch_compat.h"
#include "framework/infer/blocks.h"
#include "framework/infer/padding.h"
#include "framework/model/multi_task_model.h"

namespace triptych {
namespace {

bool wants(const InferConfig& config, const char* output) {
  return std::find(config.outputs.begin(), config.outputs.end(), output) != config.outputs.end();
}

VoteAccumulator::Config accumulator(const VolumeStore& input, std::int64_t classes, std::int64_t predictions, bool votes) {
  return {.shape = input.shape(), .classes = classes, .max_predictions = predictions, .votes = votes};
}

}  // namespace

ClassifierNetwork classifier_network(MultiTaskModel& model,
                                     const std::string& task,
                                     const std::string& modality,
                                     c10::Device device) {
  ClassifierNetwork network;
  network.classes = model.head(task).out_channels();
  network.slab = model.column().slab();
  network.size_multiple = model.column().size_multiple();
  network.device = device;
  network.logits = [&model, task, modality](const at::Tensor& image) {
    BatchEntry entry;
    entry.data = image;
    entry.items = {0};
    entry.geometry.resize(1);
    entry.geometry[0].shape = {image.size(2), image.size(3), image.size(4)};
    entry.modality = modality;
    Batch batch;
    batch.entries.emplace("image", std::move(entry));
    batch.ids = {"volume"};
    const Prediction prediction = model.forward(batch, task);
    if (prediction.kind != Prediction::Kind::kLogits) {
      throw model_error("task '" + task + "': prediction of labels needs a head that gives logits");
    }
    return prediction.value;
  };
  return network;
}

VolumePredictor::VolumePredictor(ClassifierNetwork network, InferConfig config)
    : network_(std::move(network)), config_(std::move(config)) {
  TRIPTYCH_ASSERT(network_.logits && network_.classes >= 1);
}

at::Tensor VolumePredictor::classify(const at::Tensor& image) const {
  const c10::InferenceMode inference;
  std::array<std::int64_t, 3> size{image.size(2), image.size(3), image.size(4)};
  std::array<std::int64_t, 3> multiple = network_.size_multiple;
  if (network_.slab > 0) {
    multiple[0] = 1;
    size[0] = 1;
  }
  const at::Tensor padded = pad_to_multiple(image.to(network_.device), multiple);
  at::Tensor logits;
  {
    const Autocast autocast(config_.precision == "bfloat16", network_.device);
    logits = network_.logits(padded);
  }
  return crop_to(logits.to(at::kFloat).softmax(1), size).to(at::kCPU);
}

int VolumePredictor::plane_count(const VolumeStore& input, const Geometry& geometry) const {
  if (input.shape()[0] == 1 || config_.planes == 1) return 1;
  check_isotropic(geometry);
  return static_cast<int>(config_.planes);
}

FusedVolume VolumePredictor::predict(const VolumeStore& input,
                                     const Geometry& geometry,
                                     MemoryBudget& budget,
                                     const std::filesystem::path& scratch) const {
  const auto run = [this](const at::Tensor& image) { return classify(image); };
  const FusionOutputs outputs{.probabilities = wants(config_, "probabilities") || wants(config_, "entropy"),
                              .votes = wants(config_, "disagreement")};
  const bool votes = outputs.votes || config_.fusion == "majority";
  if (network_.slab == 0) {
    VoteAccumulator fusion(accumulator(input, network_.classes, 1, votes), budget, scratch);
    run_blocks(input, config_.block, config_.overlap, run, fusion);
    return fusion.finish(config_.fusion, outputs);
  }
  const int count = plane_count(input, geometry);
  VoteAccumulator fusion(accumulator(input, network_.classes, count, votes), budget, scratch);
  VoteAccumulator* const receivers[] = {&fusion};
  const PlanePass pass{.input = input, .slab = network_.slab};
  std::vector<PlaneSet> sets = make_plane_sets(input.shape(), count);
  if (count == 1 && input.shape()[0] > 1) sets = {make_plane_sets(input.shape(), 3)[static_cast<std::size_t>(config_.axis)]};
  for (const PlaneSet& planes : sets) run_plane_set(pass, planes, run, receivers);
  return fusion.finish(config_.fusion, outputs);
}

std::vector<NamedLabels> VolumePredictor::predict_every_way(const VolumeStore& input,
                                                            const Geometry& geometry,
                                                            MemoryBudget& budget,
                                                            const std::filesystem::path& scratch) const {
  const auto run = [this](const at::Tensor& image) { return classify(image); };
  std::vector<NamedLabels> result;
  if (network_.slab == 0) {
    VoteAccumulator fusion(accumulator(input, network_.classes, 1, false), budget, scratch);
    run_blocks(input, config_.block, config_.overlap, run, fusion);
    result.push_back({"blocks", fusion.labels("soft")});
    return result;
  }
  const int count = plane_count(input, geometry);
  std::vector<std::pair<std::int64_t, std::unique_ptr<VoteAccumulator>>> fusions;
  for (const std::int64_t sets : {3, 9}) {
    if (sets > count) continue;
    fusions.emplace_back(sets, std::make_unique<VoteAccumulator>(accumulator(input, network_.classes, sets, true), budget, scratch));
  }
  const PlanePass pass{.input = input, .slab = network_.slab};
  std::int64_t done = 0;
  for (const PlaneSet& planes : make_plane_sets(input.shape(), count)) {
    std::vector<VoteAccumulator*> receivers;
    for (const auto& [sets, fusion] : fusions) {
      if (done < sets) receivers.push_back(fusion.get());
    }
    std::unique_ptr<VoteAccumulator> single;
    if (planes.axis_aligned) {
      single = std::make_unique<VoteAccumulator>(accumulator(input, network_.classes, 1, false), budget, scratch);
      receivers.push_back(single.get());
    }
    run_plane_set(pass, planes, run, receivers);
    if (single) result.push_back({planes.name, single->labels("soft")});
    ++done;
  }
  for (const auto& [sets, fusion] : fusions) {
    for (const char* rule : {"soft", "majority"}) {
      result.push_back({std::string(rule) + "-" + std::to_string(sets), fusion->labels(rule)});
    }
  }
  return result;
}

}  // namespace triptych
