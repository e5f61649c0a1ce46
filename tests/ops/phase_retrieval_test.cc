// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/phase_retrieval.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace triptych {
namespace {
using testing::near;

constexpr PhaseSetup kSetup{200.0, 20.0, 300.0, 0.0013};

TEST(PhaseRetrieval, BlursByTheLengthOfTheFormula) {
  // lambda = 1.2398e-6 / 20 mm; sqrt(6.199e-8 * 300 * 200 / (4 pi)) mm.
  EXPECT_NEAR(phase_blur_mm(kSetup), 0.017204, 1e-5);
  EXPECT_EQ(phase_halo_rows(kSetup), static_cast<std::int64_t>(std::ceil(0.17204 / 0.0013)));
}

TEST(PhaseRetrieval, DampsAWaveByTheFilter) {
  // A cosine across the columns is an eigenfunction far from the borders.
  const std::int64_t columns = 2001;
  const double period = 50.0;
  const at::Tensor wave =
      at::arange(columns, at::kDouble).mul_(2.0 * std::numbers::pi / period).cos_().mul_(0.1);
  const at::Tensor transmission =
      (wave + 0.6).to(at::kFloat).view({1, 1, columns}).expand({2, 3, columns});
  const at::Tensor got = retrieve_phase(transmission, kSetup);
  const double k = 2.0 * std::numbers::pi / (period * kSetup.pixel_size_mm);
  const double damping = 1.0 / (1.0 + std::pow(phase_blur_mm(kSetup) * k, 2));
  const at::Tensor expected = (wave * damping + 0.6).narrow(0, 500, 1000);
  EXPECT_TRUE(near(got[1][2].narrow(0, 500, 1000), expected, 1e-5));
}

TEST(PhaseRetrieval, KeepsAUniformPicture) {
  const at::Tensor flat = at::full({1, 4, 5}, 0.37);
  EXPECT_TRUE(near(retrieve_phase(flat, kSetup), flat, 1e-5));
}

TEST(PhaseRetrieval, NeedsNoMoreRowsThanItsHalo) {
  PhaseSetup setup = kSetup;
  setup.pixel_size_mm = 0.01;
  const std::int64_t halo = phase_halo_rows(setup);
  at::manual_seed(5);
  const at::Tensor picture = at::rand({1, 4 * halo, 30});
  const at::Tensor whole = retrieve_phase(picture, setup).narrow(1, 2 * halo, 1);
  const at::Tensor part =
      retrieve_phase(picture.narrow(1, halo, 2 * halo + 1), setup).narrow(1, halo, 1);
  EXPECT_TRUE(near(part, whole, 1e-4));
}

}  // namespace
}  // namespace triptych
