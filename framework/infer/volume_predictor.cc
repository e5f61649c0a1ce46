// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/volume_predictor.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/core/torch_compat.h"
#include "framework/infer/blocks.h"
#include "framework/infer/finer_slices.h"
#include "framework/infer/mean_accumulator.h"
#include "framework/infer/padding.h"
#include "framework/model/multi_task_model.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace triptych {
namespace {

bool wants(const InferConfig& config, const char* output) {
  return std::find(config.outputs.begin(), config.outputs.end(), output) != config.outputs.end();
}

VoteAccumulator::Config accumulator(const VolumeStore& input,
                                    std::int64_t classes,
                                    std::int64_t predictions,
                                    bool votes) {
  return {
      .shape = input.shape(), .classes = classes, .max_predictions = predictions, .votes = votes};
}

/// One image as a batch of one item.
Batch image_batch(const VolumeNetwork& network, const at::Tensor& image) {
  BatchEntry entry;
  entry.data = image;
  entry.items = {0};
  entry.geometry.resize(1);
  entry.geometry[0].shape = {image.size(2), image.size(3), image.size(4)};
  entry.modality = network.modality;
  Batch batch;
  batch.entries.emplace(network.role, std::move(entry));
  batch.ids = {"volume"};
  return batch;
}

Index3 times(const Index3& a, const Index3& b) { return {a[0] * b[0], a[1] * b[1], a[2] * b[2]}; }

std::unique_ptr<VolumeStore> stored(const at::Tensor& data,
                                    MemoryBudget& budget,
                                    const std::filesystem::path& scratch) {
  auto store = std::make_unique<VolumeStore>(data.size(0),
                                             Index3{data.size(1), data.size(2), data.size(3)},
                                             data.scalar_type(),
                                             budget,
                                             scratch);
  store->tensor().copy_(data);
  return store;
}

}  // namespace

VolumeNetwork volume_network(MultiTaskModel& model,
                             const std::string& task,
                             const std::string& modality,
                             c10::Device device,
                             std::function<at::Tensor(const Prediction&)> activate) {
  VolumeNetwork network;
  network.predict = [&model, task](const Batch& batch) { return model.forward(batch, task); };
  network.activate = std::move(activate);
  network.channels = model.head(task).out_channels();
  network.slab = model.column().slab();
  network.size_multiple = model.column().size_multiple();
  network.upsampling = model.head(task).upsampling();
  network.modality = modality;
  network.device = device;
  const std::vector<std::string> roles = model.head(task).roles();
  network.role = roles.size() == 1 ? roles.front() : "";
  return network;
}

Prediction PredictedVolume::prediction() const {
  const bool labelled = kind == Prediction::Kind::kLogits;
  const at::Tensor value = (labelled ? classes.labels : values)->tensor().unsqueeze(0);
  return {labelled ? Prediction::Kind::kLabels : kind, value, "", {}};
}

VolumePredictor::VolumePredictor(VolumeNetwork network, InferConfig config)
    : network_(std::move(network)), config_(std::move(config)) {
  TRIPTYCH_ASSERT(network_.predict && network_.activate && network_.channels >= 1);
}

at::Tensor VolumePredictor::predict_piece(const at::Tensor& image) const {
  const c10::InferenceMode inference;
  std::array<std::int64_t, 3> size{image.size(2), image.size(3), image.size(4)};
  std::array<std::int64_t, 3> multiple = network_.size_multiple;
  if (network_.slab > 0) {
    multiple[0] = 1;
    size[0] = 1;
  }
  const Batch batch = image_batch(network_, pad_to_multiple(image.to(network_.device), multiple));
  Prediction prediction;
  {
    const Autocast autocast(config_.precision == "bfloat16", network_.device);
    prediction = network_.predict(batch);
  }
  prediction.value = prediction.value.to(at::kFloat);
  return crop_to(network_.activate(prediction), times(size, network_.upsampling)).to(at::kCPU);
}

int VolumePredictor::plane_count(const VolumeStore& input, const Geometry& geometry) const {
  if (input.shape()[0] == 1 || config_.planes == 1) return 1;
  check_isotropic(geometry);
  return static_cast<int>(config_.planes);
}

