// SPDX-License-Identifier: Apache-2.0
// What every registered transform has to keep, whatever it does.
#include "framework/core/error.h"
#include "framework/data/transform.h"

#include "tests/contract/minimal_config.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr std::int64_t kDepth = 4, kEdge = 20;

Entry entry_of(EntryKind kind, const at::Tensor& data) {
  Entry entry;
  entry.kind = kind;
  entry.data = data;
  entry.geometry.shape = {kDepth, kEdge, kEdge};
  entry.geometry.spacing = {1.0, 1.0, 1.0};
  entry.modality = "ct";
  return entry;
}

/// An image, a label map, a displacement field and points in one frame.
Sample sample_of_all_kinds() {
  at::manual_seed(5);
  Sample sample;
  sample.id = "sample";
  sample.reference = "image";
  sample.entries["image"] =
      entry_of(EntryKind::kIntensity, at::rand({1, kDepth, kEdge, kEdge}, at::kFloat));
  sample.entries["label"] =
      entry_of(EntryKind::kLabel, at::randint(0, 3, {1, kDepth, kEdge, kEdge}, at::kLong));
  sample.entries["displacement"] =
      entry_of(EntryKind::kVectorField, at::rand({3, kDepth, kEdge, kEdge}, at::kFloat));
  sample.entries["displacement"].target_frame = "world";
  sample.entries["points"] = entry_of(EntryKind::kPoints, at::rand({6, 3}, at::kDouble) * 10.0);
  return sample;
}

/// Entries with the projections of a parallel beam, for transforms that ask for them.
Sample sample_of_projections() {
  at::manual_seed(5);
  Sample sample;
  sample.id = "scan";
  ScanGeometry scan;
  for (int view = 0; view < 12; ++view) scan.angles_rad.push_back(0.25 * view);
  scan.centre_column = 14.5;
  for (const char* name : {"projections", "noisy", "image"}) {
    Entry& entry = sample.entries[name] =
        entry_of(EntryKind::kProjections, at::rand({1, kDepth, 12, 30}));
    entry.scan = std::make_shared<const ScanGeometry>(scan);
  }
  return sample;
}

class TransformContract : public ::testing::TestWithParam<std::string> {
 protected:
  static std::shared_ptr<Transform> made() {
    config::Node node = testing::minimal_config(TransformRegistry::instance(), GetParam());
    for (const config::FieldInfo& field : TransformRegistry::instance().describe(GetParam())) {
      if (!field.required) continue;
      config::Node list = config::Node::list();
      if (field.name == "entries")
        list.as_list().emplace_back(GetParam() == "own_frame" ? "label" : "image");
      if (field.name == "size") {
        for (int axis = 0; axis < 2; ++axis) list.as_list().emplace_back(std::int64_t{16});
      }
      if (!list.as_list().empty()) node.set(field.name, std::move(list));
    }
    return TransformRegistry::instance().create(node);
  }
  static bool wants_projections() {
    return GetParam() == "split_views" || GetParam() == "reconstruct";
  }
  static Sample fitting_sample() {
    return wants_projections() ? sample_of_projections() : sample_of_all_kinds();
  }
  static Sample applied(const Transform& transform, const TransformParameters& parameters) {
    Sample sample = fitting_sample();
    transform.apply(sample, parameters);
    return sample;
  }
};

TEST_P(TransformContract, AppliesEqualParametersWithEqualBits) {
  const auto transform = made();
  RandomStream first(11), second(11);
  const Sample sample = fitting_sample();
  const TransformParameters parameters = transform->draw(sample, first);
  EXPECT_EQ(parameters, transform->draw(sample, second));
  const Sample once = applied(*transform, parameters);
  const Sample again = applied(*transform, parameters);
  for (const auto& [name, entry] : once.entries) {
    EXPECT_TRUE(at::equal(entry.data, again.at(name).data)) << name;
    EXPECT_TRUE(same_grid(entry.geometry, again.at(name).geometry)) << name;
  }
}

TEST_P(TransformContract, KeepsKindsAndTheirGrids) {
  if (wants_projections()) GTEST_SKIP() << "makes images of projections";
  const auto transform = made();
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    RandomStream random(seed);
    const Sample before = fitting_sample();
    const Sample after = applied(*transform, transform->draw(before, random));
    for (const auto& [name, entry] : after.entries) {
      EXPECT_EQ(entry.kind, before.at(name).kind) << name;
      EXPECT_EQ(entry.data.scalar_type(), before.at(name).data.scalar_type()) << name;
      EXPECT_TRUE(at::isfinite(entry.data).all().item<bool>()) << name;
      if (entry.kind == EntryKind::kPoints) continue;
      const Index3 size{entry.data.size(1), entry.data.size(2), entry.data.size(3)};
      EXPECT_EQ(size, entry.geometry.shape) << name;
      EXPECT_EQ(size, transform->size_after({kDepth, kEdge, kEdge}, "world")) << name;
    }
    const at::Tensor labels = after.at("label").data;
    EXPECT_GE(labels.min().item<std::int64_t>(), -1);
    EXPECT_LE(labels.max().item<std::int64_t>(), 2);
  }
}

TEST_P(TransformContract, LeavesTheTensorsThatItWasGivenAlone) {
  const auto transform = made();
  RandomStream random(3);
  Sample sample = fitting_sample();
  const std::map<std::string, Entry> given = sample.entries;  // share their tensors
  transform->apply(sample, transform->draw(sample, random));
  const Sample fresh = fitting_sample();
  for (const auto& [name, entry] : given)
    EXPECT_TRUE(at::equal(entry.data, fresh.at(name).data)) << name;
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         TransformContract,
                         ::testing::ValuesIn(TransformRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

}  // namespace
}  // namespace triptych
