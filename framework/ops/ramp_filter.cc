// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ramp_filter.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/ops/slice_tensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include <ATen/ATen.h>

namespace triptych {
namespace {

using std::numbers::pi;

constexpr double kMmPerCm = 10.0;
constexpr std::int64_t kRowsAtOnce = 64;

constexpr std::array<std::pair<RampFilter, const char*>, 5> kNames = {
    {{RampFilter::kRamLak, "ram_lak"},
     {RampFilter::kSheppLogan, "shepp_logan"},
     {RampFilter::kCosine, "cosine"},
     {RampFilter::kHamming, "hamming"},
     {RampFilter::kHann, "hann"}}};

/// The window at a frequency in cycles a column.
double window(RampFilter filter, double frequency) {
  switch (filter) {
    case RampFilter::kRamLak:
      return 1.0;
    case RampFilter::kSheppLogan:
      return frequency == 0.0 ? 1.0 : std::sin(pi * frequency) / (pi * frequency);
    case RampFilter::kCosine:
      return std::cos(pi * frequency);
    case RampFilter::kHamming:
      return 0.54 + 0.46 * std::cos(2.0 * pi * frequency);
    case RampFilter::kHann:
      return 0.5 + 0.5 * std::cos(2.0 * pi * frequency);
  }
  TRIPTYCH_ASSERT(false);
}

/// The band-limited ramp at `n` columns from its centre, times the curved detector's factor.
double ramp(std::int64_t n, double step_rad) {
  if (n == 0) return 0.25;
  if (n % 2 == 0) return 0.0;
  const double distance = pi * static_cast<double>(n);
  const double fan_rad = step_rad * static_cast<double>(n);
  const double stretch = step_rad > 0.0 ? fan_rad / std::sin(fan_rad) : 1.0;
  return -stretch * stretch / (distance * distance);
}

/// What stands before and after the convolution; see filter_projections.
struct Weighting {
  std::vector<double> columns;  ///< cosines of the fan, in 1/cm
  double step_rad = 0.0;        ///< curved detectors only
};

Weighting weighting_of(const ScanGeometry& scan, std::int64_t columns) {
  Weighting result{std::vector<double>(static_cast<std::size_t>(columns), 1.0), 0.0};
  const double axis_mm = scan.source_to_axis_mm, detector_mm = scan.source_to_detector_mm;
  const auto across_mm = [&](std::size_t column) {
    return (static_cast<double>(column) - scan.centre_column) * scan.column_spacing_mm;
  };
  double scale_per_cm = 1.0;
  switch (scan.beam) {
    case ScanGeometry::Beam::kParallel:
      scale_per_cm = kMmPerCm / scan.column_spacing_mm;
      break;
    case ScanGeometry::Beam::kFanFlat:  // as if the detector stood at the axis
      for (std::size_t i = 0; i < result.columns.size(); ++i)
        result.columns[i] = detector_mm / std::hypot(detector_mm, across_mm(i));
      scale_per_cm = kMmPerCm / (scan.column_spacing_mm * axis_mm / detector_mm);
      break;
    case ScanGeometry::Beam::kFanCurved:
      result.step_rad = scan.column_spacing_mm / detector_mm;
      for (std::size_t i = 0; i < result.columns.size(); ++i)
        result.columns[i] = std::cos(across_mm(i) / detector_mm);
      scale_per_cm = kMmPerCm * axis_mm / result.step_rad;
      break;
  }
  for (double& weight : result.columns) weight *= scale_per_cm;
  return result;
}

class Ramp final : public LinearOperator {
 public:
  Ramp(const ScanGeometry& scan, std::int64_t columns, RampFilter filter) {
    const Weighting weighting = weighting_of(scan, columns);
    response_ = at::tensor(ramp_response(columns, filter, weighting.step_rad), at::kDouble);
    weights_ = at::tensor(weighting.columns, at::kDouble);
  }

  at::Tensor apply(const at::Tensor& x) const override {
    const at::Tensor slices = as_slices(x, x.size(-2), x.size(-1), "projections");
    return with_leading_axes(convolved(slices * weights_.to(slices.options())), x);
  }
  at::Tensor apply_adjoint(const at::Tensor& y) const override {
    const at::Tensor slices = as_slices(y, y.size(-2), y.size(-1), "projections");
    return with_leading_axes(convolved(slices) * weights_.to(slices.options()), y);
  }

 private:
  /// The response is even, so the convolution is its own adjoint.
  at::Tensor convolved(const at::Tensor& x) const {
    const std::int64_t columns = x.size(-1), padded = padded_columns(columns);
    const at::Tensor response = response_.to(x.options());
    const at::Tensor rows = x.reshape({-1, columns});
    at::Tensor result = at::empty_like(rows);
    const auto filter_rows = [&](std::int64_t begin, std::int64_t end) {
      const at::NoGradGuard no_grad;
      const at::Tensor part = rows.narrow(0, begin, end - begin);
      const at::Tensor spectrum = at::fft_rfft(part, padded) * response;
      result.narrow(0, begin, end - begin)
          .copy_(at::fft_irfft(spectrum, padded).narrow(1, 0, columns));
    };
    if (x.is_cpu()) {
      parallel_for(rows.size(0), kRowsAtOnce, filter_rows);
    } else {
      filter_rows(0, rows.size(0));
    }
    return result.view(x.sizes());
  }

  at::Tensor response_, weights_;
};

}  // namespace

RampFilter ramp_filter_from_text(const std::string& text) {
  std::string known;
  for (const auto& [filter, name] : kNames) {
    if (text == name) return filter;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  throw usage_error(fmt::format("filter: expected one of {}, got '{}'", known, text));
}

std::string ramp_filter_text(RampFilter filter) {
  for (const auto& [known, name] : kNames) {
    if (known == filter) return name;
  }
  TRIPTYCH_ASSERT(false);
}

std::int64_t padded_columns(std::int64_t columns) {
  std::int64_t padded = 64;
  while (padded < 2 * columns) padded *= 2;
  return padded;
}

std::vector<double> ramp_response(std::int64_t columns, RampFilter filter, double step_rad) {
  const std::int64_t padded = padded_columns(columns);
  at::Tensor kernel = at::zeros({padded}, at::kDouble);
  double* values = kernel.data_ptr<double>();
  for (std::int64_t n = 0; n < padded; ++n) {
    const std::int64_t distance = std::min(n, padded - n);
    // Farther values never reach the detector; a curved one's would pass the end of its arc.
    values[n] = step_rad > 0.0 && distance >= columns ? 0.0 : ramp(distance, step_rad);
  }
  const at::Tensor spectrum = at::real(at::fft_rfft(kernel)).contiguous();
  std::vector<double> response(spectrum.data_ptr<double>(),
                               spectrum.data_ptr<double>() + spectrum.numel());
  for (std::size_t k = 0; k < response.size(); ++k)
    response[k] *= window(filter, static_cast<double>(k) / static_cast<double>(padded));
  return response;
}

std::shared_ptr<const LinearOperator> make_ramp(const ScanGeometry& scan,
                                                std::int64_t columns,
                                                RampFilter filter) {
  return std::make_shared<Ramp>(scan, columns, filter);
}

RampKernel make_ramp_kernel(const ScanGeometry& scan, std::int64_t columns, RampFilter filter) {
  const Weighting weighting = weighting_of(scan, columns);
  return {ramp_response(columns, filter, weighting.step_rad), weighting.columns};
}

}  // namespace triptych
