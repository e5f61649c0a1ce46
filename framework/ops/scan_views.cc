// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_views.h"

#include "framework/core/error.h"

#include <algorithm>
#include <numbers>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kSameAngle = 1e-9;

/// `between` angles for each gap of the scan's.
std::vector<double> angles_between(const ScanGeometry& scan, std::int64_t between) {
  std::vector<double> known = scan.angles_rad;
  std::sort(known.begin(), known.end());
  const bool parallel = scan.beam == ScanGeometry::Beam::kParallel;
  const double end = known.front() + (parallel ? 1.0 : 2.0) * std::numbers::pi;
  known.push_back(std::min(2.0 * known.back() - known[known.size() - 2], end));
  std::vector<double> result;
  for (std::size_t view = 0; view + 1 < known.size(); ++view) {
    const double step = (known[view + 1] - known[view]) / static_cast<double>(between + 1);
    if (step < kSameAngle) continue;
    for (std::int64_t i = 1; i <= between; ++i)
      result.push_back(known[view] + static_cast<double>(i) * step);
  }
  return result;
}

}  // namespace

ViewsOfScan kept_views(const ViewsOfScan& all, const std::function<bool(std::int64_t)>& keeps) {
  ViewsOfScan kept{{}, all.scan};
  kept.scan.angles_rad.clear();
  std::vector<std::int64_t> numbers;
  for (std::int64_t view = 0; view < all.projections.size(-2); ++view) {
    if (!keeps(view)) continue;
    numbers.push_back(view);
    kept.scan.angles_rad.push_back(all.scan.angles_rad[static_cast<std::size_t>(view)]);
  }
  kept.projections = all.projections.index_select(-2, at::tensor(numbers, at::kLong));
  return kept;
}

ViewsOfScan with_views_between(const ViewsOfScan& measured,
                               const at::Tensor& image,
                               std::int64_t between,
                               const SliceGrid& grid) {
  check_projections(measured.projections, measured.scan);
  if (between < 1 || measured.scan.angles_rad.size() < 2) {
    throw usage_error(
        fmt::format("views between: expected at least 1 between at least 2, got {} between {}",
                    between,
                    measured.scan.angles_rad.size()));
  }
  ViewsOfScan made{{}, measured.scan};
  made.scan.angles_rad = angles_between(measured.scan, between);
  made.projections = project(image, made.scan, measured.projections.size(-1), grid);
  ViewsOfScan all{at::cat({measured.projections, made.projections}, -2), measured.scan};
  all.scan.angles_rad.insert(
      all.scan.angles_rad.end(), made.scan.angles_rad.begin(), made.scan.angles_rad.end());
  return all;
}

}  // namespace triptych
