// SPDX-License-Identifier: Apache-2.0
#include "framework/app/learned_reconstruction.h"

#include "framework/app/run_files.h"
#include "framework/app/trained_task.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <numeric>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

/// An entry of one slice an item.
BatchEntry slice_entry(EntryKind kind, const at::Tensor& slices, const SliceGrid& grid) {
  BatchEntry entry;
  entry.kind = kind;
  entry.data = slices.unsqueeze(1).unsqueeze(1);
  entry.items.resize(static_cast<std::size_t>(slices.size(0)));
  std::iota(entry.items.begin(), entry.items.end(), 0);
  Geometry geometry;
  geometry.shape = {1, grid.rows, grid.columns};
  geometry.spacing = {grid.column_spacing_mm, grid.row_spacing_mm, grid.row_spacing_mm};
  entry.geometry.assign(entry.items.size(), geometry);
  return entry;
}

}  // namespace

LearnedReconstruction::LearnedReconstruction(const std::string& run,
                                             const std::string& checkpoint,
                                             const std::string& task,
                                             const std::string& device) {
  config::Node changes = config::Node::map();
  if (!device.empty()) changes.set("device", config::Node(device));
  experiment_ = load_experiment(open_run(run, checkpoint), changes);
  task_ = task.empty() ? only_task(*experiment_) : experiment_->task(task).key;
  const std::vector<std::string> roles = experiment_->model().roles_read(task_);
  bool reads_projections = false;
  for (const std::string& role : roles) {
    reads_projections |= role == "projections";
    reads_metal_ |= role == "metal";
  }
  if (!reads_projections || roles.size() > (reads_metal_ ? 2U : 1U)) {
    throw usage_error(fmt::format("run {}: expected a head that reads projections alone, or with "
                                  "metal; that of task '{}' reads {}",
                                  run,
                                  task_,
                                  join(roles)),
                      "fbp_unet, learned_gradient, learned_primal_dual and metal_prior are such "
                      "heads; an image is restored by `triptych predict`");
  }
}

at::Tensor LearnedReconstruction::operator()(const at::Tensor& projections,
                                             const at::Tensor& metal,
                                             std::shared_ptr<const ScanGeometry> scan,
                                             const SliceGrid& grid) const {
  const at::InferenceMode inference;
  Batch batch;
  for (std::int64_t i = 0; i < projections.size(0); ++i)
    batch.ids.push_back(fmt::format("row {}", i));
  BatchEntry measured = slice_entry(EntryKind::kProjections, projections, grid);
  measured.scans.assign(measured.items.size(), std::move(scan));
  batch.entries.emplace("projections", std::move(measured));
  if (reads_metal_) {
    batch.entries.emplace("metal", slice_entry(EntryKind::kLabel, metal.ne(0).to(at::kLong), grid));
  }
  const Batch moved = batch.to(experiment_->device());
  const Prediction prediction = experiment_->model().forward(moved, task_);
  return prediction.value.to(at::kCPU, at::kFloat).squeeze(2).squeeze(1);
}

}  // namespace triptych::app
