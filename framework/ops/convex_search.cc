// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/convex_search.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"
#include "framework/core/stop.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/cost_volume.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/velocity.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <ATen/ATen.h>

// The loops over a row must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

/// Weight of the squared distance to no displacement in the first round: where all displacements
/// cost the same, none is the best.
constexpr double kPreferNone = 1e-5;

struct Candidate {
  float x, y, z;  ///< displacement in grid points
  std::int32_t index;
};

/// Keeps the candidate where it is better: cost + coupling * |candidate - smooth|^2.
TRIPTYCH_ALWAYS_INLINE void keep_better_body(const float* cost,
                                             const float* const* smooth,
                                             const Candidate& candidate,
                                             float coupling,
                                             std::int64_t n,
                                             float* __restrict best,
                                             std::int32_t* __restrict index) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = candidate.x - smooth[0][i];
    const float y = candidate.y - smooth[1][i];
    const float z = candidate.z - smooth[2][i];
    const float total = cost[i] + coupling * (x * x + y * y + z * z);
    const bool better = total < best[i];
    index[i] = better ? candidate.index : index[i];
    best[i] = better ? total : best[i];
  }
}
TRIPTYCH_VECTOR_KERNEL(keep_better,
                       (const float* cost,
                        const float* const* smooth,
                        const Candidate& candidate,
                        float coupling,
                        std::int64_t n,
                        float* __restrict best,
                        std::int32_t* __restrict index),
                       (cost, smooth, candidate, coupling, n, best, index))

/// Means over the grid points of 3^3 that exist, [N, C, D, H, W].
at::Tensor smoothed(const at::Tensor& x) {
  const Index3 radius = window_radius(x, 1);
  const at::Tensor counts =
      box_sum(at::ones({1, 1, x.size(2), x.size(3), x.size(4)}, x.options()), radius);
  return box_sum(x, radius) / counts;
}

/// Coupled convex optimisation of one direction, in grid points.
class ConvexSearch {
 public:
  ConvexSearch(const at::Tensor& fixed,
               const at::Tensor& moving,
               const Index3& half_width,
               std::int64_t memory_bytes)
      : fixed_(fixed),
        moving_(moving),
        half_(half_width),
        displacements_(search_displacements(half_width)),
        depth_(fixed.size(1)) {
    const std::int64_t slice_bytes =
        displacements_.size(0) * fixed.size(2) * fixed.size(3) * std::int64_t{sizeof(float)};
    // Costs, their box sums and a slice on either side that smoothing needs.
    slab_ = std::clamp<std::int64_t>(memory_bytes / (3 * slice_bytes) - 2, 1, depth_);
    if (slab_ == depth_) whole_ = costs(0, depth_);
  }

  /// [1, 3, D, H, W], components along W, H, D.
  at::Tensor run(const std::vector<double>& couplings) const {
    at::Tensor field = smoothed(best_displacements(nullptr, kPreferNone));
    for (const double coupling : couplings) field = smoothed(best_displacements(&field, coupling));
    return field;
  }

 private:
  at::Tensor costs(std::int64_t first, std::int64_t end) const {
    const std::int64_t from = std::max<std::int64_t>(0, first - 1);
    const std::int64_t to = std::min(depth_, end + 1);
    const at::Tensor wide = cost_slices(fixed_, moving_, half_, from, to).unsqueeze(0);
    // What a slab's first and last slice lack beyond it is cut off.
    return smoothed(wide)[0].narrow(1, first - from, end - first).contiguous();
  }

  at::Tensor best_displacements(const at::Tensor* smooth, double coupling) const {
    std::vector<at::Tensor> slabs;
    for (std::int64_t first = 0; first < depth_; first += slab_) {
      check_not_stopped("search");
      const std::int64_t end = std::min(depth_, first + slab_);
      slabs.push_back(best_in(whole_ ? *whole_ : costs(first, end), first, smooth, coupling));
    }
    const at::Tensor index = at::cat(slabs, 0).flatten().to(at::kLong);
    return displacements_.index_select(0, index).t().contiguous().view(
        {1, 3, depth_, fixed_.size(2), fixed_.size(3)});
  }