Prediction::Kind VolumePredictor::find_kind(std::int64_t image_channels) const {
  if (network_.role.empty()) {
    throw model_error("prediction by slices or blocks: expected a head that reads one image",
                      "let the task's volume_prediction() be kGlobal");
  }
  const c10::InferenceMode inference;
  const auto& multiple = network_.size_multiple;
  const std::int64_t depth = network_.slab > 0 ? network_.slab : 2 * multiple[0];
  const at::Tensor zeros = at::zeros({1, image_channels, depth, 2 * multiple[1], 2 * multiple[2]},
                                     at::TensorOptions(network_.device));
  const Prediction::Kind kind = network_.predict(image_batch(network_, zeros)).kind;
  if (kind == Prediction::Kind::kPoints) {
    throw model_error("prediction by slices or blocks: points have no voxels",
                      "let the task's volume_prediction() be kGlobal");
  }
  return kind;
}

PlaneSet VolumePredictor::single_set(const Index3& shape) const {
  const std::int64_t axis = shape[0] == 1 ? 0 : config_.axis;
  return make_plane_sets(shape, 3)[static_cast<std::size_t>(axis)];
}

Index3 VolumePredictor::upsampling(const Index3& shape) const {
  return network_.slab == 0 ? network_.upsampling
                            : volume_factor(network_.upsampling, single_set(shape).axis);
}

PredictedVolume VolumePredictor::predict_upsampled(const VolumeStore& input,
                                                   MemoryBudget& budget,
                                                   const std::filesystem::path& scratch) const {
  if (network_.slab == 0) {
    throw model_error(
        "prediction on a finer grid: expected a backbone of slices, got one of volumes",
        "set backbone.dimensions to 2, or the head's upsample to [1, 1, 1]");
  }
  if (config_.planes != 1 && input.shape()[0] > 1) {
    throw usage_error(
        fmt::format("infer.planes: the task predicts pixels finer than the slices' distance, which "
                    "cannot be fused over several axes: expected 1, got {}",
                    config_.planes),
        "set infer.planes=1, and infer.axis to the axis that slices are stacked along");
  }
  PredictedVolume result;
  result.kind = find_kind(input.channels());
  if (result.kind == Prediction::Kind::kLogits)
    throw model_error("prediction on a finer grid: expected an image, got classes");
  result.values = predict_finer_slices(
      {.input = input, .slab = network_.slab},
      single_set(input.shape()),
      [this](const at::Tensor& image) { return predict_piece(image); },
      network_.channels,
      network_.upsampling,
      budget,
      scratch);
  return result;
}

void VolumePredictor::run(const VolumeStore& input,
                          const Geometry& geometry,
                          VolumeAccumulator& receiver) const {
  const auto predict = [this](const at::Tensor& image) { return predict_piece(image); };
  if (network_.slab == 0) {
    run_blocks(input, config_.block, config_.overlap, predict, receiver);
    return;
  }
  const int count = plane_count(input, geometry);
  VolumeAccumulator* const receivers[] = {&receiver};
  const PlanePass pass{.input = input, .slab = network_.slab};
  std::vector<PlaneSet> sets = make_plane_sets(input.shape(), count);
  if (count == 1) sets = {single_set(input.shape())};
  for (const PlaneSet& planes : sets) run_plane_set(pass, planes, predict, receivers);
}

PredictedVolume VolumePredictor::predict(const VolumeStore& input,
                                         const Geometry& geometry,
                                         MemoryBudget& budget,
                                         const std::filesystem::path& scratch) const {
  if (network_.upsampling != Index3{1, 1, 1}) return predict_upsampled(input, budget, scratch);
  PredictedVolume result;
  result.kind = find_kind(input.channels());
  if (result.kind != Prediction::Kind::kLogits) {
    MeanAccumulator mean(input.shape(), network_.channels, budget, scratch);
    run(input, geometry, mean);
    result.values = mean.finish();
    return result;
  }
  const FusionOutputs outputs{
      .probabilities = wants(config_, "probabilities") || wants(config_, "entropy"),
      .votes = wants(config_, "disagreement")};
  const bool votes = outputs.votes || config_.fusion == "majority";
  const int count = network_.slab == 0 ? 1 : plane_count(input, geometry);
  VoteAccumulator fusion(accumulator(input, network_.channels, count, votes), budget, scratch);
  run(input, geometry, fusion);
  result.classes = fusion.finish(config_.fusion, outputs);
  return result;
}

