// SPDX-License-Identifier: Apache-2.0
#include "framework/data/loader.h"

#include "tests/data/memory_dataset.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::make_chain;
using testing::MemoryDataset;
using testing::numbered_sample;
using Extent = RoleBinding::Extent;

std::shared_ptr<const Dataset> numbered_volumes() {
  return std::make_shared<MemoryDataset>(
      std::vector<Sample>{numbered_sample("a", {5, 6, 7}), numbered_sample("b", {4, 3, 8})});
}

Sample read(const Dataset& dataset, const Item& item, std::int64_t slab = 1) {
  return read_item(dataset, item, {{"image", "image", true}, {"label", "label", true}}, slab);
}

TEST(ReadItem, TurnsTheSlicingAxisToTheFront) {
  const auto dataset = numbered_volumes();
  const Sample sample = read(*dataset, {0, Region{{0, 2, 0}, {5, 1, 7}}, 1, 0});
  const at::Tensor whole = dataset->read_all(0, "image").data;
  EXPECT_TRUE(at::equal(sample.at("image").data, whole.select(2, 2).unsqueeze(1)));
  EXPECT_EQ(sample.id, "a:axis1:2");
  // The corner voxel is where it was in the world.
  const Geometry& geometry = sample.at("image").geometry;
  EXPECT_LT((geometry.world_from_index({1, 2, 0}) -
             dataset->samples()[0].entries[0].geometry.world_from_index({1, 2, 2}))
                .norm(),
            1e-12);
}

TEST(ReadItem, RepeatsTheEdgeSliceOfASlab) {
  const auto dataset = numbered_volumes();
  const Sample sample = read(*dataset, {0, Region{{-1, 0, 0}, {3, 6, 7}}, 0, 0}, 3);
  const at::Tensor image = sample.at("image").data;
  EXPECT_TRUE(at::equal(image.select(1, 0), image.select(1, 1)));
  EXPECT_TRUE(at::equal(image.select(1, 1), dataset->read_all(0, "image").data.select(1, 0)));
  EXPECT_EQ(sample.at("label").data.min().item<std::int64_t>(), 0);
  EXPECT_LT((sample.at("image").geometry.world_from_index({0, 0, 1}) -
             dataset->samples()[0].entries[0].geometry.origin)
                .norm(),
            1e-12);
}

TEST(ReadItem, CentresAVolumeSmallerThanThePatchAndIgnoresThePadding) {
  SamplingConfig config;
  config.items = "patches";
  config.patch = {8, 4, 4};
  const auto dataset = numbered_volumes();
  const Item item = Sampler(dataset, {0, 1}, config, "image", "label", 1).all_items().front();
  EXPECT_EQ(item.region.start[0], -1);
  const Sample sample = read(*dataset, item);
  EXPECT_EQ(sample.at("image").data.sizes(), (std::vector<std::int64_t>{1, 8, 4, 4}));
  const at::Tensor label = sample.at("label").data;
  EXPECT_TRUE(label.select(1, 0).eq(-1).all().item<bool>());
  EXPECT_TRUE(label.narrow(1, 1, 5).ge(0).all().item<bool>());
  EXPECT_TRUE(label.narrow(1, 6, 2).eq(-1).all().item<bool>());
  EXPECT_TRUE(
      at::equal(sample.at("image").data.select(1, 0), sample.at("image").data.select(1, 1)));
}

TEST(ReadItem, LeavesOptionalEntriesAbsentAndRefusesMissingOnes) {
  Sample bare = numbered_sample("bare", {3, 3, 3});
  bare.entries.erase("label");
  const MemoryDataset dataset({bare});
  const Item item{0, Region{{0, 0, 0}, {3, 3, 3}}, 0, 0};
  EXPECT_EQ(read_item(dataset, item, {{"image", "image", true}, {"label", "label", false}}, 1)
                .find("label"),
            nullptr);
  EXPECT_THAT(error_message("data", [&] { read(dataset, item); }),
              HasSubstr("role 'label' needs entry 'label'"));
}

TEST(ReadItem, ReadsTheMovingImageOfAPairWhole) {
  Sample pair = numbered_sample("pair", {4, 4, 4});
  pair.entries["moving"] = numbered_sample("", {6, 5, 3}).at("image");
  pair.at("moving").frame = "moving";
  const MemoryDataset dataset({pair});
  const Item item{0, Region{{0, 0, 0}, {2, 2, 2}}, 0, 0};
  const Sample sample = read_item(
      dataset, item, {{"fixed", "image"}, {"moving", "moving", true, false, Extent::kWhole}}, 1);
  EXPECT_EQ(sample.at("moving").data.sizes(), (std::vector<std::int64_t>{1, 6, 5, 3}));
  EXPECT_THAT(
      error_message("geometry",
                    [&] {
                      read_item(dataset, item, {{"fixed", "image"}, {"moving", "moving"}}, 1);
                    }),
      HasSubstr("role 'moving' is read at the item's region, but 'moving' lies on another grid "
                "than 'image'"));
}

