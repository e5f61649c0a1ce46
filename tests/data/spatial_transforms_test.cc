// SPDX-License-Identifier: Apache-2.0
#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::BallScene;
using testing::error_message;
using testing::make_chain;
using testing::make_transform;
using testing::point_of;
using testing::value_at;

struct Case {
  const char* name;
  const char* yaml;
  Index3 shape;
  bool exact;   ///< moves whole voxels
  double peak;  ///< least value of the moved image at the moved landmarks
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Case kCases[] = {
    {"flip", "{name: random_flip, axes: [0, 1, 2], probability: 0.7}", {20, 24, 28}, true, 0.99},
    {"cube", "{name: cube_symmetry}", {20, 20, 20}, true, 0.99},
    {"square", "{name: cube_symmetry, dimensions: 2}", {9, 24, 24}, true, 0.99},
    {"crop", "{name: random_crop, size: [18, 20, 22]}", {20, 24, 28}, true, 0.99},
    {"centre_crop", "{name: centre_crop, size: [99, 20, 21]}", {20, 24, 28}, true, 0.99},
    {"pad", "{name: pad_to, size: [10, 31, 40]}", {20, 24, 28}, true, 0.99},
    {"pad_multiple", "{name: pad_to, size: [1, 1], multiple: 16}", {20, 24, 28}, true, 0.99},
    {"plane",
     "{name: spatial, size: [56, 64], rotation_deg: 90, elastic_voxels: 2, elastic_spacing: 16, "
     "elastic_probability: 1}",
     {1, 60, 70},
     false,
     0.75},
    {"slab",
     "{name: spatial, rotation_deg: 30, elastic_voxels: 2, elastic_spacing: 12, "
     "elastic_probability: 1}",
     {9, 48, 48},
     false,
     0.75},
    {"patch",
     "{name: spatial, dimensions: 3, size: [22, 30, 26], rotation_deg: 40, elastic_voxels: 2, "
     "elastic_spacing: 12, "
     "elastic_probability: 1}",
     {20, 24, 28},
     false,
     0.6},
};

class SpatialTransforms : public ::testing::TestWithParam<Case> {
 protected:
  /// The scene after the transform, for one of many draws.
  Sample moved(std::uint64_t seed) const {
    Sample sample = BallScene(GetParam().shape).sample;
    make_chain({GetParam().yaml})(sample, RandomStream(seed));
    return sample;
  }
};

TEST_P(SpatialTransforms, KeepLandmarksOnTheirSpots) {
  int inside = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Sample sample = moved(seed);
    const Entry& image = sample.at("image");
    for (std::int64_t i = 0; i < 5; ++i) {
      const Eigen::Vector3d world = point_of(sample.at("points"), i);
      const double value = value_at(image, world);
      if (std::isnan(value)) continue;  // cropped away
      ++inside;
      EXPECT_GT(value, GetParam().peak) << "seed " << seed << ", point " << i;
    }
    EXPECT_TRUE(same_grid(image.geometry, sample.at("label").geometry));
    EXPECT_TRUE(same_grid(image.geometry, sample.at("points").geometry));
  }
  EXPECT_GE(inside, 25);
}

TEST_P(SpatialTransforms, MoveLabelsWithTheImage) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Sample sample = moved(seed);
    const at::Tensor label = sample.at("label").data;
    const at::Tensor image = sample.at("image").data;
    const at::Tensor known = label.ge(0);
    // A nearest neighbour lies within 0.87 voxels, where the spots (slope up to 0.3 a voxel) change
    // by less than 0.3.
    const double margin = GetParam().exact ? 0.0 : 0.3;
    EXPECT_FALSE(image.gt(0.5 + margin).logical_and(label.eq(0)).any().item<bool>())
        << "seed " << seed;
    EXPECT_FALSE(image.le(0.5 - margin).logical_and(label.eq(1)).any().item<bool>())
        << "seed " << seed;
    EXPECT_GT(label.eq(1).sum().item<double>(), 0.0);
    EXPECT_GT(known.to(at::kDouble).mean().item<double>(), 0.3);
  }
}

