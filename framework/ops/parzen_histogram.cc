// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/parzen_histogram.h"

#include "framework/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr int kTaps = 4;
constexpr std::int64_t kVoxelsAtOnce = 1 << 15;
constexpr double kFirstCentre = 1.5;  ///< bin coordinate of value 0

/// The first of four bins, their weights, and the weights' derivatives by the value.
struct Window {
  std::int64_t first;
  float weight[kTaps], slope[kTaps];
};

Window window_at(float value, std::int64_t bins) {
  const float last = static_cast<float>(bins - kParzenMargin);
  const bool beyond = !(value >= 0.0F && value <= last);
  const float held = beyond ? (value > last ? last : 0.0F) : value;
  const float position = held + static_cast<float>(kFirstCentre);
  const auto cell = static_cast<std::int64_t>(position);
  const float f = position - static_cast<float>(cell), g = 1.0F - f;
  Window w{cell - 1,
           {g * g * g / 6.0F,
            (4.0F + f * f * (3.0F * f - 6.0F)) / 6.0F,
            (4.0F + g * g * (3.0F * g - 6.0F)) / 6.0F,
            f * f * f / 6.0F},
           {-0.5F * g * g, f * (1.5F * f - 2.0F), -g * (1.5F * g - 2.0F), 0.5F * f * f}};
  if (beyond) std::fill_n(w.slope, kTaps, 0.0F);
  return w;
}

struct Pairs {
  const float *a, *b, *weight;  ///< [V] of one item
};

void count_pairs(const Pairs& pairs, std::int64_t count, std::int64_t bins, float* histogram) {
  for (std::int64_t v = 0; v < count; ++v) {
    if (pairs.weight[v] == 0.0F) continue;
    const Window a = window_at(pairs.a[v], bins), b = window_at(pairs.b[v], bins);
    for (int i = 0; i < kTaps; ++i) {
      float* row = histogram + (a.first + i) * bins + b.first;
      const float share = pairs.weight[v] * a.weight[i];
      for (int j = 0; j < kTaps; ++j) row[j] += share * b.weight[j];
    }
  }
}

/// Derivatives by a and b of the sum of gradient * histogram.
void differentiate_pairs(const Pairs& pairs,
                         std::int64_t count,
                         std::int64_t bins,
                         const float* gradient,
                         float* by_a,
                         float* by_b) {
  for (std::int64_t v = 0; v < count; ++v) {
    const Window a = window_at(pairs.a[v], bins), b = window_at(pairs.b[v], bins);
    float sum_a = 0.0F, sum_b = 0.0F;
    for (int i = 0; i < kTaps; ++i) {
      const float* row = gradient + (a.first + i) * bins + b.first;
      float along = 0.0F, slope = 0.0F;
      for (int j = 0; j < kTaps; ++j) {
        along += row[j] * b.weight[j];
        slope += row[j] * b.slope[j];
      }
      sum_a += a.slope[i] * along;
      sum_b += a.weight[i] * slope;
    }
    by_a[v] = pairs.weight[v] * sum_a;
    by_b[v] = pairs.weight[v] * sum_b;
  }
}

struct ParzenFunction : torch::autograd::Function<ParzenFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& a,
                            const at::Tensor& b,
                            const at::Tensor& weights,
                            std::int64_t bins) {
    context->save_for_backward({a, b, weights});
    context->saved_data["bins"] = bins;
    const std::int64_t items = a.size(0), voxels = a.size(1);
    const std::int64_t parts = (voxels + kVoxelsAtOnce - 1) / kVoxelsAtOnce;
    // Partial counts belong to parts of the voxels, not to threads, and are added in order.
    at::Tensor partial = at::zeros({items, parts, bins, bins}, a.options());
    parallel_for(items * parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t job = begin; job < end; ++job) {
        const std::int64_t first = job % parts * kVoxelsAtOnce;
        const std::int64_t offset = job / parts * voxels + first;
        count_pairs({a.data_ptr<float>() + offset,
                     b.data_ptr<float>() + offset,
                     weights.data_ptr<float>() + offset},
                    std::min(kVoxelsAtOnce, voxels - first),
                    bins,
                    partial.data_ptr<float>() + job * bins * bins);
      }
    });
    at::Tensor counts = at::zeros({items, bins, bins}, a.options().dtype(at::kDouble));
    for (std::int64_t part = 0; part < parts; ++part) counts += partial.select(1, part);
    return counts.to(at::kFloat);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const std::int64_t bins = context->saved_data["bins"].toInt();
    const std::int64_t items = saved[0].size(0), voxels = saved[0].size(1);
    const at::Tensor gradient = gradients[0].contiguous();
    const at::Tensor by_a = at::empty_like(saved[0]), by_b = at::empty_like(saved[1]);
    for (std::int64_t item = 0; item < items; ++item) {
      parallel_for(voxels, kVoxelsAtOnce, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t offset = item * voxels + begin;
        differentiate_pairs({saved[0].data_ptr<float>() + offset,
                             saved[1].data_ptr<float>() + offset,
                             saved[2].data_ptr<float>() + offset},
                            end - begin,
                            bins,
                            gradient.data_ptr<float>() + item * bins * bins,
                            by_a.data_ptr<float>() + offset,
                            by_b.data_ptr<float>() + offset);
      });
    }
    return {by_a, by_b, at::Tensor(), at::Tensor()};
  }
};

/// B3 of the distances between the bins' centres and values [N, V]: [N, bins, V].
at::Tensor dense_windows(const at::Tensor& values, std::int64_t bins) {
  const at::Tensor held = values.clamp(0.0, static_cast<double>(bins - kParzenMargin));
  const at::Tensor centres = at::arange(bins, values.options()).view({1, -1, 1}) - kFirstCentre;
  const at::Tensor d = (held.unsqueeze(1) - centres).abs();
  const at::Tensor rest = (2.0 - d).clamp_min(0.0);
  const at::Tensor near = (4.0 + d * d * (3.0 * d - 6.0)) / 6.0;
  return at::where(d < 1.0, near, rest * rest * rest / 6.0);
}

}  // namespace

at::Tensor parzen_counts(const at::Tensor& a,
                         const at::Tensor& b,
                         const at::Tensor& weights,
                         std::int64_t bins) {
  const auto fits = [](const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; };
  if (fits(a) && fits(b) && fits(weights))
    return ParzenFunction::apply(a.contiguous(), b.contiguous(), weights.contiguous(), bins);
  return at::bmm(dense_windows(a, bins) * weights.unsqueeze(1),
                 dense_windows(b, bins).transpose(1, 2));
}

}  // namespace triptych
