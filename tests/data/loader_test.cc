// SPDX-License-Identifier: Apache-2.0
#include "framework/data/loader.h"

#include "tests/data/memory_dataset.h"
#include "tests/support/tensor_matchers.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::make_chain;
using testing::MemoryDataset;
using testing::numbered_sample;

Loader::Source source_of(std::shared_ptr<const Dataset> dataset) {
  Loader::Source source;
  source.dataset = dataset;
  SamplingConfig sampling;
  sampling.class_balanced = 0.3;
  source.sampler =
      std::make_shared<Sampler>(dataset, dataset->split("train"), sampling, "image", "label", 7);
  source.transforms = std::make_shared<TransformChain>(
      make_chain({"{name: spatial, size: [8, 8], elastic_voxels: 1.0, elastic_spacing: 4.0}",
                  "{name: gaussian_noise, entries: [image]}"}));
  source.roles = {{"image", "image", true}, {"label", "label", true}};
  source.batch_size = 3;
  source.seed = 11;
  return source;
}

std::shared_ptr<MemoryDataset> cubes() {
  return std::make_shared<MemoryDataset>(
      std::vector<Sample>{numbered_sample("a", {8, 9, 10}), numbered_sample("b", {8, 8, 8})});
}

std::vector<Batch> batches(std::int64_t threads, std::int64_t first = 0, std::int64_t last = 12) {
  Loader loader(source_of(cubes()), {.threads = threads, .queue = 3}, first, last);
  std::vector<Batch> result;
  for (std::int64_t step = first; step < last; ++step) result.push_back(loader.next());
  return result;
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.ids, b.ids);
  for (const char* role : {"image", "label"})
    EXPECT_TRUE(at::equal(a.at(role).data, b.at(role).data)) << role;
}

TEST(Loader, GivesTheSameBatchesForEveryNumberOfThreads) {
  const std::vector<Batch> reference = batches(0);
  for (const std::int64_t threads : {1, 4}) {
    const std::vector<Batch> other = batches(threads);
    ASSERT_EQ(other.size(), reference.size());
    for (std::size_t i = 0; i < other.size(); ++i) expect_equal(other[i], reference[i]);
  }
}

TEST(Loader, ContinuesAtAnyStep) {
  const std::vector<Batch> all = batches(1);
  const std::vector<Batch> rest = batches(2, 5, 12);
  for (std::size_t i = 0; i < rest.size(); ++i) expect_equal(rest[i], all[i + 5]);
}

TEST(Loader, StacksItemsAndNamesThem) {
  const Batch batch = batches(0, 0, 1).at(0);
  EXPECT_EQ(batch.size(), 3);
  EXPECT_EQ(batch.at("image").data.sizes(), (std::vector<std::int64_t>{3, 1, 1, 8, 8}));
  EXPECT_EQ(batch.at("label").data.scalar_type(), at::kLong);
  EXPECT_EQ(batch.at("image").items, (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_THAT(batch.ids.at(0), ::testing::ContainsRegex("^[ab]:axis[012]:[0-9]+$"));
  EXPECT_THAT(error_message("data", [&] { batch.at("imag"); }),
              ::testing::HasSubstr("did you mean 'image'"));
}

TEST(Loader, HandsAnExceptionToTheStepThatMetIt) {
  for (const std::int64_t threads : {0, 1, 4}) {
    auto dataset = cubes();
    const Loader::Source source = source_of(dataset);
    const std::vector<Item> bad = source.sampler->step_items(3, source.batch_size);
    const Region region = bad.at(1).region;
    const std::size_t sample = bad.at(1).sample;
    dataset->on_read = [=](std::size_t s, const std::string&, const Region& r) {
      if (s == sample && r == region) throw io_error("disk gone");
    };
    Loader loader(source, {.threads = threads, .queue = 4}, 3, 8);
    EXPECT_EQ(error_message("io", [&] { loader.next(); }), "disk gone");
  }
}

TEST(Loader, StopsWhileWorkersAreBusy) {
  auto dataset = cubes();
  dataset->on_read = [](auto, auto&, auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  Loader loader(source_of(dataset), {.threads = 4, .queue = 2}, 0, 1000000);
  loader.next();
}

TEST(Loader, CountsTheSecondsSpentWaiting) {
  auto dataset = cubes();
  dataset->on_read = [](auto, auto&, auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  Loader loader(source_of(dataset), {.threads = 1, .queue = 1}, 0, 2);
  loader.next();
  EXPECT_GE(loader.seconds_waiting(), 0.02);
}

TEST(Collate, RefusesItemsThatDoNotFit) {
  Sample a = numbered_sample("a", {2, 3, 4});
  Sample b = numbered_sample("b", {2, 3, 5});
  EXPECT_THAT(error_message("shape",
                            [&] {
                              collate({a, b});
                            }),
              ::testing::AllOf(::testing::HasSubstr("sample b: role 'image'"),
                               ::testing::HasSubstr("[1, 2, 3, 4]"),
                               ::testing::HasSubstr("[1, 2, 3, 5]")));
  b = numbered_sample("b", {2, 3, 4});
  b.at("image").modality = "mri";
  EXPECT_THAT(error_message("data",
                            [&] {
                              collate({a, b});
                            }),
              ::testing::HasSubstr("modality 'mri'"));
}

TEST(Collate, KeepsMissingTargetsAbsentAndPointsRagged) {
  Sample a = numbered_sample("a", {2, 3, 4});
  Sample b = numbered_sample("b", {2, 3, 4});
  a.entries.erase("label");
  a.entries["points"] = {
      EntryKind::kPoints, at::zeros({5, 3}, at::kDouble), {}, "", "world", "", nullptr};
  b.entries["points"] = {
      EntryKind::kPoints, at::zeros({2, 3}, at::kDouble), {}, "", "world", "", nullptr};
  const Batch batch = collate({a, b});
  EXPECT_EQ(batch.at("label").items, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(batch.at("label").data.size(0), 1);
  EXPECT_EQ(batch.at("points").points.at(0).size(0), 5);
  EXPECT_EQ(batch.at("points").points.at(1).size(0), 2);
}

TEST(Collate, CopiesViewsInTheirOwnOrder) {
  Sample a = numbered_sample("a", {2, 3, 4});
  a.entries["image"] = sliced_along(a.at("image"), 2);
  EXPECT_FALSE(a.at("image").data.is_contiguous());
  EXPECT_TRUE(at::equal(collate({a}).at("image").data[0], a.at("image").data));
}

}  // namespace
}  // namespace triptych