TEST_P(SpatialTransforms, ReplayFromTheirHistoryAndLeaveTheInputAlone) {
  const Sample original = BallScene(GetParam().shape).sample;
  const at::Tensor image = original.at("image").data.clone();
  const at::Tensor points = original.at("points").data.clone();
  Sample first = original;
  make_chain({GetParam().yaml})(first, RandomStream(5));
  ASSERT_EQ(first.history.size(), 1U);
  Sample second = original;
  make_transform(GetParam().yaml)->apply(second, first.history.at(0).second);
  for (const char* entry : {"image", "label", "points"}) {
    EXPECT_TRUE(at::equal(first.at(entry).data, second.at(entry).data)) << entry;
  }
  EXPECT_TRUE(at::equal(original.at("image").data, image));
  EXPECT_TRUE(at::equal(original.at("points").data, points));
}

TEST_P(SpatialTransforms, CarryDisplacementFieldsBetweenFrames) {
  // Two frames with landmarks P and Q = P + u(P); after either frame moves, the field still leads
  // from P' to Q'.
  for (const char* frames : {"", ", frames: [fixed]", ", frames: [moving]"}) {
    BallScene fixed(GetParam().shape, "fixed");
    BallScene moving(GetParam().shape, "moving");
    Sample sample;
    sample.id = "pair";
    sample.entries["fixed"] = fixed.sample.at("image");
    sample.entries["moving"] = moving.sample.at("image");
    const Index3& shape = GetParam().shape;
    const Eigen::Vector3d u(0.3, -0.2, shape[0] == 1 ? 0.0 : 0.4);
    const at::Tensor field = at::empty({3, shape[0], shape[1], shape[2]});
    for (int i = 0; i < 3; ++i) field.select(0, i).fill_(u[i]);
    sample.entries["field"] = {
        EntryKind::kVectorField, field, fixed.geometry, "", "fixed", "moving", nullptr};
    sample.entries["p"] = fixed.sample.at("points");
    sample.entries["q"] = moving.sample.at("points");
    at::Tensor q = sample.at("q").data.clone();
    for (int i = 0; i < 3; ++i) q.select(1, i).add_(u[i]);
    sample.at("q").data = q;
    std::string yaml = GetParam().yaml;
    yaml.insert(yaml.size() - 1, frames);
    make_chain({yaml})(sample, RandomStream(3));
    int inside = 0;
    for (std::int64_t i = 0; i < 5; ++i) {
      const Eigen::Vector3d p = point_of(sample.at("p"), i);
      Eigen::Vector3d vector;
      for (int c = 0; c < 3; ++c) vector[c] = value_at(sample.at("field"), p, c);
      if (!vector.allFinite()) continue;
      ++inside;
      EXPECT_LT((p + vector - point_of(sample.at("q"), i)).norm(), GetParam().exact ? 1e-5 : 0.06)
          << GetParam().name << frames;
    }
    EXPECT_GE(inside, 2);
  }
}