PredictedVolume VolumePredictor::predict_whole(const Batch& batch,
                                               const std::string& reference,
                                               MemoryBudget& budget,
                                               const std::filesystem::path& scratch) const {
  if (wants(config_, "disagreement"))
    throw usage_error(
        "infer.outputs: disagreement is between plane sets; this task is predicted in one call");
  const c10::InferenceMode inference;
  Batch padded = batch.to(network_.device);
  for (auto& [role, entry] : padded.entries) {
    if (entry.kind != EntryKind::kIntensity) continue;
    entry.data = pad_to_multiple(entry.data, network_.size_multiple);
    for (Geometry& geometry : entry.geometry)
      geometry.shape = {entry.data.size(2), entry.data.size(3), entry.data.size(4)};
  }
  Prediction prediction;
  {
    const Autocast autocast(config_.precision == "bfloat16", network_.device);
    prediction = network_.predict(padded);
  }
  if (prediction.kind == Prediction::Kind::kPoints)
    throw model_error("prediction of volumes: points have no voxels");
  prediction.value = prediction.value.to(at::kFloat);
  const at::Tensor& image = batch.at(reference).data;
  check_shape(prediction.value, {1, network_.channels, kAny, kAny, kAny}, "prediction of a volume");
  const at::Tensor values =
      crop_to(network_.activate(prediction),
              times({image.size(2), image.size(3), image.size(4)}, network_.upsampling))
          .to(at::kCPU);
  PredictedVolume result;
  result.kind = prediction.kind;
  if (result.kind != Prediction::Kind::kLogits) {
    result.values = stored(values[0], budget, scratch);
    return result;
  }
  result.classes.labels = stored(values[0].argmax(0, true).to(at::kByte), budget, scratch);
  result.classes.probabilities = stored(values[0].to(at::kHalf), budget, scratch);
  return result;
}

std::vector<NamedLabels> VolumePredictor::predict_every_way(
    const VolumeStore& input,
    const Geometry& geometry,
    MemoryBudget& budget,
    const std::filesystem::path& scratch) const {
  if (find_kind(input.channels()) != Prediction::Kind::kLogits) {
    throw usage_error("comparison of plane sets: expected a task that predicts classes");
  }
  const auto run = [this](const at::Tensor& image) { return predict_piece(image); };
  std::vector<NamedLabels> result;
  if (network_.slab == 0) {
    VoteAccumulator fusion(accumulator(input, network_.channels, 1, false), budget, scratch);
    run_blocks(input, config_.block, config_.overlap, run, fusion);
    result.push_back({"blocks", fusion.labels("soft")});
    return result;
  }
  const int count = plane_count(input, geometry);
  std::vector<std::pair<std::int64_t, std::unique_ptr<VoteAccumulator>>> fusions;
  for (const std::int64_t sets : {3, 9}) {
    if (sets > count) continue;
    fusions.emplace_back(sets,
                         std::make_unique<VoteAccumulator>(
                             accumulator(input, network_.channels, sets, true), budget, scratch));
  }
  const PlanePass pass{.input = input, .slab = network_.slab};
  std::int64_t done = 0;
  for (const PlaneSet& planes : make_plane_sets(input.shape(), count)) {
    std::vector<VolumeAccumulator*> receivers;
    for (const auto& [sets, fusion] : fusions) {
      if (done < sets) receivers.push_back(fusion.get());
    }
    std::unique_ptr<VoteAccumulator> single;
    if (planes.axis_aligned) {
      single = std::make_unique<VoteAccumulator>(
          accumulator(input, network_.channels, 1, false), budget, scratch);
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
