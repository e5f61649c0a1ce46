// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include "framework/config/yaml_reader.h"

#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

std::shared_ptr<Schedule> make(const std::string& yaml, std::int64_t max_steps) {
  return ScheduleRegistry::instance().create(config::parse_yaml(yaml, "test.yaml"), max_steps);
}

TEST(Schedule, ConstantStaysAfterItsWarmUp) {
  const auto schedule = make("{name: constant, warmup_steps: 4}", 100);
  EXPECT_DOUBLE_EQ(schedule->factor(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule->factor(3), 1.0);
  EXPECT_DOUBLE_EQ(schedule->factor(99), 1.0);
}

TEST(Schedule, CosineFallsFromOneToItsEnd) {
  const auto schedule = make("{name: cosine, end_factor: 0.1, warmup_steps: 10}", 110);
  EXPECT_DOUBLE_EQ(schedule->factor(4), 0.5);
  EXPECT_DOUBLE_EQ(schedule->factor(10), 1.0);
  EXPECT_NEAR(schedule->factor(60), 0.55, 1e-12);
  EXPECT_NEAR(schedule->factor(35), 0.1 + 0.9 * 0.8535533905932737, 1e-12);  // (1 + cos 45 deg) / 2
  EXPECT_NEAR(schedule->factor(110), 0.1, 1e-12);
  EXPECT_NEAR(schedule->factor(500), 0.1, 1e-12);
}

TEST(Schedule, PolynomialFollowsItsPower) {
  const auto schedule = make("{name: polynomial}", 1000);
  EXPECT_DOUBLE_EQ(schedule->factor(0), 1.0);
  EXPECT_NEAR(schedule->factor(500), 0.5358867312681466, 1e-12);   // 0.5^0.9
  EXPECT_NEAR(schedule->factor(900), 0.12589254117941673, 1e-12);  // 0.1^0.9
  EXPECT_DOUBLE_EQ(schedule->factor(1000), 0.0);
}

TEST(Schedule, TriangularRisesAndFallsInEveryCycle) {
  const auto schedule = make("{name: triangular, cycle_steps: 100, low: 0.2, decay: 0.5}", 1000);
  EXPECT_DOUBLE_EQ(schedule->factor(0), 0.2);
  EXPECT_DOUBLE_EQ(schedule->factor(25), 0.6);
  EXPECT_DOUBLE_EQ(schedule->factor(50), 1.0);
  EXPECT_DOUBLE_EQ(schedule->factor(75), 0.6);
  EXPECT_DOUBLE_EQ(schedule->factor(100), 0.2);
  EXPECT_DOUBLE_EQ(schedule->factor(150), 0.6);
}

TEST(Schedule, PlateauHalvesAfterItsPatienceAndNotBefore) {
  const auto schedule = make("{name: plateau, patience: 10000, min_factor: 0.2}", 1000000);
  schedule->observe(1000, 1.0);
  schedule->observe(5000, 0.9);
  schedule->observe(14999, 0.95);
  EXPECT_DOUBLE_EQ(schedule->factor(14999), 1.0);
  schedule->observe(15000, 0.9);  // equal is not better
  EXPECT_DOUBLE_EQ(schedule->factor(15000), 0.5);
  schedule->observe(24999, 0.9);
  EXPECT_DOUBLE_EQ(schedule->factor(25000), 0.5);
  schedule->observe(25000, 0.9);
  EXPECT_DOUBLE_EQ(schedule->factor(25000), 0.25);
  schedule->observe(35000, 0.8);
  schedule->observe(45000, 0.8);
  EXPECT_DOUBLE_EQ(schedule->factor(45000), 0.2);  // the floor
}

TEST(Schedule, PlateauGoesOnFromItsState) {
  const std::string yaml = "{name: plateau, patience: 10}";
  const auto first = make(yaml, 100);
  first->observe(5, 1.0);
  first->observe(15, 1.0);
  const auto second = make(yaml, 100);
  second->load(first->state());
  for (const auto& schedule : {first, second}) {
    schedule->observe(24, 1.0);
    EXPECT_DOUBLE_EQ(schedule->factor(24), 0.5);
    schedule->observe(25, 1.0);
    EXPECT_DOUBLE_EQ(schedule->factor(25), 0.25);
  }
}

TEST(Schedule, RefusesTheStateOfAnother) {
  testing::error_message("model", [] { make("{name: constant}", 10)->load({{"best", 1.0}}); });
  testing::error_message("model", [] { make("{name: plateau}", 10)->load({}); });
}

}  // namespace
}  // namespace triptych
