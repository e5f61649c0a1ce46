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

/// Says what the transmissions of the whole scan leave to doubt.
void log_repairs(const RepairTally& tally) {
  constexpr double kSuspicious = 0.1;
  const auto share = [&](std::int64_t count) {
    return static_cast<double>(count) /
           static_cast<double>(std::max<std::int64_t>(tally.values, 1));
  };
  if (tally.interpolated + tally.clamped > 0) {
    TRIPTYCH_LOG(info,
                 "{} values without counts were interpolated, {} in longer runs taken as opaque",
                 tally.interpolated,
                 tally.clamped);
  }
  if (share(tally.clamped) > kSuspicious) {
    TRIPTYCH_LOG(warning,
                 "{:.0f} % of the values are without counts; check that the projections are counts "
                 "of this beam, and values=",
                 100.0 * share(tally.clamped));
  }
  if (share(tally.brighter) > kSuspicious) {
    TRIPTYCH_LOG(warning,
                 "{:.0f} % of the values are a fifth and more above the flats; were these taken "
                 "with another exposure? air_margin=<columns of air on both sides> normalises by "
                 "the projections' own air",
                 100.0 * share(tally.brighter));
  }
}

void log_metal(const ReconstructConfig& config, const ReconstructedSlices& slices) {
  const auto mask = config.input.find("metal");
  if (mask == config.input.end()) return;
  if (!slices.reads_metal()) {
    TRIPTYCH_LOG(
        warning,
        "input.metal was not used; metal=li, metal=nmar and trained heads that read it do");
  } else if (!slices.found_metal()) {
    TRIPTYCH_LOG(warning, "{}: the mask has no metal in these slices", mask->second);
  }
}

}  // namespace

int reconstruct(const CommandLine& command) {
  const auto config = config::read<ReconstructConfig>(words_to_node(command));
  check_keeps_inputs(config.input, config.output);
  check_writable(config.output);
  apply_threads(config.threads);
  PreparedScan scan(config, files_of(config));
  ReconstructedSlices slices(config, scan);
  const VolumeSource volume{
      scan.slices_geometry(), 1, at::kFloat, [&](std::int64_t, const Region& region) {
        return slices.read(region);
      }};
  write_volume(config.output, volume);
  write_quality(config.output, source_of(slices.spread_slices()));
  log_repairs(scan.repaired());
  log_metal(config, slices);
  TRIPTYCH_LOG(info,
               "{}",
               scan.pixel_size_mm() ? "values are attenuation in 1/cm"
                                    : "the pixel size is unknown: values are attenuation in "
                                      "1/pixel; pixel_size_mm= gives 1/cm");
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
