// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/task.h"

#include "tests/learn/moved_block.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::kEdge;
using testing::metric_of;
using testing::moved_block;
using testing::task_of;

/// A pair whose moving image is the fixed one moved by 2 voxels, with descriptors [1, C, D, H, W].
struct DescribedPair {
  Batch batch;
  Prediction prediction;
};

DescribedPair described(std::int64_t channels, bool same) {
  DescribedPair pair;
  pair.batch = moved_block();
  const at::Tensor fixed = torch::randn({1, channels, kEdge, kEdge, kEdge});
  const at::Tensor moving = same ? fixed.roll(2, 4) : torch::randn_like(fixed);
  const auto unit = [](const at::Tensor& x) { return x / x.square().sum(1, true).sqrt(); };
  pair.prediction = Prediction::intensity(unit(fixed));
  pair.prediction.extra["moving"] = unit(moving);
  return pair;
}

TEST(ContrastiveTask, IsContentWithDescriptorsThatFollowTheDisplacement) {
  const auto task = task_of("{name: contrastive, places: 200, margin: 0.5}");
  const DescribedPair same = described(64, true);
  EXPECT_LT(task->losses(same.prediction, same.batch)[0].value.item<double>(), 0.05);
  const auto metrics = task->metrics();
  metrics->add(same.prediction, same.batch);
  EXPECT_NEAR(metric_of(metrics->values(), "top1"), 1.0, 1e-9);
  EXPECT_NEAR(metric_of(metrics->values(), "distance_mm"), 0.0, 1e-6);
  const DescribedPair other = described(64, false);
  EXPECT_GT(task->losses(other.prediction, other.batch)[0].value.item<double>(), 4.0);
  const auto bad = task->metrics();
  bad->add(other.prediction, other.batch);
  EXPECT_LT(metric_of(bad->values(), "top1"), 0.1);
}

TEST(ContrastiveTask, SaysWhereTheDisplacementComesFrom) {
  const auto task = task_of("{name: contrastive}");
  DescribedPair pair = described(8, true);
  pair.batch.entries.erase("displacement");
  EXPECT_THAT(error_message("model", [&] { task->losses(pair.prediction, pair.batch); }),
              HasSubstr("displacement between them"));
}

}  // namespace
}  // namespace triptych