TEST_P(SpatialTransforms, TurnPlainVectorsWithTheContent) {
  BallScene scene(GetParam().shape);
  Sample sample = scene.sample;
  const Index3& shape = GetParam().shape;
  const Eigen::Vector3d v =
      scene.geometry.direction * Eigen::Vector3d(0.7, -0.4, shape[0] == 1 ? 0.0 : 0.5);
  const at::Tensor field = at::empty({3, shape[0], shape[1], shape[2]});
  for (int i = 0; i < 3; ++i) field.select(0, i).fill_(v[i]);
  sample.entries["vectors"] = {
      EntryKind::kVectorField, field, scene.geometry, "", "world", "", nullptr};
  sample.entries["ends"] = sample.at("points");
  constexpr double kStep = 1e-3;
  at::Tensor ends = sample.at("points").data.clone();
  for (int i = 0; i < 3; ++i) ends.select(1, i).add_(kStep * v[i]);
  sample.at("ends").data = ends;
  make_chain({GetParam().yaml})(sample, RandomStream(2));
  for (std::int64_t i = 0; i < 5; ++i) {
    const Eigen::Vector3d p = point_of(sample.at("points"), i);
    const Eigen::Vector3d expected = (point_of(sample.at("ends"), i) - p) / kStep;
    Eigen::Vector3d vector;
    for (int c = 0; c < 3; ++c) vector[c] = value_at(sample.at("vectors"), p, c);
    if (vector.allFinite()) {
      EXPECT_LT((vector - expected).norm(), GetParam().exact ? 1e-5 : 0.05);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Data,
                         SpatialTransforms,
                         ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(CubeSymmetry, DrawsAllSymmetriesOfTheCubeAndTheSquare) {
  const auto count = [](const char* yaml, const Index3& shape) {
    const BallScene scene(shape);
    Sample sample = scene.sample;
    for (auto& [name, entry] : sample.entries) entry.geometry.spacing.setOnes();
    const auto transform = make_transform(yaml);
    RandomStream random(1);
    std::set<TransformParameters> seen;
    for (int i = 0; i < 2000; ++i) seen.insert(transform->draw(sample, random));
    return seen.size();
  };
  EXPECT_EQ(count("{name: cube_symmetry}", {6, 6, 6}), 48U);
  EXPECT_EQ(count("{name: cube_symmetry, mirror: false}", {6, 6, 6}), 24U);
  EXPECT_EQ(count("{name: cube_symmetry, dimensions: 2}", {6, 6, 6}), 8U);
  EXPECT_EQ(count("{name: cube_symmetry}", {4, 6, 6}), 16U);
  EXPECT_EQ(count("{name: cube_symmetry, dimensions: 2}", {4, 5, 6}), 4U);
}

TEST(RandomFlip, MirrorsTheVoxelsExactly) {
  Sample sample = testing::numbered_sample("n", {3, 4, 5});
  const at::Tensor before = sample.at("image").data;
  make_transform("{name: random_flip}")->apply(sample, {{"flip", {0.0, 1.0, 1.0}}});
  EXPECT_TRUE(at::equal(sample.at("image").data, before.flip({2, 3})));
}

TEST(PadTo, RepeatsTheEdgeOfImagesAndIgnoresLabels) {
  Sample sample = testing::numbered_sample("n", {3, 4, 5});
  make_transform("{name: pad_to, size: [3, 8, 5]}")->apply(sample, {});
  const at::Tensor image = sample.at("image").data;
  EXPECT_EQ(image.size(2), 8);
  EXPECT_TRUE(at::equal(image.select(2, 0), image.select(2, 2)));
  EXPECT_TRUE(sample.at("label").data.select(2, 1).eq(-1).all().item<bool>());
  EXPECT_TRUE(sample.at("label").data.narrow(2, 2, 4).ge(0).all().item<bool>());
}

TEST(RandomCrop, RefusesItemsThatAreTooSmall) {
  Sample sample = testing::numbered_sample("small", {3, 4, 5});
  EXPECT_THAT(
      error_message(
          "data",
          [&] { make_chain({"{name: random_crop, size: [8, 8]}"})(sample, RandomStream(1)); }),
      ::testing::HasSubstr(
          "sample small: transform 'random_crop': expected at least 8 voxels along axis H, got 4"));
}

TEST(Spatial, WithNothingToDoIsExact) {
  Sample sample = testing::numbered_sample("n", {3, 14, 15});
  const at::Tensor before = sample.at("image").data;
  make_chain(
      {"{name: spatial, area: [1, 1], aspect: [1, 1], rotation_deg: 0, elastic_voxels: 0, flip: "
       "false}"})(sample, RandomStream(1));
  EXPECT_TRUE(testing::near(sample.at("image").data, before, 1e-3));
  EXPECT_EQ(sample.at("label").data.min().item<std::int64_t>(), 0);
}

TEST(Spatial, CropsWithinTheAreaAndTheAspectAskedFor) {
  const Sample sample = testing::numbered_sample("n", {1, 30, 40});
  const auto transform = make_transform("{name: spatial}");
  RandomStream random(4);
  for (int i = 0; i < 200; ++i) {
    const TransformParameters drawn = transform->draw(sample, random);
    const std::vector<double>& extent = drawn.at("extent");
    const std::vector<double>& centre = drawn.at("centre");
    EXPECT_EQ(extent[0], 1.0);
    EXPECT_LE(extent[1] * extent[2], 1.0 + 1e-12);
    EXPECT_GE(extent[1] * extent[2], 0.7);
    for (std::size_t a = 1; a < 3; ++a) {
      EXPECT_GE(centre[a] - extent[a] / 2.0, -1e-9);
      EXPECT_LE(centre[a] + extent[a] / 2.0, 1.0 + 1e-9);
    }
  }
}

TEST(Spatial, MarksWhatLiesOutsideAsAsked) {
  for (const bool ignore : {true, false}) {
    Sample sample = testing::numbered_sample("n", {1, 30, 30});
    const std::string outside = ignore ? "ignore" : "edge";
    make_transform("{name: spatial, label_outside: " + outside + "}")
        ->apply(sample,
                {{"extent", {1, 1, 1}},
                 {"centre", {0.5, 0.5, 0.5}},
                 {"flip", {1, 1, 1}},
                 {"rotation", {0, 0, 1, 45}}});
    EXPECT_EQ(sample.at("label").data[0][0][0][0].item<std::int64_t>(), ignore ? -1 : 0);
    EXPECT_TRUE(sample.at("image").data.isfinite().all().item<bool>());
  }
}

/// An image whose three channels are the world position of each voxel.
Entry position_image(const Geometry& grid, const std::string& frame) {
  const Index3& shape = grid.shape;
  const at::Tensor data = at::empty({3, shape[0], shape[1], shape[2]});
  auto value = data.accessor<float, 4>();
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const Eigen::Vector3d world = grid.world_from_index(
            {static_cast<double>(w), static_cast<double>(h), static_cast<double>(d)});
        for (int c = 0; c < 3; ++c) value[c][d][h][w] = static_cast<float>(world[c]);
      }
    }
  }
  return {EntryKind::kIntensity, data, grid, "", frame, "", nullptr};
}

