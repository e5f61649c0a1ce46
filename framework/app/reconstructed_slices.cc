// SPDX-License-Identifier: Apache-2.0
#include "framework/app/reconstructed_slices.h"

#include "framework/app/stored_image.h"
#include "framework/core/error.h"
#include "framework/core/stop.h"
#include "framework/data/volume_store.h"
#include "framework/image/io.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/iterative_reconstruction.h"
#include "framework/ops/metal_artifact.h"
#include "framework/ops/scan_views.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr double kPerPixelFromPerCentimetre = 0.1;  // where a pixel counts as 1 mm

constexpr std::int64_t kSpreadSlices = 16;

constexpr double kMostMetal = 0.5;  // share of a slice

/// An iterative method, and how many iterations it usually takes.
struct IterativeMethod {
  IterativeResult (*run)(const at::Tensor&,
                         const ScanGeometry&,
                         const SliceGrid&,
                         const IterativeOptions&);
  int iterations;
};

IterativeMethod iterative_method(const std::string& name) {
  if (name == "iterated_fbp") return {iterated_fbp, 2};
  return {name == "sirt" ? sirt : tv, 100};
}

/// Memory of a block in slices: what the methods hold beside the projections.
std::int64_t slices_held(const std::string& method) {
  if (method == "learned") return 250;  // activations of a network of width 32
  return method == "fbp" ? 3 : 8;
}

void check_mask(const std::string& file, const PreparedScan& scan, const SliceGrid& grid) {
  const Index3 found = read_header(file).geometry.shape;
  const Index3 expected{scan.rows(), grid.rows, grid.columns};
  if (found == expected) return;
  throw geometry_error(fmt::format("{}: the mask of the metal has {} x {} x {} voxels, expected {} "
                                   "x {} x {} (rows, height, width) as the slices",
                                   file,
                                   found[0],
                                   found[1],
                                   found[2],
                                   expected[0],
                                   expected[1],
                                   expected[2]),
                       "size= and rows= say which slices are made");
}

}  // namespace

ReconstructedSlices::ReconstructedSlices(const ReconstructConfig& config, PreparedScan& scan)
    : config_(config),
      scan_(scan),
      grid_(scan.grid()),
      block_rows_(0),
      progress_(config.method, scan.rows()) {
  check(grid_, scan.geometry());
  block_rows_ = rows_in(bytes_from_text(config.memory));
  const auto metal = config.input.find("metal");
  if (metal != config.input.end()) check_mask(metal->second, scan, grid_);
  if (config.method != "learned") return;
  learned_.emplace(config.run, config.checkpoint, config.task, config.device);
  if (learned_->reads_metal() && metal == config.input.end()) {
    throw usage_error(fmt::format("run {}: its head needs the mask of the metal", config.run),
                      "input.metal=<volume of the slices' size, not 0 where there is metal>");
  }
}

bool ReconstructedSlices::reads_metal() const {
  return learned_ ? learned_->reads_metal() : config_.metal != "none";
}

at::Tensor ReconstructedSlices::read(const Region& region) {
  const std::int64_t end = region.start[0] + region.size[0];
  std::erase_if(blocks_, [&](const auto& block) {
    return block.first + block.second.size(0) <= region.start[0];
  });
  std::vector<at::Tensor> parts;
  for (std::int64_t row = region.start[0]; row < end;) {
    const auto& [first, slices] = block_with(row);
    const std::int64_t count = std::min(end, first + slices.size(0)) - row;
    parts.push_back(slices.narrow(0, row - first, count)
                        .narrow(1, region.start[1], region.size[1])
                        .narrow(2, region.start[2], region.size[2]));
    row += count;
  }
  return parts.size() == 1 ? parts.front().contiguous() : at::cat(parts);
}

std::int64_t ReconstructedSlices::rows_in(std::int64_t memory) const {
  const std::int64_t slice = grid_.rows * grid_.columns * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t row = scan_.bytes_per_row() + slices_held(config_.method) * slice;
  return std::clamp<std::int64_t>(memory / row, 1, scan_.rows());
}

const std::pair<const std::int64_t, at::Tensor>& ReconstructedSlices::block_with(std::int64_t row) {
  const std::int64_t first = row / block_rows_ * block_rows_;
  const auto found = blocks_.find(first);
  if (found != blocks_.end()) return *found;
  check_not_stopped("reconstruction");
  const std::int64_t count = std::min(block_rows_, scan_.rows() - first);
  const auto made = blocks_.emplace(first, reconstructed(first, count)).first;
  keep_spread(first, made->second);
  progress_.update(first + count);
  return *made;
}

