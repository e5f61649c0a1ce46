// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/rotation_centre.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kLeastCoverage = 170.0 * kPi / 180.0;
constexpr std::int64_t kLeastColumns = 16;  // that the search along the spectrum moves within
constexpr std::int64_t kCoarseColumns = 640;
constexpr std::int64_t kCoarseAngles = 720;

/// A sinogram [A, W] whose views are in the order of their angles, counted from the first.
struct OrderedViews {
  at::Tensor sinogram;
  std::vector<double> angles;  ///< from 0
};

OrderedViews ordered(const at::Tensor& sinogram, const std::vector<double>& angles_rad) {
  TRIPTYCH_ASSERT(sinogram.size(0) == static_cast<std::int64_t>(angles_rad.size()));
  std::vector<std::int64_t> order(angles_rad.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return angles_rad[a] < angles_rad[b];
  });
  OrderedViews views;
  for (const std::int64_t i : order) views.angles.push_back(angles_rad[i] - angles_rad[order[0]]);
  views.sinogram = sinogram.to(at::kFloat).index_select(0, at::tensor(order)).contiguous();
  return views;
}

double median_step(const std::vector<double>& angles) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < angles.size(); ++i) steps.push_back(angles[i] - angles[i - 1]);
  if (steps.empty()) return 0.0;
  std::nth_element(steps.begin(), steps.begin() + steps.size() / 2, steps.end());
  return steps[steps.size() / 2];
}

/// A view and where its opposite one lies between two neighbours.
struct OppositeViews {
  std::int64_t view;
  std::int64_t before;
  std::int64_t behind;
  double share;  ///< of the one behind
};

std::vector<OppositeViews> opposite_views(const std::vector<double>& angles) {
  const double step = median_step(angles);
  const double tolerance = 0.01 * step;
  std::vector<OppositeViews> pairs;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const double wanted = angles[i] + kPi;
    const auto behind = std::lower_bound(angles.begin(), angles.end(), wanted - tolerance);
    if (behind == angles.end()) continue;
    const std::int64_t upper = behind - angles.begin();
    if (upper == 0) continue;
    const double gap = angles[upper] - angles[upper - 1];
    if (gap > 3.0 * step || gap <= 0.0) continue;
    const double share = std::clamp((wanted - angles[upper - 1]) / gap, 0.0, 1.0);
    pairs.push_back({static_cast<std::int64_t>(i), upper - 1, upper, share});
  }
  return pairs;
}

/// Offset, in steps, of the minimum of the parabola through three equally spaced values.
double parabola_offset(double left, double middle, double right) {
  const double curvature = left - 2.0 * middle + right;
  return curvature > 0.0 ? std::clamp(0.5 * (left - right) / curvature, -0.5, 0.5) : 0.0;
}

/// The least of `cost(k)` for whole k in [first, last], steps of `step`; ties go to the first.
template <class Cost>
std::int64_t least(std::int64_t first, std::int64_t last, std::int64_t step, const Cost& cost) {
  std::int64_t best = first;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::int64_t k = first; k <= last; k += step) {
    const double value = cost(k);
    if (!(value < lowest)) continue;
    lowest = value;
    best = k;
  }
  return best;
}

/// Means of groups of `factor` neighbours along an axis; what remains at the end is left out.
at::Tensor binned(const at::Tensor& sinogram, std::int64_t axis, std::int64_t factor) {
  if (factor == 1) return sinogram;
  const std::int64_t count = sinogram.size(axis) / factor;
  std::vector<std::int64_t> sizes = sinogram.sizes().vec();
  sizes[axis] = count;
  sizes.insert(sizes.begin() + axis + 1, factor);
  return sinogram.narrow(axis, 0, count * factor).reshape(sizes).mean(axis + 1);
}

/// What lies outside of the double wedge in the spectrum of a sinogram completed by its mirror.
class SpectrumCost {
 public:
  explicit SpectrumCost(const at::Tensor& sinogram)
      : sinogram_(sinogram),
        mirrored_(sinogram.flip({1})),
        filling_(sinogram.flip({0})),
        mask_(outside_wedge(2 * sinogram.size(0), sinogram.size(1))) {}

  /// `shift` columns of the mirror belong to the centre (W - 1 + shift) / 2.
  double operator()(std::int64_t shift) const {
    const std::int64_t columns = sinogram_.size(1);
    const std::int64_t moved = std::abs(shift);
    const std::int64_t kept = columns - moved;
    // Columns that the mirror does not reach are taken from the views in reverse order.
    const at::Tensor other =
        shift >= 0
            ? at::cat({filling_.narrow(1, 0, moved), mirrored_.narrow(1, 0, kept)}, 1)
            : at::cat({mirrored_.narrow(1, moved, kept), filling_.narrow(1, kept, moved)}, 1);
    const at::Tensor spectrum = at::fft_rfft2(at::cat({sinogram_, other}));
    return (spectrum.abs() * mask_).sum(at::kDouble).item<double>();
  }

 private:
  /// Frequencies v along the 360 degrees and u along the columns with |u| < |v| / (pi ratio): an
  /// object of radius r columns has next to nothing at |u| / W < |v| / (2 pi r). The least
  /// frequencies are left out.
  static at::Tensor outside_wedge(std::int64_t angles, std::int64_t columns) {
    constexpr double kObjectShare = 0.5;  // of the detector, taken for the object's width
    const auto drop = static_cast<double>(std::min<std::int64_t>(20, angles / 16));
    const at::Tensor v =
        at::fft_fftfreq(angles, 1.0 / static_cast<double>(angles), at::TensorOptions(at::kFloat))
            .abs()
            .unsqueeze(1);
    const at::Tensor u = at::arange(columns / 2 + 1, at::TensorOptions(at::kFloat)).unsqueeze(0);
    return (v.gt(drop) * u.ge(2.0) * u.le(v / (kPi * kObjectShare))).to(at::kFloat);
  }

