// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/reconstruct_config.h"
#include "framework/app/reconstructed_slices.h"
#include "framework/app/run_files.h"
#include "framework/app/scan_preparation.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/image/io.h"

#include <algorithm>
#include <cstdio>

#include <ATen/ATen.h>

namespace triptych::app {

void ReconstructConfig::validate(config::Problems& problems) const {
  for (const auto& [role, file] : input) {
    if (std::find(kScanInputs.begin(), kScanInputs.end(), role) == kScanInputs.end())
      problems.add("input",
                   fmt::format("expects input.projections, input.flats, input.darks or "
                               "input.metal, got input.{}",
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
  const bool step_is_right = views.size() != 3 || views[2] >= 1;
  if (!views.empty() && (views.size() < 2 || views.size() > 3 || !step_is_right))
    problems.add("views", "expects [first, last] or [first, last, step] with a step from 1");
  if (beam != "parallel" && (source_to_axis_mm <= 0.0 || source_to_detector_mm <= 0.0))
    problems.add("beam", "a fan expects source_to_axis_mm and source_to_detector_mm");
  if (metal != "none" && !input.contains("metal"))
    problems.add("metal", "expects input.metal=<mask of the slices>");
  if (method == "learned" && run.empty()) problems.add("run", "expects a run with method=learned");
  if (method == "learned" && metal != "none")
    problems.add("metal", "expects none with method=learned, which completes as it was trained");
  if (method != "learned" && !run.empty())
    problems.add("run", fmt::format("method={} uses no trained run; leave run= away", method));
  check_range("rows", rows);
  check_range("columns", columns);
  if (stripe_window % 2 == 0) problems.add("stripe_window", "expects an odd number");
  if (phase.delta_beta > 0.0 && (phase.energy_kev <= 0.0 || phase.distance_mm <= 0.0))
    problems.add("phase", "expects phase.energy_kev and phase.distance_mm with phase.delta_beta");
}

namespace {

/// The rotation axis runs through x = y = 0, and detector row 0 lies at z = 0.
Geometry volume_geometry(const PreparedScan& scan, const SliceGrid& grid) {
  Geometry geometry;
  geometry.shape = {scan.rows(), grid.rows, grid.columns};
  geometry.spacing_known = scan.pixel_size_mm().has_value();
  const double row_mm = scan.pixel_size_mm().value_or(1.0);
  geometry.spacing = {grid.column_spacing_mm, grid.row_spacing_mm, row_mm};
  geometry.origin = {-grid.centre_column * grid.column_spacing_mm,
                     -grid.centre_row * grid.row_spacing_mm,
                     static_cast<double>(scan.first_row()) * row_mm};
  return geometry;
}

}  // namespace

int reconstruct(const CommandLine& command) {
  const auto config = config::read<ReconstructConfig>(words_to_node(command));
  check_keeps_inputs(config.input, config.output);
  apply_threads(config.threads);
  PreparedScan scan(config);
  ReconstructedSlices slices(config, scan);
  const VolumeSource volume{
      volume_geometry(scan, slices.grid()), 1, at::kFloat, [&](std::int64_t, const Region& region) {
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