  /// Index of the best displacement, int32 [slices, H, W].
  at::Tensor best_in(const at::Tensor& costs,
                     std::int64_t first_slice,
                     const at::Tensor* smooth,
                     double coupling) const {
    constexpr std::int64_t kLinesAtOnce = 4;
    const std::int64_t width = costs.size(3), lines = costs.size(1) * costs.size(2);
    const std::int64_t points = depth_ * costs.size(2) * width;
    at::Tensor index = at::zeros({costs.size(1), costs.size(2), width}, at::kInt);
    const float* d = displacements_.data_ptr<float>();
    const std::vector<float> zeros(static_cast<std::size_t>(width), 0.0F);
    const float* field = smooth == nullptr
                             ? nullptr
                             : smooth->data_ptr<float>() + first_slice * costs.size(2) * width;
    parallel_for(lines, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> best(static_cast<std::size_t>(width));
      for (std::int64_t line = begin; line < end; ++line) {
        const float* rows[3] = {zeros.data(), zeros.data(), zeros.data()};
        for (int c = 0; field != nullptr && c < 3; ++c) rows[c] = field + c * points + line * width;
        std::fill(best.begin(), best.end(), std::numeric_limits<float>::infinity());
        for (std::int32_t k = 0; k < costs.size(0); ++k) {
          const Candidate candidate{d[3 * k], d[3 * k + 1], d[3 * k + 2], k};
          keep_better(costs.data_ptr<float>() + (k * lines + line) * width,
                      rows,
                      candidate,
                      static_cast<float>(coupling),
                      width,
                      best.data(),
                      index.data_ptr<std::int32_t>() + line * width);
        }
      }
    });
    return index;
  }

  at::Tensor fixed_, moving_;  ///< [C, D, H, W]
  Index3 half_;
  at::Tensor displacements_;  ///< [K, 3]
  std::int64_t depth_;
  std::int64_t slab_ = 1;
  std::optional<at::Tensor> whole_;
};

void check_features(const at::Tensor& features, const Geometry& grid, const std::string& name) {
  check_shape(features, {1, kAny, grid.shape[0], grid.shape[1], grid.shape[2]}, name);
  if (!features.is_cpu() || features.scalar_type() != at::kFloat) {
    throw shape_error(fmt::format("{}: expected float32 on the CPU, got {} on {}",
                                  name,
                                  at::toString(features.scalar_type()),
                                  features.device().str()));
  }
}

}  // namespace

Geometry pooled_grid(const Geometry& grid, const Index3& cell) {
  Geometry result = grid;
  Eigen::Vector3d shift;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    result.shape[a] = grid.shape[a] / cell[a];
    result.spacing[axis] = grid.spacing[axis] * static_cast<double>(cell[a]);
    shift[axis] = 0.5 * static_cast<double>(cell[a] - 1);
  }
  result.origin = grid.world_from_index(shift);
  return result;
}

Index3 search_cell(const Geometry& grid, std::int64_t edge) {
  double finest = std::numeric_limits<double>::infinity();
  for (int axis = 0; axis < 3; ++axis) {
    if (grid.shape[static_cast<std::size_t>(2 - axis)] > 1)
      finest = std::min(finest, grid.spacing[axis]);
  }
  Index3 cell{1, 1, 1};
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    if (grid.shape[a] == 1) continue;
    const double voxels = static_cast<double>(edge) * finest / grid.spacing[axis];
    cell[a] = std::clamp<std::int64_t>(std::llround(voxels), 1, grid.shape[a]);
  }
  return cell;
}

at::Tensor convex_search(const at::Tensor& fixed_features,
                         const at::Tensor& moving_features,
                         const Geometry& grid,
                         const ConvexSearchOptions& options) {
  check_valid(grid, "convex search");
  check_features(fixed_features, grid, "fixed features");
  check_features(moving_features, grid, "moving features");
  check_shape(moving_features, {1, fixed_features.size(1), kAny, kAny, kAny}, "moving features");
  TRIPTYCH_ASSERT(options.grid_spacing >= 1 && options.half_width >= 1);
  const at::NoGradGuard no_grad;
  const Index3 cell = search_cell(grid, options.grid_spacing);
  const Geometry coarse = pooled_grid(grid, cell);
  Index3 half;
  for (std::size_t axis = 0; axis < 3; ++axis)
    half[axis] = std::min(options.half_width, coarse.shape[axis] - 1);
  const auto pooled = [&](const at::Tensor& features) {
    return at::avg_pool3d(features, {cell[0], cell[1], cell[2]})[0].contiguous();
  };
  const at::Tensor fixed = pooled(fixed_features), moving = pooled(moving_features);
  const auto search = [&](const at::Tensor& a, const at::Tensor& b) {
    return mm_from_voxels(ConvexSearch(a, b, half, options.memory_bytes).run(options.couplings),
                          coarse);
  };
  at::Tensor field = search(fixed, moving);
  if (options.inverse_consistent)
    field = make_consistent(field, search(moving, fixed), coarse).first;
  return resample_to_grid(field, coarse, grid);
}

}  // namespace triptych
