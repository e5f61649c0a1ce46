// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mish_kernel.h"

#include "framework/core/error.h"
#include "framework/core/torch_compat.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/vector_math.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

// The loops below must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr std::int64_t kGrain = 1 << 14;  ///< values a thread takes at once

TRIPTYCH_ALWAYS_INLINE float mish_of(float x) {
  // Beyond 20 the factor is 1 in float32; below -87 e^x underflows, and the result, under 1e-35, is
  // as good as zero.
  const float high = x > 20.0F ? 20.0F : x;
  const float e = bounded_exp(high < -87.0F ? -87.0F : high);
  const float n = e * (e + 2.0F);
  const float y = x * (n / (n + 2.0F));
  return x < -100.0F ? 0.0F : y;
}

/// mish'(x) = n / (n + 2) + 4 x e (e + 1) / (n + 2)^2.
TRIPTYCH_ALWAYS_INLINE float mish_slope_of(float x) {
  const float high = x > 20.0F ? 20.0F : x;
  const float e = bounded_exp(high < -87.0F ? -87.0F : high);
  const float n = e * (e + 2.0F), share = 1.0F / (n + 2.0F);
  const float slope = (n + x * (4.0F * e * (e + 1.0F) * share)) * share;
  return x > 20.0F ? 1.0F : x < -87.0F ? 0.0F : slope;
}

TRIPTYCH_ALWAYS_INLINE void mish_values_body(float* y, const float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = mish_of(x[i]);
}
TRIPTYCH_VECTOR_KERNEL(mish_values, (float* y, const float* x, std::int64_t count), (y, x, count))

TRIPTYCH_ALWAYS_INLINE void mish_gradients_body(float* y,
                                                const float* x,
                                                const float* gradient,
                                                std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = gradient[i] * mish_slope_of(x[i]);
}
TRIPTYCH_VECTOR_KERNEL(mish_gradients,
                       (float* y, const float* x, const float* gradient, std::int64_t count),
                       (y, x, gradient, count))

TRIPTYCH_ALWAYS_INLINE void bias_mish_rows_body(float* x,
                                                const float* bias,
                                                std::int64_t rows,
                                                std::int64_t channels) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels) {
    for (std::int64_t c = 0; c < channels; ++c) x[c] = mish_of(x[c] + bias[c]);
  }
}
TRIPTYCH_VECTOR_KERNEL(bias_mish_rows,
                       (float* x, const float* bias, std::int64_t rows, std::int64_t channels),
                       (x, bias, rows, channels))

TRIPTYCH_ALWAYS_INLINE void bias_slope_rows_body(
    float* x, const float* bias, std::int64_t rows, std::int64_t channels, float slope) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float y = x[c] + bias[c];
      x[c] = y < 0.0F ? y * slope : y;
    }
  }
}
TRIPTYCH_VECTOR_KERNEL(
    bias_slope_rows,
    (float* x, const float* bias, std::int64_t rows, std::int64_t channels, float slope),
    (x, bias, rows, channels, slope))

void run_rows(at::Tensor& x, const at::Tensor& bias, Activation activation) {
  const std::int64_t channels = x.size(1);
  const at::Tensor offsets =
      bias.defined() ? bias.to(at::kFloat).contiguous() : at::zeros({channels});
  float* values = x.data_ptr<float>();
  const float* offset = offsets.data_ptr<float>();
  const std::int64_t rows = x.numel() / channels;
  at::parallel_for(0,
                   rows,
                   std::max<std::int64_t>(1, kGrain / channels),
                   [&](std::int64_t begin, std::int64_t end) {
                     float* first = values + begin * channels;
                     switch (activation) {
                       case Activation::kMish:
                         return bias_mish_rows(first, offset, end - begin, channels);
                       case Activation::kRelu:
                         return bias_slope_rows(first, offset, end - begin, channels, 0.0F);
                       case Activation::kLeakyRelu:
                         return bias_slope_rows(first, offset, end - begin, channels, 0.01F);
                       case Activation::kIdentity:
                         return bias_slope_rows(first, offset, end - begin, channels, 1.0F);
                     }
                   });
}

bool is_channels_last(const at::Tensor& x) {
  return (x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast)) ||
         (x.dim() == 5 && x.is_contiguous(at::MemoryFormat::ChannelsLast3d)) ||
         (x.dim() == 2 && x.is_contiguous());
}

}  // namespace

Activation activation_from_text(const std::string& text) {
  if (text == "mish") return Activation::kMish;
  if (text == "relu") return Activation::kRelu;
  if (text == "leaky_relu") return Activation::kLeakyRelu;
  TRIPTYCH_ASSERT(text == "identity");
  return Activation::kIdentity;
}

void add_bias_activate_(at::Tensor& x, const at::Tensor& bias, Activation activation) {
  TRIPTYCH_ASSERT(x.dim() >= 2 && (!bias.defined() || bias.numel() == x.size(1)));
  if (x.numel() == 0) return;
  if (x.is_cpu() && x.scalar_type() == at::kFloat && is_channels_last(x))
    return run_rows(x, bias, activation);
  if (bias.defined()) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape[1] = -1;
    x.add_(bias.view(shape).to(x.scalar_type()));
  }
  switch (activation) {
    case Activation::kMish:
      x = plain_mish(x);
      break;
    case Activation::kRelu:
      x.relu_();
      break;
    case Activation::kLeakyRelu:
      at::leaky_relu_(x, 0.01);
      break;
    case Activation::kIdentity:
      break;
  }
}

float mish_value(float x) { return mish_of(x); }

at::Tensor dense_mish(const at::Tensor& x) {
  at::Tensor y = at::empty_like(x);
  float* out = y.data_ptr<float>();
  const float* in = x.data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    mish_values(out + begin, in + begin, end - begin);
  });
  return y;
}

at::Tensor dense_mish_backward(const at::Tensor& x, const at::Tensor& gradient) {
  at::Tensor y = at::empty_like(x);
  const at::Tensor aligned =
      gradient.strides() == x.strides() ? gradient : at::empty_like(x).copy_(gradient);
  float* out = y.data_ptr<float>();
  const float *in = x.data_ptr<float>(), *above = aligned.data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    mish_gradients(out + begin, in + begin, above + begin, end - begin);
  });
  return y;
}

}  // namespace triptych
