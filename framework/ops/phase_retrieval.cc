// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/phase_retrieval.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kWavelengthMmKev = 1.2398419843e-6;  // h c
constexpr double kHaloLengths = 10.0;                 // the kernel falls as exp(-r / blur)
constexpr std::int64_t kProjectionsAtOnce = 16;

/// Indices of an axis continued by its outermost values.
at::Tensor continued(std::int64_t size, std::int64_t margin) {
  return at::arange(-margin, size + margin, at::kLong).clamp_(0, size - 1);
}

}  // namespace

double phase_blur_mm(const PhaseSetup& setup) {
  TRIPTYCH_ASSERT(setup.delta_beta > 0.0 && setup.energy_kev > 0.0 && setup.distance_mm > 0.0);
  const double wavelength_mm = kWavelengthMmKev / setup.energy_kev;
  return std::sqrt(wavelength_mm * setup.distance_mm * setup.delta_beta / (4.0 * std::numbers::pi));
}

std::int64_t phase_halo_rows(const PhaseSetup& setup) {
  TRIPTYCH_ASSERT(setup.pixel_size_mm > 0.0);
  return static_cast<std::int64_t>(
      std::ceil(kHaloLengths * phase_blur_mm(setup) / setup.pixel_size_mm));
}

at::Tensor retrieve_phase(const at::Tensor& transmission, const PhaseSetup& setup) {
  const std::int64_t margin = phase_halo_rows(setup);
  const std::int64_t rows = transmission.size(1) + 2 * margin;
  const std::int64_t columns = transmission.size(2) + 2 * margin;
  const double blur_pixels = 2.0 * std::numbers::pi * phase_blur_mm(setup) / setup.pixel_size_mm;
  const at::Tensor down =
      at::fft_fftfreq(rows, 1.0, at::TensorOptions(at::kDouble)).mul_(blur_pixels);
  const at::Tensor along =
      at::fft_rfftfreq(columns, 1.0, at::TensorOptions(at::kDouble)).mul_(blur_pixels);
  const at::Tensor filter =
      (down.square().unsqueeze(1) + along.square().unsqueeze(0) + 1.0).reciprocal_().to(at::kFloat);
  const at::Tensor row_index = continued(transmission.size(1), margin);
  const at::Tensor column_index = continued(transmission.size(2), margin);
  at::Tensor result = at::empty_like(transmission);
  for (std::int64_t first = 0; first < transmission.size(0); first += kProjectionsAtOnce) {
    const std::int64_t count = std::min(kProjectionsAtOnce, transmission.size(0) - first);
    const at::Tensor wide = transmission.narrow(0, first, count)
                                .index_select(1, row_index)
                                .index_select(2, column_index);
    const at::Tensor filtered = at::fft_irfft2(
        at::fft_rfft2(wide) * filter, at::IntArrayRef({rows, columns}), at::IntArrayRef({1, 2}));
    result.narrow(0, first, count)
        .copy_(filtered.narrow(1, margin, transmission.size(1))
                   .narrow(2, margin, transmission.size(2)));
  }
  return result;
}

}  // namespace triptych
