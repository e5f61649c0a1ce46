// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/stripe_removal.h"

#include "framework/core/parallel.h"

#include "tests/ops/analytic_sinogram.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {
using testing::near;

/// The method in LibTorch's operators: sort, running median, back to the places.
at::Tensor by_operators(const at::Tensor& sinogram, std::int64_t window) {
  const auto sorted = sinogram.sort(c10::optional<bool>(true), 0, false);
  const std::int64_t half = window / 2;
  const at::Tensor index =
      at::arange(-half, sinogram.size(1) + half, at::kLong).clamp_(0, sinogram.size(1) - 1);
  const at::Tensor smooth =
      std::get<0>(std::get<0>(sorted).index_select(1, index).unfold(1, window, 1).median(-1));
  return at::empty_like(sinogram).scatter_(0, std::get<1>(sorted), smooth);
}

TEST(StripeRemoval, IsSortingAndARunningMedian) {
  at::manual_seed(1);
  const at::Tensor sinograms = at::rand({2, 17, 23});
  for (const std::int64_t window : {3, 9}) {
    const at::Tensor got = remove_stripes_by_sorting(sinograms, window);
    EXPECT_TRUE(at::equal(got[0], by_operators(sinograms[0], window)));
    EXPECT_TRUE(at::equal(got[1], by_operators(sinograms[1], window)));
    // Sinograms cut out of projections [A, D, W] do not lie one behind the other.
    const at::Tensor projections = sinograms.transpose(0, 1).contiguous();
    EXPECT_TRUE(at::equal(remove_stripes_by_sorting(projections.transpose(0, 1), window), got));
  }
}

TEST(StripeRemoval, TakesOutStripesAndKeepsTheObject) {
  std::vector<AnalyticEllipse> object;
  for (const AnalyticEllipse& e : three_ellipses())
    object.push_back({3.0 * e.x, 3.0 * e.y, 3.0 * e.a, 3.0 * e.b, e.tilt_rad, e.value / 3.0});
  const at::Tensor clean = analytic_sinogram(object, even_angles(180, 180.0), 360, 178.0);
  at::Tensor striped = clean.clone();
  const std::vector<double> offsets = {
      0.08, -0.06, 0.1, -0.09, 0.05, 0.07, -0.1, 0.06, -0.05, 0.09};
  for (std::size_t i = 0; i < offsets.size(); ++i)
    striped.select(1, 15 + 36 * static_cast<std::int64_t>(i)).add_(offsets[i]);
  const auto rms = [](const at::Tensor& x) { return x.square().mean().sqrt().item<double>(); };
  const at::Tensor left = (remove_stripes_by_sorting(striped, 9) - clean).mean(0);
  EXPECT_LT(rms(left), 0.3 * rms((striped - clean).mean(0)));
  EXPECT_LT(rms(remove_stripes_by_sorting(clean, 9) - clean), 0.005 * rms(clean));
}

TEST(StripeRemoval, GivesEqualBitsForEveryNumberOfThreads) {
  at::manual_seed(4);
  const at::Tensor sinograms = at::rand({3, 64, 80});
  const int before = num_threads();
  set_num_threads(1);
  const at::Tensor one = remove_stripes_by_sorting(sinograms, 11);
  set_num_threads(3);
  EXPECT_TRUE(at::equal(remove_stripes_by_sorting(sinograms, 11), one));
  set_num_threads(before);
}

}  // namespace
}  // namespace triptych
