// SPDX-License-Identifier: Apache-2.0
// What makes pairs of images: own_frame, label_contrast, and the data sets random_labels and pairs.
#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::BallScene;
using testing::error_message;
using ::testing::HasSubstr;
using testing::make_chain;
using testing::point_of;
using testing::value_at;

std::shared_ptr<Dataset> made(const std::string& yaml) {
  return DatasetRegistry::instance().create(config::parse_yaml(yaml, "test"));
}

/// The balls twice, as the images, labels and landmarks of a pair.
Sample ball_pair(const Index3& shape) {
  const BallScene scene(shape);
  Sample pair;
  pair.id = "pair";
  pair.reference = "fixed";
  for (const char* side : {"fixed", "moving"}) {
    pair.entries[side] = scene.sample.at("image");
    pair.entries[std::string(side) + "_label"] = scene.sample.at("label");
    pair.entries[std::string(side) + "_points"] = scene.sample.at("points");
  }
  return pair;
}

void expect_field_leads_to_moved_balls(const Index3& shape, const std::string& motion) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    Sample pair = ball_pair(shape);
    make_chain({"{name: own_frame, entries: [moving, moving_label, moving_points]}", motion})(
        pair, RandomStream(seed));
    const Entry& field = pair.at("displacement");
    EXPECT_EQ(field.frame, "world");
    EXPECT_EQ(field.target_frame, "moving");
    EXPECT_TRUE(same_grid(field.geometry, pair.at("fixed").geometry));
    double largest = 0.0;
    for (std::int64_t i = 0; i < 5; ++i) {
      const Eigen::Vector3d fixed = point_of(pair.at("fixed_points"), i);
      const Eigen::Vector3d moving = point_of(pair.at("moving_points"), i);
      largest = std::max(largest, (moving - fixed).norm());
      for (int axis = 0; axis < 3; ++axis)
        EXPECT_NEAR(value_at(field, fixed, axis), moving[axis] - fixed[axis], 0.02) << seed;
      const double peak = value_at(pair.at("moving"), moving);
      if (std::isnan(peak)) continue;  // moved out of the grid
      EXPECT_GT(peak, 0.6) << seed;
    }
    EXPECT_GT(largest, 0.3) << seed;
  }
}

TEST(OwnFrame, GivesTheDisplacementOfWhatIsMovedApartLater) {
  expect_field_leads_to_moved_balls(
      {20, 24, 28},
      "{name: spatial, dimensions: 3, frames: [moving], area: [1, 1], aspect: [1, 1], flip: false, "
      "rotation_deg: 10, elastic_voxels: 2, elastic_spacing: 12, elastic_probability: 1}");
}

TEST(OwnFrame, MovesSlicesApart) {
  expect_field_leads_to_moved_balls(
      {1, 40, 48},
      "{name: spatial, frames: [moving], area: [1, 1], aspect: [1, 1], flip: false, rotation_deg: "
      "10, elastic_voxels: 3, elastic_spacing: 12, elastic_probability: 1}");
}

TEST(OwnFrame, RefusesToTakeTheReferenceAway) {
  const std::string message = error_message("data", [] {
    Sample pair = ball_pair({4, 8, 8});
    make_chain({"{name: own_frame, entries: [fixed]}"})(pair, RandomStream(1));
  });
  EXPECT_THAT(message, HasSubstr("'fixed' to stay"));
}

TEST(LabelContrast, PaintsEachClassWithItsMeanAndNoise) {
  Sample pair = ball_pair({20, 24, 28});
  pair.at("fixed_label").data = pair.at("fixed_label").data.clone();
  pair.at("fixed_label").data.select(1, 0).fill_(-1);
  make_chain({"{name: label_contrast, label: fixed_label, entries: [fixed, moving]}"})(
      pair, RandomStream(7));
  const TransformParameters& drawn = pair.history.at(0).second;
  const at::Tensor labels = pair.at("fixed_label").data.clamp_min(0);
  for (const std::string name : {"fixed", "moving"}) {
    for (std::int64_t label = 0; label < 2; ++label) {
      const at::Tensor values = pair.at(name).data.masked_select(labels == label);
      const double noise = drawn.at(name + ".noise").at(static_cast<std::size_t>(label));
      const double tolerance = 5.0 * noise / std::sqrt(static_cast<double>(values.numel())) + 1e-6;
      EXPECT_NEAR(values.mean().item<double>(),
                  drawn.at(name + ".mean").at(static_cast<std::size_t>(label)),
                  tolerance);
      EXPECT_NEAR(values.std().item<double>(), noise, tolerance);
    }
  }
  EXPECT_NE(drawn.at("fixed.mean"), drawn.at("moving.mean"));
}

TEST(LabelContrast, NamesAnEntryOnAnotherGrid) {
  const std::string message = error_message("data", [] {
    Sample pair = ball_pair({4, 8, 8});
    pair.entries["moving"] = BallScene({4, 8, 9}).sample.at("image");
    make_chain({"{name: label_contrast, label: fixed_label, entries: [moving]}"})(pair,
                                                                                  RandomStream(1));
  });
  EXPECT_THAT(message, HasSubstr("'moving'"));
}

const char* const kLabels =
    "{name: random_labels, train: 2, validation: 1, test: 1, size: [12, 20, 24], classes: 6}";

