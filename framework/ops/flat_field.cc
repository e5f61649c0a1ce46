// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/flat_field.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <atomic>
#include <span>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

constexpr std::int64_t kLongestDeadRun = 5;
constexpr std::int64_t kRowsAtOnce = 64;

bool is_dead(float transmission) {
  return !(transmission >= static_cast<float>(kLowestTransmission));
}

/// Fills row[begin, end) from the values before and behind it; one of them at the border.
void interpolate_run(std::span<float> row, std::size_t begin, std::size_t end) {
  const bool left = begin > 0;
  const bool right = end < row.size();
  const float before = left ? row[begin - 1] : row[end];
  const float behind = right ? row[end] : before;
  for (std::size_t i = begin; i < end; ++i) {
    const float share = static_cast<float>(i - begin + 1) / static_cast<float>(end - begin + 1);
    row[i] = before + share * (behind - before);
  }
}

struct RepairCounts {
  std::int64_t interpolated = 0;
  std::int64_t clamped = 0;
};

RepairCounts repair_row(std::span<float> row) {
  RepairCounts counts;
  for (std::size_t begin = 0; begin < row.size(); ++begin) {
    if (!is_dead(row[begin])) continue;
    std::size_t end = begin;
    while (end < row.size() && is_dead(row[end])) ++end;
    const auto length = static_cast<std::int64_t>(end - begin);
    if (length <= kLongestDeadRun && length < static_cast<std::int64_t>(row.size())) {
      interpolate_run(row, begin, end);
      counts.interpolated += length;
    } else {
      for (std::size_t i = begin; i < end; ++i) row[i] = static_cast<float>(kLowestTransmission);
      counts.clamped += length;
    }
    begin = end;
  }
  return counts;
}

}  // namespace

at::Tensor median_frame(const at::Tensor& frames) {
  const std::int64_t count = frames.size(0);
  TRIPTYCH_ASSERT(count > 0);
  if (count == 1) return frames[0];
  const at::Tensor sorted = std::get<0>(frames.sort(0));
  return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

double saturated_share(const at::Tensor& flats, double saturation) {
  return median_frame(flats).ge(saturation).to(at::kDouble).mean().item<double>();
}

at::Tensor flat_field_corrected(const at::Tensor& projections,
                                const at::Tensor& flat,
                                const at::Tensor& dark) {
  const at::Tensor beam = flat - dark;
  const at::Tensor measures = beam.gt(0.0);
  const at::Tensor gain = at::where(measures, beam.reciprocal(), at::zeros_like(beam));
  return (projections - dark).mul_(gain);
}

at::Tensor air_normalised(const at::Tensor& projections, std::int64_t margin) {
  const std::int64_t columns = projections.size(2);
  TRIPTYCH_ASSERT(margin > 0 && 2 * margin <= columns);
  const at::Tensor left = projections.narrow(2, 0, margin).mean(2, true);
  const at::Tensor right = projections.narrow(2, columns - margin, margin).mean(2, true);
  const at::Tensor darkest = at::minimum(left, right);
  if (darkest.min().item<float>() <= 0.0F) {
    const auto at = darkest.flatten().argmin().item<std::int64_t>();
    throw data_error(
        fmt::format("air margin of {} columns: expected counts above zero, got a mean of "
                    "{} in projection {}",
                    margin,
                    darkest.min().item<float>(),
                    at / projections.size(1)),
        "air_margin counts the columns on both sides that the object never reaches");
  }
  // The margins' means stand for the columns in their middle.
  const double first = 0.5 * static_cast<double>(margin - 1);
  const double last = static_cast<double>(columns - 1) - first;
  const at::Tensor share =
      at::arange(columns, projections.options()).sub_(first).div_(std::max(last - first, 1.0));
  return projections / (left + (right - left) * share);
}

RepairedTransmission repaired_transmission(const at::Tensor& transmission) {
  RepairedTransmission repaired;
  repaired.values = transmission.to(at::kFloat).clone(at::MemoryFormat::Contiguous);
  const std::int64_t columns = transmission.size(-1);
  if (transmission.numel() == 0) return repaired;
  float* values = repaired.values.data_ptr<float>();
  std::atomic<std::int64_t> interpolated{0};
  std::atomic<std::int64_t> clamped{0};
  parallel_for(
      transmission.numel() / columns, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const RepairCounts counts =
              repair_row({values + row * columns, static_cast<std::size_t>(columns)});
          interpolated += counts.interpolated;
          clamped += counts.clamped;
        }
      });
  repaired.interpolated = interpolated;
  repaired.clamped = clamped;
  return repaired;
}

at::Tensor line_integrals(const at::Tensor& transmission) {
  return transmission.clamp_min(kLowestTransmission).log_().neg_();
}

at::Tensor extend_columns(const at::Tensor& sinograms, std::int64_t margin) {
  if (margin == 0) return sinograms;
  std::vector<std::int64_t> sizes = sinograms.sizes().vec();
  sizes.back() = margin;
  return at::cat({sinograms.narrow(-1, 0, 1).expand(sizes),
                  sinograms,
                  sinograms.narrow(-1, sinograms.size(-1) - 1, 1).expand(sizes)},
                 -1);
}

}  // namespace triptych