TEST(SpatialTransform, MovesEntriesOfAFrameOnOtherGridsAlike) {
  const std::pair<const char*, double> cases[] = {
      {"{name: random_flip, probability: 1, axes: [0, 2]}", 1e-3},
      {"{name: cube_symmetry}", 1e-3},
      {"{name: random_crop, size: [24, 24]}", 1e-3},
      {"{name: pad_to, size: [30, 40, 40]}", 1e-3},
      {"{name: spatial, dimensions: 3, rotation_deg: 30, elastic_voxels: 0}", 0.02},
      {"{name: spatial, dimensions: 3, size: [20, 32, 32], rotation_deg: 20, elastic_voxels: 1, "
       "elastic_spacing: 12, elastic_probability: 1}",
       0.1}};
  for (const auto& [yaml, tolerance] : cases) {
    testing::BallScene scene({24, 32, 32});
    Sample& sample = scene.sample;
    sample.reference = "image";
    Geometry coarse = scene.geometry.resampled_to(1.5 * scene.geometry.spacing);
    sample.entries["another"] = position_image(coarse, "world");
    const at::Tensor before = sample.at("points").data.clone();
    make_chain({yaml})(sample, RandomStream(5));
    const Entry& moved = sample.at("another");
    int compared = 0;
    for (std::int64_t i = 0; i < before.size(0); ++i) {
      const Eigen::Vector3d place = testing::point_of(sample.at("points"), i);
      if (std::isnan(testing::value_at(moved, place)) ||
          std::isnan(testing::value_at(sample.at("image"), place)))
        continue;
      ++compared;
      for (int c = 0; c < 3; ++c) {
        EXPECT_NEAR(testing::value_at(moved, place, c), before[i][c].item<double>(), tolerance)
            << yaml << " point " << i;
      }
    }
    EXPECT_GT(compared, 2) << yaml;
  }
}

TEST(SpatialTransform, KeepsTheVoxelRatioAndFieldOfViewOfAnotherGrid) {
  Sample sample = testing::numbered_sample("n", {8, 16, 16});
  sample.reference = "image";
  Geometry coarse = testing::grid_of({4, 8, 8}, {2.0, 2.0, 2.0});
  coarse.origin = sample.at("image").geometry.origin + Eigen::Vector3d(0.5, 0.5, 0.5);
  sample.entries["another"] = position_image(coarse, "world");
  make_chain({"{name: centre_crop, size: [4, 8, 8]}"})(sample, RandomStream(1));
  const Entry& cut = sample.at("another");
  EXPECT_EQ(cut.geometry.shape, (Index3{2, 4, 4}));
  EXPECT_TRUE(same_grid(cut.geometry, coarse.cropped({{1, 2, 2}, {2, 4, 4}})));
}

TEST(SpatialTransform, RefusesUnknownFramesAndProjections) {
  Sample sample = testing::numbered_sample("n", {4, 4, 4});
  EXPECT_THAT(error_message("data",
                            [&] {
                              make_chain({"{name: random_flip, probability: 1, frames: [wrold]}"})(
                                  sample, RandomStream(1));
                            }),
              ::testing::HasSubstr("no entry lies in frame 'wrold'; did you mean 'world'"));
  sample.entries["scan"] = {
      EntryKind::kProjections, at::zeros({1, 2, 3, 4}), {}, "", "world", "", nullptr};
  EXPECT_THAT(
      error_message(
          "data",
          [&] { make_chain({"{name: random_flip, probability: 1}"})(sample, RandomStream(1)); }),
      ::testing::HasSubstr("cannot move the projections 'scan'"));
}

}  // namespace
}  // namespace triptych