TEST(RandomLabels, AreTheSameWheneverTheyAreRead) {
  const auto first = made(kLabels), second = made(kLabels);
  const Entry whole = first->read_all(1, "label");
  EXPECT_TRUE(at::equal(whole.data, second->read_all(1, "label").data));
  const Region region{{2, 3, 4}, {5, 6, 7}};
  const at::Tensor part = second->read(1, "label", region).data;
  EXPECT_TRUE(at::equal(part, whole.data.narrow(1, 2, 5).narrow(2, 3, 6).narrow(3, 4, 7)));
  EXPECT_FALSE(at::equal(whole.data, first->read_all(0, "label").data));
}

TEST(RandomLabels, HoldConnectedStructuresOfEveryClassWithOneGreyValueEach) {
  const auto dataset =
      made("{name: random_labels, train: 1, size: [32, 32, 32], classes: 4, structure: 0.3}");
  const at::Tensor labels = dataset->read_all(0, "label").data;
  const at::Tensor image = dataset->read_all(0, "image").data;
  for (std::int64_t label = 0; label < 4; ++label) {
    const at::Tensor inside = labels == label;
    EXPECT_GT(inside.to(at::kFloat).mean().item<double>(), 0.02) << label;
    const at::Tensor values = image.masked_select(inside);
    EXPECT_EQ(values.min().item<float>(), values.max().item<float>()) << label;
  }
  // Neighbours mostly share a class: structures of 10 voxels, not noise.
  const at::Tensor same = labels.narrow(3, 1, 31) == labels.narrow(3, 0, 31);
  EXPECT_GT(same.to(at::kFloat).mean().item<double>(), 0.75);
}

TEST(RandomLabels, AreIndividualsOfOneKind) {
  const auto shared_with = [](const std::string& individual) {
    const auto dataset = made(
        "{name: random_labels, train: 2, size: [24, 24, 24], classes: 6, structure: 0.3, "
        "individual: " +
        individual + "}");
    const at::Tensor same =
        dataset->read_all(0, "label").data == dataset->read_all(1, "label").data;
    return same.to(at::kFloat).mean().item<double>();
  };
  const double apart = shared_with("1.0"), akin = shared_with("0.2");
  EXPECT_LT(apart, 0.4);  // six classes by chance: 0.17
  EXPECT_GT(akin, 0.5);
  EXPECT_LT(akin, 0.95);
  EXPECT_EQ(shared_with("0.0"), 1.0);
}

TEST(RandomLabels, LieInABallOfClassZero) {
  const at::Tensor labels =
      made("{name: random_labels, train: 1, size: [20, 24, 30], classes: 4, specimen: 0.8}")
          ->read_all(0, "label")
          .data[0];
  const at::Tensor d = at::arange(20) - 9.5, h = at::arange(24) - 11.5, w = at::arange(30) - 14.5;
  const at::Tensor radius =
      (d.square().view({-1, 1, 1}) + h.square().view({-1, 1}) + w.square()).sqrt();
  EXPECT_EQ(labels.masked_select(radius > 8.01).max().item<std::int64_t>(), 0);
  EXPECT_GT(labels.masked_select(radius < 7.99).ne(0).to(at::kFloat).mean().item<double>(), 0.3);
}

TEST(Pairs, AreAllOrderedPairsOfASplit) {
  const std::string of =
      "of: {name: random_shapes, train: 3, validation: 1, test: 2, size: [1, 16, 16]}}";
  const auto pairs = made("{name: pairs, " + of);
  EXPECT_EQ(pairs->split("train").size(), 6U);
  EXPECT_EQ(pairs->split("validation").size(), 0U);
  EXPECT_EQ(pairs->split("test").size(), 2U);
  const auto atlas = made("{name: pairs, against_training: true, " + of);
  EXPECT_EQ(atlas->split("train").size(), 6U);
  EXPECT_EQ(atlas->split("validation").size(), 3U);
  EXPECT_EQ(atlas->split("test").size(), 2U + 6U);
  EXPECT_EQ(atlas->samples()[atlas->split("validation")[0]].id, "validation_0000_from_train_0000");
}

TEST(Pairs, ReadTheTwoSamplesInFramesOfTheirOwn) {
  const auto single = made("{name: random_shapes, train: 2, size: [1, 16, 16]}");
  const auto pairs = made("{name: pairs, of: {name: random_shapes, train: 2, size: [1, 16, 16]}}");
  const std::size_t second = pairs->split("train")[1];  // the first moves, the second is fixed
  const Entry fixed = pairs->read_all(second, "fixed_image");
  const Entry moving = pairs->read_all(second, "moving_label");
  EXPECT_TRUE(at::equal(fixed.data, single->read_all(1, "image").data));
  EXPECT_TRUE(at::equal(moving.data, single->read_all(0, "label").data));
  EXPECT_EQ(fixed.frame, "fixed");
  EXPECT_EQ(moving.frame, "moving");
  const EntrySpec* spec = pairs->samples()[second].find("moving_label");
  ASSERT_NE(spec, nullptr);
  EXPECT_EQ(spec->frame, "moving");
  EXPECT_EQ(spec->kind, EntryKind::kLabel);
}

}  // namespace
}  // namespace triptych
