// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/task.h"

#include <string>
#include <vector>

namespace triptych {

/// Classical denoising as baselines: the input itself (`input`), median, total variation and
/// non-local means. Each filter takes the parameter of its grid that gives the lowest mean squared
/// error over the `training` samples against `target_role` (their middle 64^3 voxels); samples
/// without it are left out.
///
/// Grids: median radius 1, 2; total variation weight 0.01, 0.02, 0.04, 0.08, 0.16; non-local means
/// strength 0.02, 0.04, 0.08, 0.16, 0.32 with patches of 3^3 in 7^3 voxels; weights and strengths
/// are times `data_range`. The name tells the choice: "tv 0.04".
std::vector<Baseline> denoising_baselines(const std::vector<Sample>& training,
                                          const std::string& image_role,
                                          const std::string& target_role,
                                          double data_range);

}  // namespace triptych