  at::Tensor sinogram_, mirrored_, filling_, mask_;
};

}  // namespace

RotationCentre centre_from_pairs(const at::Tensor& sinogram,
                                 const std::vector<double>& angles_rad) {
  const OrderedViews views = ordered(sinogram, angles_rad);
  const std::vector<OppositeViews> pairs = opposite_views(views.angles);
  if (pairs.empty()) {
    throw data_error("rotation centre: expected views 180 degrees apart, got none",
                     "use centre=fourier, or name the detector column: centre=<column>");
  }
  std::vector<at::Tensor> here;
  std::vector<at::Tensor> opposite;
  for (const OppositeViews& pair : pairs) {
    here.push_back(views.sinogram[pair.view]);
    opposite.push_back(
        at::lerp(views.sinogram[pair.before], views.sinogram[pair.behind], pair.share));
  }
  const at::Tensor a = at::stack(here);
  const at::Tensor b = at::stack(opposite).flip({1});  // column j holds that of W - 1 - j
  const std::int64_t columns = a.size(1);
  // a(u) meets b(u - shift) for the centre (W - 1 + shift) / 2.
  const auto cost = [&](std::int64_t shift) {
    const std::int64_t kept = columns - std::abs(shift);
    return (a.narrow(1, std::max<std::int64_t>(shift, 0), kept) -
            b.narrow(1, std::max<std::int64_t>(-shift, 0), kept))
        .square_()
        .mean(at::kDouble)
        .item<double>();
  };
  const std::int64_t reach = columns / 2;
  const std::int64_t best = least(-reach, reach, 1, cost);
  RotationCentre centre{0.0, "pairs", std::abs(best) == reach};
  const double offset =
      centre.at_search_end ? 0.0 : parabola_offset(cost(best - 1), cost(best), cost(best + 1));
  centre.column = 0.5 * (static_cast<double>(columns - 1 + best) + offset);
  return centre;
}

RotationCentre centre_from_spectrum(const at::Tensor& sinogram,
                                    const std::vector<double>& angles_rad) {
  if (sinogram.size(1) < kLeastColumns) {
    throw data_error(fmt::format("rotation centre: expected at least {} detector columns, got {}",
                                 kLeastColumns,
                                 sinogram.size(1)),
                     "name the detector column: centre=<column>");
  }
  const OrderedViews views = ordered(sinogram, angles_rad);
  if (views.angles.back() + median_step(views.angles) < kLeastCoverage) {
    throw data_error(fmt::format("rotation centre: expected views over 180 degrees, got {:.1f}",
                                 views.angles.back() * 180.0 / kPi),
                     "name the detector column: centre=<column>");
  }
  const auto half = std::lower_bound(views.angles.begin(), views.angles.end(), kPi - 1e-6);
  const at::Tensor scan = views.sinogram.narrow(0, 0, half - views.angles.begin());
  const std::int64_t columns = scan.size(1);
  const std::int64_t factor = std::max<std::int64_t>(1, columns / kCoarseColumns);
  const at::Tensor fewer_angles =
      binned(scan, 0, std::max<std::int64_t>(1, scan.size(0) / kCoarseAngles));
  const at::Tensor coarse_scan = binned(fewer_angles, 1, factor);
  const SpectrumCost coarse(coarse_scan);
  // Even shifts are whole columns of the centre.
  const std::int64_t reach = std::max<std::int64_t>(4, coarse_scan.size(1) / 8) * 2;
  const std::int64_t rough = least(-reach, reach, 2, coarse);
  RotationCentre centre{0.0, "fourier", std::abs(rough) == reach};
  // The middle of the binned columns, in columns of the detector.
  const double middle = 0.5 * static_cast<double>(coarse_scan.size(1) * factor - 1);
  const double rough_column = middle + 0.5 * static_cast<double>(rough * factor);
  const SpectrumCost fine(fewer_angles);
  const auto start = static_cast<std::int64_t>(std::lround(2.0 * rough_column)) - (columns - 1);
  const std::int64_t around = 2 * factor + 2;
  const std::int64_t best = least(start - around, start + around, 1, fine);
  const double offset = parabola_offset(fine(best - 1), fine(best), fine(best + 1));
  centre.column = 0.5 * (static_cast<double>(columns - 1 + best) + offset);
  return centre;
}

RotationCentre find_rotation_centre(const at::Tensor& sinograms,
                                    const std::vector<double>& angles_rad,
                                    const std::string& method) {
  bool pairs = method == "pairs";
  if (method == "auto") {
    std::vector<double> sorted = angles_rad;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t found = opposite_views(sorted).size();
    pairs = (found >= 8 && 8 * found >= sorted.size()) || (found > 0 && sorted.size() < 90);
  }
  std::vector<RotationCentre> centres;
  for (std::int64_t slice = 0; slice < sinograms.size(0); ++slice) {
    centres.push_back(pairs ? centre_from_pairs(sinograms[slice], angles_rad)
                            : centre_from_spectrum(sinograms[slice], angles_rad));
  }
  const auto middle = centres.begin() + static_cast<std::ptrdiff_t>(centres.size() / 2);
  std::nth_element(centres.begin(), middle, centres.end(), [](const auto& a, const auto& b) {
    return a.column < b.column;
  });
  return *middle;
}

}  // namespace triptych
