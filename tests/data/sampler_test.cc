// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sampler.h"

#include "framework/data/stack_key.h"

#include "tests/data/memory_dataset.h"
#include "tests/support/tensor_matchers.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::MemoryDataset;
using testing::numbered_sample;

std::shared_ptr<const Dataset> two_volumes(const Index3& a = {5, 6, 7},
                                           const Index3& b = {4, 3, 8}) {
  return std::make_shared<MemoryDataset>(
      std::vector<Sample>{numbered_sample("a", a), numbered_sample("b", b)});
}

Sampler make_sampler(const SamplingConfig& config,
                     std::shared_ptr<const Dataset> dataset = two_volumes(),
                     std::uint64_t seed = 1) {
  return Sampler(dataset, dataset->split("train"), config, "image", "label", seed);
}

using Place = std::tuple<std::size_t, int, std::int64_t>;

Place place_of(const Item& item) {
  return {item.sample, item.axis, item.region.start[static_cast<std::size_t>(item.axis)]};
}

TEST(Sampler, ListsTheSlicesOfAllAxes) {
  EXPECT_EQ(make_sampler({}).size(), 5 + 6 + 7 + 4 + 3 + 8);
  SamplingConfig config;
  config.axes = {1};
  EXPECT_EQ(make_sampler(config).size(), 6 + 3);
}

TEST(Sampler, DrawsEveryItemOnceInAnEpoch) {
  for (const Index3& shape :
       {Index3{5, 6, 7}, Index3{2000, 1500, 1200}}) {  // shuffled list, Feistel network
    Sample large;
    large.id = "large";
    large.entries["image"] = numbered_sample("x", {1, 1, 1}).at("image");
    large.entries["image"].geometry.shape = shape;
    const auto dataset = std::make_shared<MemoryDataset>(std::vector<Sample>{large});
    const Sampler sampler(dataset, {0}, {}, "image", "", 3);
    std::map<Place, int> seen;
    for (std::int64_t step = 0; step < 2 * sampler.size(); ++step) {
      if (step == sampler.size()) {
        EXPECT_EQ(static_cast<std::int64_t>(seen.size()), sampler.size());
      }
      ++seen[place_of(sampler.step_items(step, 1).at(0))];
    }
    for (const auto& [place, count] : seen) EXPECT_EQ(count, 2);
  }
}

TEST(Sampler, OrdersDifferBetweenEpochsAndSeeds) {
  const auto order = [](const Sampler& sampler, std::int64_t epoch) {
    std::vector<Place> places;
    for (const Item& item : sampler.step_items(epoch, sampler.size()))
      places.push_back(place_of(item));
    return places;
  };
  const Sampler sampler = make_sampler({});
  EXPECT_NE(order(sampler, 0), order(sampler, 1));
  EXPECT_NE(order(sampler, 0), order(make_sampler({}, two_volumes(), 2), 0));
  EXPECT_EQ(order(sampler, 1), order(make_sampler({}), 1));
}

TEST(Sampler, ItemsDependOnTheGlobalDrawAlone) {
  SamplingConfig config;
  config.items = "patches";
  config.patch = {2, 2, 2};
  config.class_balanced = 0.5;
  const Sampler sampler = make_sampler(config);
  const std::vector<Item> together = sampler.step_items(1, 8);
  for (std::int64_t i = 0; i < 8; ++i) {
    const Item alone = sampler.step_items(8 + i, 1).at(0);
    EXPECT_EQ(alone.region, together[static_cast<std::size_t>(i)].region);
    EXPECT_EQ(alone.sample, together[static_cast<std::size_t>(i)].sample);
    EXPECT_EQ(alone.draw, static_cast<std::uint64_t>(8 + i));
  }
}

TEST(Sampler, BalancesClassesAmongSlices) {
  SamplingConfig config;
  config.class_balanced = 1.0;
  config.axes = {0};
  const Sampler sampler = make_sampler(config);
  std::map<std::int64_t, int> slices;  // class 1 fills slice 1, class 2 is one voxel of slice 2
  for (const Item& item : sampler.step_items(0, 2000)) ++slices[item.region.start[0]];
  EXPECT_EQ(slices.size(), 2U);
  EXPECT_NEAR(slices[1], 1000, 120);
  EXPECT_NEAR(slices[2], 1000, 120);
}