void ReconstructedSlices::keep_spread(std::int64_t first, const at::Tensor& slices) {
  const std::int64_t step = (scan_.rows() + kSpreadSlices - 1) / kSpreadSlices;
  for (std::int64_t row = first; row < first + slices.size(0); ++row) {
    if (row % step == 0) spread_[row] = slices[row - first].clone();
  }
}

Volume ReconstructedSlices::spread_slices() const {
  std::vector<at::Tensor> slices;
  for (const auto& [row, slice] : spread_) slices.push_back(slice);
  Volume volume{at::stack(slices).unsqueeze(0), scan_.slices_geometry(), "", {}};
  volume.geometry.shape[0] = volume.data.size(1);
  return volume;
}

at::Tensor ReconstructedSlices::reconstructed(std::int64_t first, std::int64_t count) {
  const at::Tensor sinograms = completed(scan_.sinograms(first, count), first);
  at::Tensor slices;
  if (learned_) {
    const at::Tensor metal = learned_->reads_metal() ? metal_mask(first, count) : at::Tensor();
    slices = (*learned_)(
        sinograms, metal, std::make_shared<const ScanGeometry>(scan_.geometry()), grid_);
  } else if (config_.method == "fbp") {
    slices = fbp(sinograms, scan_.geometry(), grid_, ramp_filter_from_text(config_.filter));
  } else {
    slices = iterated(sinograms, first);
  }
  return scan_.pixel_size_mm() ? slices : slices * kPerPixelFromPerCentimetre;
}

at::Tensor ReconstructedSlices::metal_mask(std::int64_t first, std::int64_t count) {
  const Region rows{{first, 0, 0}, {count, grid_.rows, grid_.columns}};
  const std::string& file = config_.input.at("metal");
  const at::Tensor mask = read_region(file, rows).data[0];
  check_finite(mask, file);
  const at::Tensor metal = mask.ne(0).to(at::kFloat);
  const at::Tensor shares = metal.mean({1, 2});
  found_metal_ = found_metal_ || shares.max().item<double>() > 0.0;
  if (const double share = shares.max().item<double>(); share > kMostMetal) {
    throw data_error(fmt::format("{}: {:.0f} % of slice {} are metal, expected at most {:.0f} %",
                                 file,
                                 100.0 * share,
                                 first + shares.argmax().item<std::int64_t>(),
                                 100.0 * kMostMetal),
                     "the mask is 0 where there is no metal, and anything else is metal");
  }
  return metal;
}

at::Tensor ReconstructedSlices::completed(const at::Tensor& sinograms, std::int64_t first) {
  if (config_.metal == "none") return sinograms;
  const double unit = scan_.pixel_size_mm() ? 1.0 : kPerPixelFromPerCentimetre;
  return complete_trace(sinograms,
                        metal_mask(first, sinograms.size(0)),
                        {config_.metal == "nmar", PriorTissues::of_water(config_.water / unit)},
                        scan_.geometry(),
                        grid_);
}

at::Tensor ReconstructedSlices::iterated(const at::Tensor& sinograms, std::int64_t first) {
  const IterativeMethod method = iterative_method(config_.method);
  IterativeOptions options;
  options.iterations =
      config_.iterations > 0 ? static_cast<int>(config_.iterations) : method.iterations;
  options.stop_residual = config_.stop_residual;
  options.non_negative = config_.non_negative;
  options.tv_weight = config_.tv_weight;
  options.progress = [&](int iteration, double residual) {
    progress_.update(first, fmt::format("iteration {}, residual {:.3g}", iteration, residual));
    return stop_requested() == 0;
  };
  if (config_.metal != "none") {
    options.trusted =
        metal_trace(
            metal_mask(first, sinograms.size(0)), scan_.geometry(), sinograms.size(-1), grid_)
            .logical_not();
  }
  const at::Tensor slices = method.run(sinograms, scan_.geometry(), grid_, options).image;
  check_not_stopped("reconstruction");
  if (config_.views_between == 0) return slices;
  const ViewsOfScan all =
      with_views_between({sinograms, scan_.geometry()}, slices, config_.views_between, grid_);
  return fbp(all.projections, all.scan, grid_, ramp_filter_from_text(config_.filter));
}

}  // namespace triptych::app
