// SPDX-License-Identifier: Apache-2.0
#include "framework/model/reconstruction_problem.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/data/valid_part.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/metal_artifact.h"

#include <algorithm>

namespace triptych {
namespace {

constexpr double kLeastChordCm = 1e-6;
constexpr double kCmPerMm = 0.1;

bool operator==(const SliceGrid& a, const SliceGrid& b) {
  return a.rows == b.rows && a.columns == b.columns && a.row_spacing_mm == b.row_spacing_mm &&
         a.column_spacing_mm == b.column_spacing_mm && a.centre_row == b.centre_row &&
         a.centre_column == b.centre_column;
}

/// 1 / x where x is above the rounding of a ray that touches the grid's corner, else 0.
at::Tensor inverse_or_zero(const at::Tensor& x) {
  return torch::where(x > kLeastChordCm, 1.0 / x.clamp_min(kLeastChordCm), torch::zeros_like(x));
}

std::shared_ptr<const ScanOperators> make_operators(const ScanGeometry& scan,
                                                    std::int64_t columns,
                                                    const SliceGrid& grid,
                                                    c10::Device device) {
  const torch::NoGradGuard no_grad;
  auto made = std::make_shared<ScanOperators>();
  made->scan = scan;
  made->grid = grid;
  made->columns = columns;
  made->projector = make_projector(scan, columns, grid);
  const auto angles = static_cast<std::int64_t>(scan.angles_rad.size());
  const auto options = torch::dtype(torch::kFloat).device(device);
  const at::Tensor rows =
      made->projector->apply(torch::ones({1, grid.rows, grid.columns}, options));
  const bool fan = scan.beam != ScanGeometry::Beam::kParallel;
  const double at_axis = fan ? scan.source_to_axis_mm / scan.source_to_detector_mm : 1.0;
  made->column_cm = kCmPerMm * scan.column_spacing_mm * at_axis;
  made->inverse_row_sums = inverse_or_zero(rows.squeeze(0));
  made->inverse_column_sums = inverse_or_zero(
      made->projector->apply_adjoint(torch::ones({1, angles, columns}, options)).squeeze(0));
  return made;
}

std::int64_t padding(std::int64_t size, std::int64_t multiple) {
  return (size + multiple - 1) / multiple * multiple - size;
}

}  // namespace

std::vector<std::string> MetalSetup::roles() const {
  if (any()) return {"projections", "metal"};
  return {"projections"};
}

std::shared_ptr<const ScanOperators> ScanOperatorCache::get(const ScanGeometry& scan,
                                                            std::int64_t columns,
                                                            const SliceGrid& grid,
                                                            c10::Device device) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&](const std::shared_ptr<const ScanOperators>& known) {
    return known->columns == columns && known->grid == grid && known->scan == scan &&
           known->inverse_row_sums.device() == device;
  };
  const auto found = std::find_if(kept_.begin(), kept_.end(), fits);
  if (found != kept_.end()) {
    std::rotate(found, found + 1, kept_.end());
  } else {
    if (kept_.size() == kKept) kept_.erase(kept_.begin());
    kept_.push_back(make_operators(scan, columns, grid, device));
  }
  return kept_.back();
}

ReconstructionProblem::ReconstructionProblem(const Batch& batch,
                                             const MetalSetup& metal,
                                             ScanOperatorCache& cache) {
  const BatchEntry& entry = batch.at("projections");
  if (entry.kind != EntryKind::kProjections || entry.data.size(1) != 1) {
    throw data_error(
        fmt::format("a learned reconstruction needs projections of one channel in its role "
                    "'projections', got {} of {}",
                    kind_text(entry.kind),
                    entry.data.size(1)),
        "scans made from images come from the transform ct_scan with output=projections; whole "
        "scans are reconstructed by `triptych reconstruct method=learned`");
  }
  const auto items = static_cast<std::size_t>(entry.data.size(0));
  for (std::size_t n = 0; n < items; ++n) {
    scans_.push_back(cache.get(*entry.scans[n],
                               entry.data.size(-1),
                               slice_grid_of(entry.geometry[n]),
                               entry.data.device()));
  }
  const bool alike = std::all_of(
      scans_.begin(), scans_.end(), [&](const auto& scan) { return scan == scans_.front(); });
  if (alike) scans_.resize(1);

  completed_ = entry.data.to(torch::kFloat);
  measured_ = completed_;
  if (metal.any()) {  // images of a batch may have grown to what the network takes, the scan not
    const BatchEntry& mask = batch.at("metal");
    complete(valid_part(mask.data, mask.valid), metal);
  }
  measure_scale();
  measured_ = measured_ / scale_;
  completed_ = completed_ / scale_;
}

void ReconstructionProblem::measure_scale() {
  std::vector<double> widths;
  for (const auto& scan : scans_) widths.push_back(scan->column_cm);
  const at::Tensor column = torch::tensor(widths, completed_.options()).view({-1, 1, 1, 1, 1});
  const auto sum = [&](const at::Tensor& x) {
    return (x.sum(4, true).mean({1, 2, 3}, true) * column).abs().clamp_min(1e-20);
  };
  const at::Tensor first = sum(completed_), second = sum(completed_.square());
  scale_ = second.square() / first.pow(3);
  line_ = first.square() / second;
}