/// The numbered sample and an image of half its resolution over the same field of view, axes D and
/// H exchanged.
Sample two_grids() {
  Sample sample = numbered_sample("two", {8, 12, 16});
  Entry coarse = numbered_sample("", {6, 4, 8}).at("image");
  const Geometry& fine = sample.at("image").geometry;
  coarse.geometry.spacing.setConstant(2.0);
  coarse.geometry.direction.col(1) = fine.direction.col(2);
  coarse.geometry.direction.col(2) = fine.direction.col(1);
  coarse.geometry.origin = fine.origin;
  sample.entries["coarse"] = coarse;
  return sample;
}

TEST(ReadItem, CutsAWorldBoxOutOfAnotherGrid) {
  const MemoryDataset dataset({two_grids()});
  const std::vector<RoleBinding> roles = {{"image", "image"},
                                          {"coarse", "coarse", true, false, Extent::kWorldBox}};
  const Sample patch = read_item(dataset, {0, Region{{2, 4, 6}, {5, 5, 5}}, 0, 0}, roles, 1);
  const Entry& coarse = patch.at("coarse");
  EXPECT_EQ(coarse.data.sizes(), (std::vector<std::int64_t>{1, 3, 3, 3}));
  const Geometry& fine = patch.at("image").geometry;
  EXPECT_LT((coarse.geometry.world_from_index({0, 0, 0}) - fine.world_from_index({0, 0, 0})).norm(),
            1e-9);
  EXPECT_EQ(coarse.data[0][0][0][0].item<float>(),
            dataset.read_all(0, "coarse").data[0][2][1][3].item<float>());

  const Sample slice = read_item(dataset, {0, Region{{0, 4, 0}, {8, 1, 16}}, 1, 0}, roles, 1);
  EXPECT_EQ(slice.at("coarse").data.sizes(),
            (std::vector<std::int64_t>{1, 1, 5, 9}));  // the axis that runs along H is D
}

TEST(ReadItem, RefusesAWorldBoxBesideTheGrid) {
  Sample sample = two_grids();
  sample.at("coarse").geometry.origin.setConstant(500.0);
  const MemoryDataset dataset({sample});
  const std::vector<RoleBinding> roles = {{"image", "image"},
                                          {"coarse", "coarse", true, false, Extent::kWorldBox}};
  EXPECT_THAT(error_message("geometry",
                            [&] {
                              read_item(dataset, {0, Region{{2, 4, 6}, {4, 4, 4}}, 0, 0}, roles, 1);
                            }),
              HasSubstr("lies outside 'coarse' in the world"));
}

TEST(ReadItem, ReadsTheDetectorRowsOfASlice) {
  Sample scan;
  scan.id = "scan";
  auto parallel = std::make_shared<ScanGeometry>();
  parallel->angles_rad = {0.0, 1.0, 2.0};
  const at::Tensor data = at::arange(4 * 3 * 5, at::kFloat).view({1, 4, 3, 5});
  scan.entries["projections"] = {
      EntryKind::kProjections, data, testing::grid_of({4, 5, 5}), "labct", "world", "", parallel};
  const MemoryDataset dataset({scan});
  const std::vector<RoleBinding> roles = {{"projections", "projections"}};
  const Sample slice = read_item(dataset, {0, Region{{2, 0, 0}, {1, 5, 5}}, 0, 0}, roles, 1);
  EXPECT_TRUE(at::equal(slice.at("projections").data, data.narrow(1, 2, 1)));
  EXPECT_EQ(slice.at("projections").geometry.shape, (Index3{1, 5, 5}));
  EXPECT_EQ(slice.id, "scan:axis0:2");
  const Sample slab = read_item(dataset, {0, Region{{-1, 0, 0}, {3, 5, 5}}, 0, 0}, roles, 3);
  EXPECT_TRUE(at::equal(slab.at("projections").data,
                        at::stack({data.select(1, 0), data.select(1, 0), data.select(1, 1)}, 1)));
  EXPECT_EQ(read_item(dataset, {0, Region{{0, 2, 0}, {4, 1, 5}}, 1, 0}, roles, 1)
                .at("projections")
                .data.size(1),
            4);
}

TEST(MakeBatch, KeepsTheCentralSliceOfTheTargetsOfASlab) {
  const auto dataset = numbered_volumes();
  Loader::Source source;
  source.dataset = dataset;
  source.roles = {{"image", "image"}, {"label", "label", true, true}};
  source.slab = 3;
  for (const char* transform :
       {"{name: random_flip, axes: [1, 2]}", "{name: spatial, size: [8, 8]}"}) {
    source.transforms = std::make_shared<TransformChain>(make_chain({transform}));
    const Batch batch =
        make_batch(source, {{0, Region{{0, 0, 0}, {3, 6, 7}}, 0, 0}});  // class 1 fills slice 1
    EXPECT_EQ(batch.at("image").data.size(2), 3);
    const BatchEntry& label = batch.at("label");
    EXPECT_EQ(label.data.size(2), 1);
    EXPECT_TRUE(label.data.ne(0).all().item<bool>());
    const Geometry& image = batch.at("image").geometry[0];
    EXPECT_LT(
        (label.geometry[0].world_from_index({0, 0, 0}) - image.world_from_index({0, 0, 1})).norm(),
        1e-9);
  }
}

}  // namespace
}  // namespace triptych
