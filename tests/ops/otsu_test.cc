// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/otsu.h"

#include "framework/core/random.h"

#include "tests/support/tensor_matchers.h"

#include <limits>

#include <gtest/gtest.h>

namespace triptych {
namespace {

// Variance between the classes of a histogram, by its definition.
double between_variance(const std::vector<double>& histogram, std::vector<std::size_t> cuts) {
  cuts.insert(cuts.begin(), 0);
  cuts.push_back(histogram.size());
  double total = 0.0;
  double moment = 0.0;
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    total += histogram[i];
    moment += histogram[i] * static_cast<double>(i);
  }
  double variance = 0.0;
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
    double w = 0.0;
    double m = 0.0;
    for (std::size_t i = cuts[k]; i < cuts[k + 1]; ++i) {
      w += histogram[i];
      m += histogram[i] * static_cast<double>(i);
    }
    if (w > 0.0) variance += w * std::pow(m / w - moment / total, 2);
  }
  return variance;
}

TEST(Otsu, FindsTheBestCutsOfAnyHistogram) {
  RandomStream draw(4);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> histogram(14);
    for (double& count : histogram) count = static_cast<double>(draw.integer(6));
    histogram[2] = histogram[5] = histogram[9] = 3.0;
    const double found = between_variance(histogram, otsu_cuts(histogram, 3));
    for (std::size_t a = 1; a < histogram.size(); ++a) {
      for (std::size_t b = a + 1; b < histogram.size(); ++b) {
        EXPECT_GE(found + 1e-9, between_variance(histogram, {a, b}));
      }
    }
  }
}

TEST(Otsu, SeparatesFourGreyValuesWithNoise) {
  RandomStream draw(1);
  std::vector<float> values;
  for (int i = 0; i < 4000; ++i) {
    values.push_back(static_cast<float>(0.3 * (i % 4) + 0.03 * draw.normal()));
  }
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> thresholds = otsu_thresholds(values, 4);
  ASSERT_EQ(thresholds.size(), 3U);
  values.pop_back();
  const std::vector<std::int64_t> classes = classify_by_thresholds(values, thresholds);
  int wrong = 0;
  for (std::size_t i = 0; i < classes.size(); ++i)
    wrong += classes[i] != static_cast<std::int64_t>(i % 4);
  EXPECT_EQ(wrong, 0);
}

TEST(Otsu, RefusesAConstantImageAndTooManyClasses) {
  const std::vector<float> flat(10, 2.0F);
  EXPECT_NE(testing::error_message("data", [&] { otsu_thresholds(flat, 2); }).find("two different"),
            std::string::npos);
  const std::vector<double> histogram{1.0, 0.0, 2.0};
  EXPECT_NE(
      testing::error_message("data", [&] { otsu_cuts(histogram, 3); }).find("expected 2 to 2"),
      std::string::npos);
}

}  // namespace
}  // namespace triptych