TEST(Sampler, KeepsTheEpochOfThePlainPartBesideBalancedDraws) {
  SamplingConfig config;
  config.class_balanced = 0.25;
  const Sampler sampler = make_sampler(config);
  std::map<Place, int> plain;
  std::int64_t count = 0;
  for (std::int64_t draw = 0; count < sampler.size(); ++draw) {
    const bool balanced = (draw + 1) / 4 > draw / 4;
    if (balanced) continue;
    ++count;
    ++plain[place_of(sampler.step_items(draw, 1).at(0))];
  }
  EXPECT_EQ(static_cast<std::int64_t>(plain.size()), sampler.size());
}

TEST(Sampler, PlacesBalancedPatchesAroundVoxelsOfTheClass) {
  SamplingConfig config;
  config.items = "patches";
  config.patch = {1, 1, 1};
  config.class_balanced = 1.0;
  const auto dataset = two_volumes();
  const Sampler sampler = make_sampler(config, dataset);
  std::map<std::int64_t, int> classes;
  for (const Item& item : sampler.step_items(0, 1000)) {
    ++classes[dataset->read(item.sample, "label", item.region).data.item<std::int64_t>()];
  }
  EXPECT_EQ(classes.count(0), 0U);
  EXPECT_NEAR(classes[1], 500, 80);
  EXPECT_NEAR(classes[2], 500, 80);
}

TEST(Sampler, LeavesOutSlicesWithLittleForegroundInTrainingOnly) {
  SamplingConfig config;
  config.axes = {0};
  config.min_foreground = 0.5;
  const Sampler sampler = make_sampler(config);
  EXPECT_EQ(sampler.size(), 2);
  for (const Item& item : sampler.step_items(0, 10)) EXPECT_EQ(item.region.start[0], 1);
  EXPECT_EQ(sampler.all_items().size(), 9U);
}

TEST(Sampler, CoversEveryVoxelWithTheRegularGridOfPatches) {
  SamplingConfig config;
  config.items = "patches";
  config.patch = {2, 4, 3};
  const Sampler sampler = make_sampler(config);
  at::Tensor covered = at::zeros({5, 6, 7});
  for (const Item& item : sampler.all_items()) {
    if (item.sample != 0) continue;
    const Region& r = item.region;
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_GE(r.start[i], 0);
      EXPECT_LE(r.start[i] + r.size[i], (Index3{5, 6, 7})[i]);
    }
    covered.narrow(0, r.start[0], r.size[0])
        .narrow(1, r.start[1], r.size[1])
        .narrow(2, r.start[2], r.size[2])
        .fill_(1);
  }
  EXPECT_EQ(covered.sum().item<double>(), 5 * 6 * 7);
}

TEST(Sampler, SpreadsALimitedNumberOfItemsEvenly) {
  SamplingConfig config;
  config.axes = {0};
  const std::vector<Item> items = make_sampler(config).all_items(3);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(place_of(items[0]), (Place{0, 0, 1}));
  EXPECT_EQ(place_of(items[1]), (Place{0, 0, 4}));
  EXPECT_EQ(place_of(items[2]), (Place{1, 0, 2}));
}

TEST(Sampler, CutsTwoDimensionalImagesAlongTheirOneAxis) {
  const auto dataset =
      std::make_shared<MemoryDataset>(std::vector<Sample>{numbered_sample("flat", {1, 6, 7})});
  EXPECT_EQ(make_sampler({}, dataset).size(), 1);
}

