// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace triptych {

/// Multi-level thresholds after Otsu (1979): the `classes` - 1 cuts of a histogram that maximise
/// the variance between classes. Exact, by dynamic programming over (class, last bin), O(classes *
/// bins^2).
///
/// Returns ascending bin numbers; class k holds the bins in [cut[k - 1], cut[k]). Needs 2 <=
/// classes <= occupied bins, else throws data_error.
std::vector<std::size_t> otsu_cuts(std::span<const double> histogram, int classes);

/// Thresholds of grey values: a value v belongs to class k if thresholds[k - 1] <= v <
/// thresholds[k]. The histogram has `bins` bins from the smallest to the largest finite value;
/// values that are not finite are left out.
std::vector<float> otsu_thresholds(std::span<const float> values, int classes, int bins = 256);

/// Class of each value under ascending thresholds, 0 .. thresholds.size().
std::vector<std::int64_t> classify_by_thresholds(std::span<const float> values,
                                                 std::span<const float> thresholds);

}  // namespace triptych
