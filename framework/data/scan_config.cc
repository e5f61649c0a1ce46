// SPDX-License-Identifier: Apache-2.0
#include "framework/data/scan_config.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace triptych {
namespace {

bool is_number(const config::Node& node) {
  return (node.is_int() || node.is_double()) && std::isfinite(node.as_double());
}

void check_range(const char* key,
                 const std::vector<std::int64_t>& numbers,
                 config::Problems& problems) {
  if (!numbers.empty() && numbers.size() != 2) problems.add(key, "expects [first, last]");
  for (const std::int64_t i : numbers)
    if (i < 0) problems.add(key, "expects numbers from 0");
}

}  // namespace

void ScanConfig::validate(config::Problems& problems) const {
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
  const bool step_is_right = views.size() != 3 || views[2] >= 1;
  if (!views.empty() && (views.size() < 2 || views.size() > 3 || !step_is_right))
    problems.add("views", "expects [first, last] or [first, last, step] with a step from 1");
  if (std::any_of(views.begin(), views.end(), [](std::int64_t i) { return i < 0; }))
    problems.add("views", "expects numbers from 0");
  if (beam != "parallel" && (source_to_axis_mm <= 0.0 || source_to_detector_mm <= 0.0))
    problems.add("beam", "a fan expects source_to_axis_mm and source_to_detector_mm");
  check_range("rows", rows, problems);
  check_range("columns", columns, problems);
  if (stripe_window % 2 == 0) problems.add("stripe_window", "expects an odd number");
  if (phase.delta_beta > 0.0 && (phase.energy_kev <= 0.0 || phase.distance_mm <= 0.0))
    problems.add("phase", "expects phase.energy_kev and phase.distance_mm with phase.delta_beta");
  if (phase.delta_beta <= 0.0 && (phase.energy_kev > 0.0 || phase.distance_mm > 0.0))
    problems.add("phase", "expects phase.delta_beta with phase.energy_kev and phase.distance_mm");
}

}  // namespace triptych