at::Tensor ReconstructionProblem::by_scan(
    const at::Tensor& x,
    const std::function<at::Tensor(const ScanOperators&, const at::Tensor&)>& apply) const {
  if (scans_.size() == 1) return apply(*scans_.front(), x);
  std::vector<at::Tensor> parts;
  for (std::size_t n = 0; n < scans_.size(); ++n)
    parts.push_back(apply(*scans_[n], x.narrow(0, static_cast<std::int64_t>(n), 1)));
  return torch::cat(parts);
}

void ReconstructionProblem::complete(const at::Tensor& metal, const MetalSetup& setup) {
  metal_ = (metal > 0).to(torch::kFloat);
  const at::Tensor trace = by_scan(metal_, [&](const ScanOperators& scan, const at::Tensor& part) {
    return metal_trace(part, scan.scan, scan.columns, scan.grid);
  });
  trust_ = trace.logical_not().to(torch::kFloat);
  completed_ = interpolate_trace(measured_, trace);
  if (setup.completion != "nmar") return;
  scale_ = torch::ones({measured_.size(0), 1, 1, 1, 1}, measured_.options());
  completed_ = completed_with(nmar_prior(fbp(completed_), PriorTissues::of_water(setup.water)));
}

at::Tensor ReconstructionProblem::metal_artifacts(const at::Tensor& completed_image) const {
  return (fbp(measured_) - completed_image).clamp(-1.0, 1.0);
}

at::Tensor ReconstructionProblem::with_metal_seen(const at::Tensor& image,
                                                  const at::Tensor& artifacts) const {
  return torch::cat({image, artifacts, metal_}, 1);
}

at::Tensor ReconstructionProblem::lost_share() const {
  return by_scan(1.0 - trust_, [](const ScanOperators& scan, const at::Tensor& lost) {
    return scan.projector->apply_adjoint(lost) * scan.inverse_column_sums;
  });
}

at::Tensor ReconstructionProblem::project(const at::Tensor& image) const {
  return by_scan(image, [](const ScanOperators& scan, const at::Tensor& part) {
    return differentiable_apply(scan.projector, part);
  });
}

at::Tensor ReconstructionProblem::back_project(const at::Tensor& projections) const {
  return by_scan(projections, [](const ScanOperators& scan, const at::Tensor& part) {
    return differentiable_adjoint(scan.projector, part);
  });
}

at::Tensor ReconstructionProblem::fbp(const at::Tensor& projections) const {
  return by_scan(projections, [](const ScanOperators& scan, const at::Tensor& part) {
    return triptych::fbp(part, scan.scan, scan.grid);
  });
}

at::Tensor ReconstructionProblem::step(const at::Tensor& projections) const {
  return by_scan(projections, [](const ScanOperators& scan, const at::Tensor& part) {
    return differentiable_adjoint(scan.projector, part * scan.inverse_row_sums) *
           scan.inverse_column_sums;
  });
}

at::Tensor ReconstructionProblem::residual(const at::Tensor& image) const {
  const at::Tensor difference = project(image) - measured_;
  return trust_.defined() ? difference * trust_ : difference;
}

at::Tensor ReconstructionProblem::residual_behind_metal(const at::Tensor& image) const {
  return (project(image) - measured_) * (1.0 - trust_);
}

at::Tensor ReconstructionProblem::completed_with(const at::Tensor& prior) const {
  // NMAR's offset is meant in line integrals as measured.
  const at::Tensor own_measured = measured_ * scale_;
  const at::Tensor own_prior = (prior * scale_).clamp_min(0.0);
  const at::Tensor trace = trust_ < 0.5;
  std::vector<at::Tensor> parts;
  const auto items = static_cast<std::int64_t>(scans_.size()) == 1 ? prior.size(0) : 1;
  for (std::size_t i = 0; i < scans_.size(); ++i) {
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, static_cast<std::int64_t>(i), items);
    };
    parts.push_back(
        nmar(part(own_measured), part(trace), part(own_prior), scans_[i]->scan, scans_[i]->grid));
  }
  return torch::cat(parts) / scale_;
}

at::Tensor finest_features(HeadInputs& inputs,
                           const at::Tensor& image,
                           const std::string& modality,
                           const PyramidSpec& pyramid) {
  const auto& multiple = pyramid.levels.back().stride;
  const std::int64_t d = padding(image.size(2), multiple[0]);
  const std::int64_t h = padding(image.size(3), multiple[1]);
  const std::int64_t w = padding(image.size(4), multiple[2]);
  const bool fits = d == 0 && h == 0 && w == 0;
  const at::Tensor padded = fits ? image : at::replication_pad3d(image, {0, w, 0, h, 0, d});
  return inputs.encode(padded, modality)
      .level(0)
      .narrow(2, 0, image.size(2))
      .narrow(3, 0, image.size(3))
      .narrow(4, 0, image.size(4));
}

}  // namespace triptych
