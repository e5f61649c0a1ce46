// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/fold_removal.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"
#include "framework/image/geometry.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/cpu_dispatch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

// The loops over a row must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr std::int64_t kLinesAtOnce = 16, kVoxelsAtOnce = 256;
constexpr std::int64_t kReach = 2;   ///< voxels about a fold that are smoothed at first
constexpr int kRoundsPerReach = 10;  ///< then the neighbourhood grows by a voxel

/// Three components of a row, and their lines before and after along H and D.
struct DerivativeRow {
  const float* values[3];
  const float* low[2][3];
  const float* high[2][3];
  float scale[2];  ///< 1 / distance of the two lines, 0 along an axis of one voxel
  std::int64_t width;
};

/// det(I + du/dx) of the voxel i between `before` and `after` on its row.
TRIPTYCH_ALWAYS_INLINE float determinant_at(const DerivativeRow& row,
                                            std::int64_t i,
                                            std::int64_t before,
                                            std::int64_t after,
                                            float scale) {
  float j[3][3];
#pragma GCC unroll 3
  for (int c = 0; c < 3; ++c) {
    j[c][0] = scale * (row.values[c][after] - row.values[c][before]);
    j[c][1] = row.scale[0] * (row.high[0][c][i] - row.low[0][c][i]);
    j[c][2] = row.scale[1] * (row.high[1][c][i] - row.low[1][c][i]);
    j[c][c] += 1.0F;
  }
  return j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) -
         j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
         j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
}

TRIPTYCH_ALWAYS_INLINE void find_determinants_body(const DerivativeRow& row,
                                                   float* __restrict out) {
  const std::int64_t last = row.width - 1;
  for (std::int64_t i = 1; i < last; ++i) out[i] = determinant_at(row, i, i - 1, i + 1, 0.5F);
  out[0] = determinant_at(row, 0, 0, last > 0 ? 1 : 0, 1.0F);
  out[last] = determinant_at(row, last, last > 0 ? last - 1 : 0, last, 1.0F);
}
TRIPTYCH_VECTOR_KERNEL(find_determinants,
                       (const DerivativeRow& row, float* __restrict out),
                       (row, out))

class FoldRemoval {
 public:
  FoldRemoval(float* field, const Index3& shape, double smallest)
      : field_(field),
        shape_(shape),
        voxels_(shape[0] * shape[1] * shape[2]),
        smallest_(static_cast<float>(smallest)) {}

