// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/flat_field.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {
using testing::near;

TEST(FlatField, TakesTheMedianOfTheFrames) {
  const at::Tensor frames = at::tensor({1.0F, 9.0F, 3.0F, 1000.0F}).view({4, 1, 1});
  EXPECT_FLOAT_EQ(median_frame(frames).item<float>(), 6.0F);
  EXPECT_FLOAT_EQ(median_frame(frames.narrow(0, 0, 3)).item<float>(), 3.0F);
}

TEST(FlatField, GivesTheTransmission) {
  const at::Tensor dark = at::full({1, 3}, 10.0);
  const at::Tensor flat = at::tensor({110.0F, 210.0F, 10.0F}).view({1, 3});
  const at::Tensor counts = at::tensor({60.0F, 210.0F, 55.0F}).view({1, 1, 3});
  EXPECT_TRUE(near(
      flat_field_corrected(counts, flat, dark).flatten(), at::tensor({0.5F, 1.0F, 0.0F}), 1e-6));
}

TEST(FlatField, CountsSaturatedPixels) {
  at::Tensor flats = at::full({3, 2, 5}, 1000.0);
  flats.select(2, 0).fill_(65535.0);
  flats[0].fill_(65535.0);  // one bright frame does not saturate the median
  EXPECT_DOUBLE_EQ(saturated_share(flats, 65535.0), 0.2);
}

TEST(FlatField, NormalisesByTheLineThroughTheMargins) {
  // Air falls linearly across the detector and differs between projections.
  const at::Tensor ramp = at::linspace(200.0, 100.0, 21).view({1, 1, 21});
  const at::Tensor beam = at::cat({ramp, 3.0 * ramp});
  at::Tensor counts = beam.clone();
  counts.narrow(2, 8, 5).mul_(0.25);
  const at::Tensor transmission = air_normalised(counts, 4);
  EXPECT_TRUE(near(transmission, counts / beam, 1e-5));
  counts[1].zero_();
  EXPECT_NE(testing::error_message("data", [&] { air_normalised(counts, 4); }).find("projection 1"),
            std::string::npos);
}

TEST(FlatField, InterpolatesDeadPixelsAndClampsOpaqueMatter) {
  at::Tensor row = at::linspace(0.2, 0.8, 13).view({1, 13});
  const at::Tensor expected = row.clone();
  row[0][4] = 0.0;
  row[0][5] = -0.3;
  const RepairedTransmission repaired = repaired_transmission(row);
  EXPECT_EQ(repaired.interpolated, 2);
  EXPECT_EQ(repaired.clamped, 0);
  EXPECT_TRUE(near(repaired.values, expected, 1e-6));

  row.narrow(1, 2, 7).zero_();
  row[0][12] = 0.0;
  const RepairedTransmission opaque = repaired_transmission(row);
  EXPECT_EQ(opaque.interpolated, 1);
  EXPECT_EQ(opaque.clamped, 7);
  EXPECT_FLOAT_EQ(opaque.values[0][12].item<float>(), row[0][11].item<float>());
  EXPECT_NEAR(line_integrals(opaque.values)[0][5].item<double>(), -std::log(1e-5), 1e-4);
}

TEST(FlatField, ExtendsColumnsByTheOutermostValues) {
  const at::Tensor wide = extend_columns(at::tensor({1.0F, 2.0F, 5.0F}).view({1, 3}), 2);
  EXPECT_TRUE(at::equal(wide.flatten(), at::tensor({1.0F, 1.0F, 1.0F, 2.0F, 5.0F, 5.0F, 5.0F})));
}

}  // namespace
}  // namespace triptych
