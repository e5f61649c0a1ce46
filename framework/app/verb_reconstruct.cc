// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/reconstruct_config.h"
#include "framework/app/run_files.h"
#include "framework/app/scan_preparation.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/core/suggest.h"
#include "framework/data/volume_store.h"
#include "framework/image/io.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/iterative_reconstruction.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <ATen/ATen.h>

namespace triptych::app {

void ReconstructConfig::validate(config::Problems& problems) const {
  for (const auto& [role, file] : input) {
    if (role != "projections" && role != "flats" && role != "darks")
      problems.add("input",
                   fmt::format("expects input.projections, input.flats or input.darks, got "
                               "input.{}",
                               role));
  }
  if (!input.contains("projections")) problems.add("input", "expects input.projections=<scan>");
  const auto is_number = [](const config::Node& node) { return node.is_int() || node.is_double(); };
  const bool range = angles.is_list() && angles.size() == 2 && is_number(angles.as_list()[0]) &&
                     is_number(angles.as_list()[1]);
  if (!angles.is_null() && !angles.is_string() && !range)
    problems.add("angles",
                 "expects [first, last] in degrees or a text file, got " + angles.brief());
  const bool named =
      centre.is_string() && (centre.as_string() == "auto" || centre.as_string() == "pairs" ||
                             centre.as_string() == "fourier");
  if (!named && !is_number(centre))
    problems.add("centre", "expects auto, pairs, fourier or a column, got " + centre.brief());
  const auto check_range = [&](const char* key, const std::vector<std::int64_t>& numbers) {
    if (!numbers.empty() && numbers.size() != 2) problems.add(key, "expects [first, last]");
    for (const std::int64_t i : numbers)
      if (i < 0) problems.add(key, "expects numbers from 0");
  };
  check_range("rows", rows);
  check_range("columns", columns);
  if (stripe_window % 2 == 0) problems.add("stripe_window", "expects an odd number");
  if (phase.delta_beta > 0.0 && (phase.energy_kev <= 0.0 || phase.distance_mm <= 0.0))
    problems.add("phase", "expects phase.energy_kev and phase.distance_mm with phase.delta_beta");
}

namespace {

constexpr double kPerPixelFromPerCentimetre = 0.1;  // where a pixel counts as 1 mm

/// Slices of a scan, made a block of rows at a time as they are asked for in order.
class ReconstructedSlices {
 public:
  ReconstructedSlices(const ReconstructConfig& config, PreparedScan& scan)
      : config_(config),
        scan_(scan),
        grid_(
            SliceGrid::centred(scan.columns(), scan.columns(), scan.geometry().column_spacing_mm)),
        block_rows_(rows_in(bytes_from_text(config.memory))),
        progress_(config.method, scan.rows()) {}

  /// Voxels [d, h, w] in 1/cm, or in 1/pixel where the pixel size is unknown.
  at::Tensor read(const Region& region) {
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

 private:
  std::int64_t rows_in(std::int64_t memory) const {
    const std::int64_t slice =
        grid_.rows * grid_.columns * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t copies = config_.method == "fbp" ? 3 : 8;
    const std::int64_t rows = memory / (scan_.bytes_per_row() + copies * slice);
    return std::clamp<std::int64_t>(rows, 1, scan_.rows());
  }

  /// The block that holds a row, made now if it is not there; blocks begin at multiples of their
  /// size.
  const std::pair<const std::int64_t, at::Tensor>& block_with(std::int64_t row) {
    const std::int64_t first = row / block_rows_ * block_rows_;
    const auto found = blocks_.find(first);
    if (found != blocks_.end()) return *found;
    if (stop_requested() != 0) throw Error("stopped", "reconstruction stopped by a signal");
    const std::int64_t count = std::min(block_rows_, scan_.rows() - first);
    const auto made = blocks_.emplace(first, reconstructed(first, count)).first;
    progress_.update(first + count);
    return *made;
  }

  at::Tensor reconstructed(std::int64_t first, std::int64_t count) {
    const at::Tensor sinograms = scan_.sinograms(first, count);
    const at::Tensor slices =
        config_.method == "fbp"
            ? fbp(sinograms, scan_.geometry(), grid_, ramp_filter_from_text(config_.filter))
            : iterated(sinograms, first);
    return scan_.pixel_size_mm() ? slices : slices * kPerPixelFromPerCentimetre;
  }

  at::Tensor iterated(const at::Tensor& sinograms, std::int64_t first) {
    IterativeOptions options;
    options.iterations = static_cast<int>(config_.iterations);
    options.stop_residual = config_.stop_residual;
    options.non_negative = config_.non_negative;
    options.tv_weight = config_.tv_weight;
    options.progress = [&](int iteration, double residual) {
      progress_.update(first, fmt::format("iteration {}, residual {:.3g}", iteration, residual));
      return stop_requested() == 0;
    };
    const auto method = config_.method == "sirt" ? sirt : tv;
    const at::Tensor slices = method(sinograms, scan_.geometry(), grid_, options).image;
    if (stop_requested() != 0) throw Error("stopped", "reconstruction stopped by a signal");
    return slices;
  }

  const ReconstructConfig& config_;
  PreparedScan& scan_;
  SliceGrid grid_;
  std::int64_t block_rows_;
  Progress progress_;
  std::map<std::int64_t, at::Tensor> blocks_;  ///< by first row
};

/// The rotation axis runs through x = y = 0, and detector row 0 lies at z = 0.
Geometry volume_geometry(const PreparedScan& scan) {
  Geometry geometry;
  geometry.shape = {scan.rows(), scan.columns(), scan.columns()};
  geometry.spacing_known = scan.pixel_size_mm().has_value();
  const double pixel = scan.pixel_size_mm().value_or(1.0);
  geometry.spacing.setConstant(pixel);
  const double edge = -0.5 * static_cast<double>(scan.columns() - 1) * pixel;
  geometry.origin = {edge, edge, static_cast<double>(scan.first_row()) * pixel};
  return geometry;
}

void refuse_learned(const ReconstructConfig& config) {
  if (config.method == "learned")
    throw usage_error("method=learned: this version reconstructs with fbp, sirt and tv");
  if (!config.run.empty())
    throw usage_error(fmt::format("run: method={} uses no trained run", config.method),
                      "leave run= away");
}

}  // namespace

int reconstruct(const CommandLine& command) {
  const auto config = config::read<ReconstructConfig>(words_to_node(command));
  refuse_learned(config);
  check_keeps_inputs(config.input, config.output);
  apply_threads(config.threads);
  PreparedScan scan(config);
  ReconstructedSlices slices(config, scan);
  const VolumeSource volume{
      volume_geometry(scan), 1, at::kFloat, [&](std::int64_t, const Region& region) {
        return slices.read(region);
      }};
  write_volume(config.output, volume);
  const RepairTally& repaired = scan.repaired();
  if (repaired.interpolated + repaired.clamped > 0) {
    TRIPTYCH_LOG(info,
                 "{} values without counts were interpolated, {} in longer runs taken as opaque",
                 repaired.interpolated,
                 repaired.clamped);
  }
  TRIPTYCH_LOG(info,
               "{}",
               scan.pixel_size_mm() ? "values are attenuation in 1/cm"
                                    : "the pixel size is unknown: values are attenuation in "
                                      "1/pixel; pixel_size_mm= gives 1/cm");
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