  /// Voxels whose determinant is too small, in order.
  std::vector<std::int64_t> folds() const {
    const std::int64_t lines = shape_[0] * shape_[1], width = shape_[2];
    std::vector<std::vector<std::int64_t>> found(
        static_cast<std::size_t>((lines + kLinesAtOnce - 1) / kLinesAtOnce));
    parallel_for(lines, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> determinants(static_cast<std::size_t>(width));
      auto& here = found[static_cast<std::size_t>(begin / kLinesAtOnce)];
      for (std::int64_t line = begin; line < end; ++line) {
        find_determinants(row_of(line / shape_[1], line % shape_[1]), determinants.data());
        for (std::int64_t x = 0; x < width; ++x) {
          if (!(determinants[static_cast<std::size_t>(x)] >= smallest_))
            here.push_back(line * width + x);
        }
      }
    });
    std::vector<std::int64_t> result;
    for (const auto& part : found) result.insert(result.end(), part.begin(), part.end());
    return result;
  }

  void smooth_about(const std::vector<std::int64_t>& folds, std::int64_t reach) {
    const std::vector<std::int64_t> where = neighbourhood(folds, reach);
    const auto count = static_cast<std::int64_t>(where.size());
    if (count > voxels_ / 8) return smooth_at_once(where);
    std::vector<float> means(static_cast<std::size_t>(3 * count));
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    parallel_for(count, kVoxelsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) store_means(where[at(i)], &means[at(3 * i)]);
    });
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t c = 0; c < 3; ++c)
        field_[c * voxels_ + where[at(i)]] = means[at(3 * i + c)];
    }
  }

 private:
  /// The same by means of the whole field, which are cheaper than many single ones.
  void smooth_at_once(const std::vector<std::int64_t>& where) {
    const at::Tensor field =
        at::from_blob(field_, {1, 3, shape_[0], shape_[1], shape_[2]}, at::kFloat);
    const Index3 window = window_radius(field, 1);
    const at::Tensor ones = at::ones({1, 1, shape_[0], shape_[1], shape_[2]});
    const at::Tensor means = (box_sum(field, window) / box_sum(ones, window)).contiguous();
    const float* values = means.data_ptr<float>();
    for (const std::int64_t voxel : where) {
      for (std::int64_t c = 0; c < 3; ++c)
        field_[c * voxels_ + voxel] = values[c * voxels_ + voxel];
    }
  }

  /// First and last index along an axis within `reach` of a position.
  std::pair<std::int64_t, std::int64_t> range(std::size_t axis,
                                              std::int64_t position,
                                              std::int64_t reach) const {
    return {std::max<std::int64_t>(0, position - reach),
            std::min(shape_[axis] - 1, position + reach)};
  }

  /// Calls `body` on the offset of every voxel of a box about a voxel.
  template <class Body>
  void visit_box(std::int64_t voxel, std::int64_t reach, Body body) const {
    const auto [z0, z1] = range(0, voxel / (shape_[1] * shape_[2]), reach);
    const auto [y0, y1] = range(1, voxel / shape_[2] % shape_[1], reach);
    const auto [x0, x1] = range(2, voxel % shape_[2], reach);
    for (std::int64_t z = z0; z <= z1; ++z) {
      for (std::int64_t y = y0; y <= y1; ++y) {
        for (std::int64_t x = x0; x <= x1; ++x) body((z * shape_[1] + y) * shape_[2] + x);
      }
    }
  }

  /// Voxels within `reach` of a fold along every axis, in order.
  std::vector<std::int64_t> neighbourhood(const std::vector<std::int64_t>& folds,
                                          std::int64_t reach) const {
    const std::int64_t box = (2 * reach + 1) * (2 * reach + 1) * (2 * reach + 1);
    std::vector<std::int64_t> where;
    if (static_cast<std::int64_t>(folds.size()) * box > voxels_) {
      const std::vector<char> near = dilated(folds, reach);
      for (std::int64_t voxel = 0; voxel < voxels_; ++voxel) {
        if (near[static_cast<std::size_t>(voxel)] != 0) where.push_back(voxel);
      }
      return where;
    }
    for (const std::int64_t voxel : folds)
      visit_box(voxel, reach, [&](std::int64_t other) { where.push_back(other); });
    std::sort(where.begin(), where.end());
    where.erase(std::unique(where.begin(), where.end()), where.end());
    return where;
  }

  /// 1 within `reach` of a fold, by a pass along each axis and back.
  std::vector<char> dilated(const std::vector<std::int64_t>& folds, std::int64_t reach) const {
    std::vector<char> near(static_cast<std::size_t>(voxels_), 0);
    for (const std::int64_t voxel : folds) near[static_cast<std::size_t>(voxel)] = 1;
    std::vector<std::int64_t> last;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::int64_t length = shape_[axis];
      const std::int64_t step = axis == 2 ? 1 : axis == 1 ? shape_[2] : shape_[1] * shape_[2];
      for (std::int64_t first = 0; first < voxels_; ++first) {
        if (first / step % length == 0)
          dilate_line(&near[static_cast<std::size_t>(first)], length, step, reach, last);
      }
    }
    return near;
  }

  /// `nearest` is workspace.
  static void dilate_line(char* line,
                          std::int64_t length,
                          std::int64_t step,
                          std::int64_t reach,
                          std::vector<std::int64_t>& nearest) {
    nearest.assign(static_cast<std::size_t>(length), length);
    std::int64_t since = length;
    for (std::int64_t i = 0; i < length; ++i) {
      since = line[i * step] != 0 ? 0 : since + 1;
      nearest[static_cast<std::size_t>(i)] = since;
    }
    since = length;
    for (std::int64_t i = length - 1; i >= 0; --i) {
      since = line[i * step] != 0 ? 0 : since + 1;
      const std::int64_t distance = std::min(since, nearest[static_cast<std::size_t>(i)]);
      if (distance <= reach) nearest[static_cast<std::size_t>(i)] = -1;
    }
    for (std::int64_t i = 0; i < length; ++i) {
      if (nearest[static_cast<std::size_t>(i)] == -1) line[i * step] = 1;
    }
  }

  void store_means(std::int64_t voxel, float* means) const {
    double sums[3] = {};
    int count = 0;
    visit_box(voxel, 1, [&](std::int64_t other) {
      for (std::int64_t c = 0; c < 3; ++c) sums[c] += field_[c * voxels_ + other];
      ++count;
    });
    for (int c = 0; c < 3; ++c) means[c] = static_cast<float>(sums[c] / count);
  }

  DerivativeRow row_of(std::int64_t z, std::int64_t y) const {
    const std::int64_t plane = shape_[1] * shape_[2], width = shape_[2];
    const auto [z0, z1] = range(0, z, 1);
    const auto [y0, y1] = range(1, y, 1);
    DerivativeRow row{};
    row.width = width;
    row.scale[0] = y1 > y0 ? 1.0F / static_cast<float>(y1 - y0) : 0.0F;
    row.scale[1] = z1 > z0 ? 1.0F / static_cast<float>(z1 - z0) : 0.0F;
    for (int c = 0; c < 3; ++c) {
      const float* component = field_ + c * voxels_;
      row.values[c] = component + z * plane + y * width;
      row.low[0][c] = component + z * plane + y0 * width;
      row.high[0][c] = component + z * plane + y1 * width;
      row.low[1][c] = component + z0 * plane + y * width;
      row.high[1][c] = component + z1 * plane + y * width;
    }
    return row;
  }

  float* field_;
  Index3 shape_;
  std::int64_t voxels_;
  float smallest_;
};

}  // namespace

std::int64_t remove_folds(at::Tensor& displacement_voxel, const FoldRemovalOptions& options) {
  check_shape(displacement_voxel, {1, 3, kAny, kAny, kAny}, "displacement to unfold");
  TRIPTYCH_ASSERT(displacement_voxel.is_contiguous() && displacement_voxel.is_cpu() &&
                  displacement_voxel.scalar_type() == at::kFloat);
  FoldRemoval removal(
      displacement_voxel.data_ptr<float>(),
      {displacement_voxel.size(2), displacement_voxel.size(3), displacement_voxel.size(4)},
      options.smallest_determinant);
  std::vector<std::int64_t> folds = removal.folds();
  for (int round = 0; round < options.rounds && !folds.empty(); ++round) {
    removal.smooth_about(folds, kReach + round / kRoundsPerReach);
    folds = removal.folds();
  }
  return static_cast<std::int64_t>(folds.size());
}

}  // namespace triptych
