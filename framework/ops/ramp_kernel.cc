// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ramp_kernel.h"

#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/vector16.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

// Register blocks must be unrolled at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

namespace triptych {
namespace {

/// One row of sixteen or thirty-two slices and what its convolution needs.
struct Row {
  std::int64_t columns, padded, stride;  ///< stride in floats from column to column
  float* values;
  bool has_imaginary;  ///< sixteen more slices follow
  const float *response, *cosine, *sine, *before, *after;
  float* scratch;  ///< [padded, 2, 16]
};

TRIPTYCH_ALWAYS_INLINE void convolve_row_body(const Row& row) {
  auto* z = reinterpret_cast<Vector16*>(row.scratch);
  const std::int64_t half_row = row.padded / 2;
  // The first stage: the upper half of the input is padding.
  for (std::int64_t k = 0; k < half_row; ++k) {
    Vector16 real = {}, imaginary = {};
    if (k < row.columns) {
      const auto* value = reinterpret_cast<const Vector16*>(row.values + k * row.stride);
      real = row.before[k] * value[0];
      if (row.has_imaginary) imaginary = row.before[k] * value[1];
    }
    const float c = row.cosine[k], s = row.sine[k];
    z[2 * k] = real;
    z[2 * k + 1] = imaginary;
    z[2 * (k + half_row)] = c * real + s * imaginary;
    z[2 * (k + half_row) + 1] = c * imaginary - s * real;
  }
  for (std::int64_t half = half_row / 2; half >= 1; half /= 2) {
    for (std::int64_t first = 0; first < row.padded; first += 2 * half) {
      for (std::int64_t k = 0; k < half; ++k) {
        const float c = row.cosine[k * (half_row / half)], s = row.sine[k * (half_row / half)];
        Vector16* a = z + 2 * (first + k);
        Vector16* b = a + 2 * half;
        const Vector16 real = a[0] - b[0], imaginary = a[1] - b[1];
        a[0] += b[0];
        a[1] += b[1];
        b[0] = c * real + s * imaginary;
        b[1] = c * imaginary - s * real;
      }
    }
  }
  for (std::int64_t k = 0; k < row.padded; ++k) {
    z[2 * k] *= row.response[k];
    z[2 * k + 1] *= row.response[k];
  }
  for (std::int64_t half = 1; half < half_row; half *= 2) {
    for (std::int64_t first = 0; first < row.padded; first += 2 * half) {
      for (std::int64_t k = 0; k < half; ++k) {
        const float c = row.cosine[k * (half_row / half)], s = row.sine[k * (half_row / half)];
        Vector16* a = z + 2 * (first + k);
        Vector16* b = a + 2 * half;
        const Vector16 real = c * b[0] - s * b[1], imaginary = c * b[1] + s * b[0];
        b[0] = a[0] - real;
        b[1] = a[1] - imaginary;
        a[0] += real;
        a[1] += imaginary;
      }
    }
  }
  // The last stage: the upper half is not wanted.
  for (std::int64_t k = 0; k < row.columns; ++k) {
    const float c = row.cosine[k], s = row.sine[k];
    const Vector16* a = z + 2 * k;
    const Vector16* b = a + 2 * half_row;
    auto* value = reinterpret_cast<Vector16*>(row.values + k * row.stride);
    value[0] = row.after[k] * (a[0] + c * b[0] - s * b[1]);
    if (row.has_imaginary) value[1] = row.after[k] * (a[1] + c * b[1] + s * b[0]);
  }
}
TRIPTYCH_VECTOR_KERNEL(convolve_row, (const Row& row), (row))

std::int64_t bit_reversed(std::int64_t k, std::int64_t size) {
  std::int64_t result = 0;
  for (std::int64_t bit = 1; bit < size; bit *= 2) result = 2 * result + ((k & bit) != 0 ? 1 : 0);
  return result;
}

}  // namespace

RampKernel::RampKernel(const std::vector<double>& response,
                       const std::vector<double>& column_weights)
    : padded_(2 * (static_cast<std::int64_t>(response.size()) - 1)),
      weights_(column_weights.begin(), column_weights.end()),
      ones_(column_weights.size(), 1.0F) {
  const auto size = static_cast<double>(padded_);
  for (std::int64_t k = 0; k < padded_; ++k) {
    const std::int64_t frequency = bit_reversed(k, padded_);
    const auto folded = static_cast<std::size_t>(std::min(frequency, padded_ - frequency));
    response_.push_back(static_cast<float>(response[folded] / size));
  }
  for (std::int64_t k = 0; k < padded_ / 2; ++k) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(k) / size;
    cosine_.push_back(static_cast<float>(std::cos(angle)));
    sine_.push_back(static_cast<float>(std::sin(angle)));
  }
}

void RampKernel::apply(PackedSlices& projections) const {
  convolve(projections, weights_.data(), ones_.data());
}

void RampKernel::apply_adjoint(PackedSlices& projections) const {
  convolve(projections, ones_.data(), weights_.data());
}

void RampKernel::convolve(PackedSlices& projections,
                          const float* before,
                          const float* after) const {
  const std::int64_t lanes = projections.lanes();
  parallel_for(projections.rows(), 4, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor scratch = at::empty({padded_ * 2 * kVectorFloats}, at::kFloat);
    for (std::int64_t angle = begin; angle < end; ++angle) {
      for (std::int64_t lane = 0; lane < lanes; lane += 2 * kVectorFloats) {
        convolve_row({projections.columns(),
                      padded_,
                      lanes,
                      projections.at(angle, 0) + lane,
                      lane + kVectorFloats < lanes,
                      response_.data(),
                      cosine_.data(),
                      sine_.data(),
                      before,
                      after,
                      scratch.data_ptr<float>()});
      }
    }
  });
}

}  // namespace triptych
