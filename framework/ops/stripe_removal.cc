// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/stripe_removal.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kLinesAtOnce = 16;

/// Replaces a line by its running median. The window is kept sorted: one value leaves, one enters.
void median_filter(float* line, std::int64_t count, std::int64_t window) {
  const std::vector<float> input(line, line + count);
  const std::int64_t half = window / 2;
  const auto at = [&](std::int64_t i) { return input[std::clamp<std::int64_t>(i, 0, count - 1)]; };
  std::vector<float> sorted;
  for (std::int64_t i = -half; i <= half; ++i) sorted.push_back(at(i));
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < count; ++i) {
    line[i] = sorted[half];
    sorted.erase(std::lower_bound(sorted.begin(), sorted.end(), at(i - half)));
    const float next = at(i + half + 1);
    sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), next), next);
  }
}

/// Ranks of the values of one column: order[r] is the angle of the value of rank r. Equal values
/// keep the order of their angles.
void sort_column(const float* column, std::int64_t angles, std::int64_t* order) {
  for (std::int64_t angle = 0; angle < angles; ++angle) order[angle] = angle;
  std::stable_sort(
      order, order + angles, [&](std::int64_t a, std::int64_t b) { return column[a] < column[b]; });
}

}  // namespace

at::Tensor remove_stripes_by_sorting(const at::Tensor& sinograms, std::int64_t window) {
  TRIPTYCH_ASSERT(window >= 3 && window % 2 == 1);
  const std::int64_t angles = sinograms.size(-2);
  const std::int64_t columns = sinograms.size(-1);
  const at::Tensor flat = sinograms.to(at::kFloat).reshape({-1, angles, columns});
  at::Tensor result = at::empty({flat.size(0), angles, columns}, at::kFloat);
  std::vector<std::int64_t> order(angles * columns);
  for (std::int64_t slice = 0; slice < flat.size(0); ++slice) {
    const at::Tensor by_column = flat[slice].t().contiguous();  // [W, A]
    at::Tensor by_rank = at::empty({angles, columns}, at::kFloat);
    const float* values = by_column.data_ptr<float>();
    float* ranked = by_rank.data_ptr<float>();
    parallel_for(columns, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t column = begin; column < end; ++column) {
        const float* line = values + column * angles;
        std::int64_t* ranks = order.data() + column * angles;
        sort_column(line, angles, ranks);
        for (std::int64_t r = 0; r < angles; ++r) ranked[r * columns + column] = line[ranks[r]];
      }
    });
    parallel_for(angles, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        median_filter(ranked + r * columns, columns, window);
    });
    float* out = result[slice].data_ptr<float>();
    parallel_for(columns, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t column = begin; column < end; ++column) {
        const std::int64_t* ranks = order.data() + column * angles;
        for (std::int64_t r = 0; r < angles; ++r)
          out[ranks[r] * columns + column] = ranked[r * columns + column];
      }
    });
  }
  return result.view(sinograms.sizes());
}

}  // namespace triptych