TEST(Sampler, RefusesWhatCannotBeDrawn) {
  const auto dataset = two_volumes();
  SamplingConfig even;
  even.slab = 2;
  EXPECT_THAT(error_message("schema", [&] { make_sampler(even); }),
              ::testing::HasSubstr("expected an odd number of slices, got 2"));
  SamplingConfig balanced;
  balanced.class_balanced = 0.5;
  EXPECT_THAT(error_message("schema", [&] { Sampler(dataset, {0}, balanced, "image", "", 0); }),
              ::testing::HasSubstr("label entry"));
  EXPECT_THAT(error_message("data", [&] { Sampler(dataset, {0}, {}, "imgae", "", 0); }),
              ::testing::HasSubstr("did you mean 'image'"));
  EXPECT_THAT(error_message("data", [&] { Sampler(dataset, {}, {}, "image", "", 0); }),
              ::testing::HasSubstr("no samples"));
  Sample moved = numbered_sample("moved", {5, 6, 7});
  moved.at("label").geometry.origin[0] += 1.0;
  const auto wrong = std::make_shared<MemoryDataset>(std::vector<Sample>{moved});
  EXPECT_THAT(error_message("geometry", [&] { make_sampler({}, wrong); }),
              ::testing::HasSubstr("moved"));
}

TEST(Sampler, FillsABatchWithItemsOfOneKey) {
  const auto dataset = two_volumes({5, 6, 7}, {4, 3, 7});
  const StackKey size = [](const SampleSpec&, const Index3& item) {
    return fmt::format("{}x{}", item[1], item[2]);
  };
  SamplingConfig config;
  config.class_balanced = 0.25;
  for (const double fraction : {0.0, 0.25}) {
    config.class_balanced = fraction;
    const Sampler sampler(dataset, {0, 1}, config, "image", "label", 1, size);
    const std::int64_t batches = 2 + 2 + 3 + 1 + 1 + 3;  // of 3 slices, for every sample and axis
    EXPECT_EQ(sampler.size(), 5 + 6 + 7 + 4 + 3 + 7);
    std::set<Place> seen;
    for (std::int64_t step = 0; step < batches + 1; ++step) {
      const std::vector<Item> items = sampler.step_items(step, 3);
      const auto key = [&](const Item& item) { return std::pair(item.sample, item.axis); };
      for (const Item& item : items) {
        EXPECT_EQ(key(item), key(items[0]));
        seen.insert(place_of(item));
      }
      EXPECT_EQ(items[2].draw, static_cast<std::uint64_t>(3 * step + 2));
    }
    if (fraction == 0.0) {
      EXPECT_EQ(static_cast<std::int64_t>(seen.size()), sampler.size());
    }
    EXPECT_EQ(
        place_of(sampler.step_items(5, 3)[1]),
        place_of(Sampler(dataset, {0, 1}, config, "image", "label", 1, size).step_items(5, 3)[1]));
  }
}

TEST(StackKey, TellsModalitiesAndSizesAfterTheTransformsApart) {
  Sample mri = numbered_sample("mri", {4, 6, 8});
  mri.at("image").modality = "mri";
  const MemoryDataset dataset({numbered_sample("ct", {4, 6, 8}), mri});
  const std::vector<RoleBinding> roles = {{"image", "image"}, {"label", "label", true, true}};
  const SampleSpec& ct = dataset.samples()[0];
  const StackKey plain = make_stack_key(roles, nullptr);
  EXPECT_NE(plain(ct, {1, 6, 8}), plain(ct, {1, 4, 8}));
  EXPECT_NE(plain(ct, {1, 6, 8}), plain(dataset.samples()[1], {1, 6, 8}));
  for (const char* transform : {"{name: spatial, size: [8, 8]}",
                                "{name: random_crop, size: [4, 4]}",
                                "{name: centre_crop, size: [2, 3]}",
                                "{name: pad_to, size: [8, 8]}"}) {
    const StackKey sized =
        make_stack_key(roles, std::make_shared<TransformChain>(testing::make_chain({transform})));
    EXPECT_EQ(sized(ct, {1, 6, 8}), sized(ct, {1, 4, 8})) << transform;
  }
  const StackKey elsewhere =
      make_stack_key(roles,
                     std::make_shared<TransformChain>(
                         testing::make_chain({"{name: spatial, size: [8, 8], frames: [other]}"})));
  EXPECT_NE(elsewhere(ct, {1, 6, 8}), elsewhere(ct, {1, 4, 8}));
}

}  // namespace
}  // namespace triptych
