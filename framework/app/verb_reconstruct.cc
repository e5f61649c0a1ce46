// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/quality_record.h"
#include "framework/app/reconstruct_config.h"
#include "framework/app/reconstructed_slices.h"
#include "framework/app/run_files.h"
#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/data/scan_preparation.h"
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
  ScanConfig::validate(problems);
  if (metal != "none" && !input.contains("metal"))
    problems.add("metal", "expects input.metal=<mask of the slices>");
  if (method == "learned" && run.empty()) problems.add("run", "expects a run with method=learned");
  if (method == "learned" && metal != "none")
    problems.add("metal", "expects none with method=learned, which completes as it was trained");
  if (views_between > 0 && method != "sirt" && method != "tv")
    problems.add("views_between", "expects method=sirt or method=tv");
  if (method != "learned" && !run.empty())
    problems.add("run", fmt::format("method={} uses no trained run; leave run= away", method));
}

namespace {

ScanFiles files_of(const ReconstructConfig& config) {
  const auto location = [&](const char* role) {
    const auto found = config.input.find(role);
    return found == config.input.end() ? std::string() : found->second;
  };
  return {location("projections"), location("flats"), location("darks")};
}

}  // namespace

int reconstruct(const CommandLine& command) {
  const auto config = config::read<ReconstructConfig>(words_to_node(command));
  check_keeps_inputs(config.input, config.output);
  apply_threads(config.threads);
  PreparedScan scan(config, files_of(config));
  ReconstructedSlices slices(config, scan);
  const VolumeSource volume{
      scan.slices_geometry(), 1, at::kFloat, [&](std::int64_t, const Region& region) {
        return slices.read(region);
      }};
  write_volume(config.output, volume);
  write_quality(config.output, source_of(slices.spread_slices()));
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
