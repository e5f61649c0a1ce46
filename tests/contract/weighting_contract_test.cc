// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_reader.h"
#include "framework/learn/weighting.h"

#include "tests/contract/minimal_config.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

class WeightingContract : public ::testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<Weighting> make(std::vector<std::string> keys) {
    WeightingTasks tasks{keys, std::vector<double>(keys.size(), 1.0)};
    return WeightingRegistry::instance().create(
        testing::minimal_config(WeightingRegistry::instance(), GetParam()), tasks);
  }
};

TEST_P(WeightingContract, IsFiniteForZeroHugeAndSingleLosses) {
  for (const std::size_t count : {1UL, 2UL, 3UL}) {
    auto weighting = make(std::vector<std::string>{"a", "b", "c"}.size() == count
                              ? std::vector<std::string>{"a", "b", "c"}
                          : count == 2 ? std::vector<std::string>{"a", "b"}
                                       : std::vector<std::string>{"a"});
    if (weighting->needs_jacobian()) GTEST_SKIP();
    const auto tasks = static_cast<std::int64_t>(count);
    for (const double value : {0.0, 1.0, 1e8}) {
      const at::Tensor total =
          weighting->combine(at::full({tasks}, value), at::ones({tasks}, at::kBool));
      EXPECT_EQ(total.dim(), 0);
      EXPECT_TRUE(at::isfinite(total).item<bool>());
    }
    EXPECT_EQ(weighting->current_weights().size(), count);
  }
}

TEST_P(WeightingContract, DoesNotReadAbsentTasks) {
  auto weighting = make({"a", "b"});
  if (weighting->needs_jacobian()) GTEST_SKIP();
  const at::Tensor present = at::tensor({1, 0}).to(at::kBool);
  at::Tensor losses = at::tensor({2.0F, 5.0F});
  const double without = weighting->combine(losses, present).item<double>();
  losses[1] = std::nan("");
  EXPECT_DOUBLE_EQ(make({"a", "b"})->combine(losses, present).item<double>(), without);
  weighting->combine(losses, present);
  EXPECT_TRUE(std::isfinite(
      weighting->combine(at::tensor({2.0F, 5.0F}), at::ones({2}, at::kBool)).item<double>()));
}

TEST_P(WeightingContract, TreatsTasksAlikeWhateverTheirOrder) {
  const auto combined = [&](const at::Tensor& losses) {
    return make({"a", "b"})->combine(losses, at::ones({2}, at::kBool));
  };
  const at::Tensor losses = at::tensor({2.0F, 5.0F});
  if (!at::equal(combined(losses), combined(losses))) GTEST_SKIP() << "draws its weights";
  EXPECT_TRUE(
      testing::near(combined(at::tensor({2.0F, 5.0F})), combined(at::tensor({5.0F, 2.0F})), 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         WeightingContract,
                         ::testing::ValuesIn(WeightingRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

TEST(UncertaintyWeighting, FollowsKendallsFormula) {
  config::Node config = config::Node::map();
  config.set("name", config::Node("uncertainty"));
  config.set("initial", config::Node(0.5));
  config::Node regression = config::Node::list();
  regression.as_list().push_back(config::Node("a"));
  config.set("regression", regression);
  auto weighting =
      WeightingRegistry::instance().create(config, WeightingTasks{{"a", "b"}, {1.0, 1.0}});
  const double total =
      weighting->combine(at::tensor({2.0F, 3.0F}), at::ones({2}, at::kBool)).item<double>();
  EXPECT_NEAR(total, 0.5 * std::exp(-0.5) * 2.0 + 0.25 + std::exp(-0.5) * 3.0 + 0.25, 1e-5);
}

TEST(UncertaintyWeighting, RefusesARegressionThatIsNoTask) {
  const config::Node config =
      config::parse_yaml("{name: uncertainty, regression: [bones]}", "weighting.yaml");
  const std::string message = testing::error_message("schema", [&] {
    WeightingRegistry::instance().create(config, WeightingTasks{{"bone", "noise"}, {1.0, 1.0}});
  });
  EXPECT_NE(message.find("names 'bones', which is not under 'tasks'; did you mean 'bone'?"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace triptych
