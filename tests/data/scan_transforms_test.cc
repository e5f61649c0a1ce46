// SPDX-License-Identifier: Apache-2.0
// The transforms that make projections: ct_scan and split_views.
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/data/transform.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/iterative_reconstruction.h"
#include "framework/ops/scan_views.h"

#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;

Sample sample_of_discs(const std::vector<std::string>& names) {
  Sample sample;
  sample.id = "disc";
  for (const std::string& name : names) {
    Entry& entry = sample.entries[name];
    entry.data = testing::disc_with_metal(false)[0];
    entry.geometry.shape = {1, 32, 32};
    entry.modality = "ct";
  }
  return sample;
}

void apply(const std::string& transform, Sample& sample, std::uint64_t seed = 1) {
  const auto made =
      TransformRegistry::instance().create(config::parse_yaml(transform, "transform.yaml"));
  RandomStream random(seed);
  made->apply(sample, made->draw(sample, random));
}

TEST(CtScanTransform, GivesProjectionsOfTheGreyValues) {
  Sample sample = sample_of_discs({"projections", "clean"});
  apply(
      "{name: ct_scan, entries: [projections], output: projections, per_cm: 0.5, views: [40, 40]}",
      sample);
  const Entry& entry = sample.at("projections");
  EXPECT_EQ(entry.kind, EntryKind::kProjections);
  ASSERT_NE(entry.scan, nullptr);
  EXPECT_EQ(entry.data.size(2), 40);
  const at::Tensor image = fbp(entry.data, *entry.scan, slice_grid_of(entry.geometry));
  EXPECT_NEAR(image[0][0][20][16].item<double>(), 0.2, 0.02);
  EXPECT_EQ(sample.at("clean").kind, EntryKind::kIntensity);
}

TEST(CtScanTransform, WritesTheMaskOfTheMetalItPutIn) {
  Sample sample = sample_of_discs({"projections", "metal"});
  const std::string transform =
      "{name: ct_scan, entries: [projections], output: projections, metal_output: [metal], "
      "metal_count: [2, 2], metal_radius_mm: [1.5, 2.0], pixel_mm: 0.5}";
  apply(transform, sample);
  const Entry& metal = sample.at("metal");
  EXPECT_EQ(metal.kind, EntryKind::kLabel);
  EXPECT_EQ(metal.geometry.spacing[0], 0.5);
  const double pixels = metal.data.sum().item<double>();
  // Two discs of 3 to 4 pixels radius, which may overlap or stick out.
  EXPECT_GT(pixels, 14.0);
  EXPECT_LE(pixels, 2.0 * M_PI * 4.5 * 4.5);
  Sample none = sample_of_discs({"projections", "metal"});
  apply("{name: ct_scan, entries: [projections], metal_output: [metal]}", none);
  EXPECT_EQ(none.at("metal").data.sum().item<std::int64_t>(), 0);
}

TEST(CtScanTransform, KeepsWhatItComparesWithOnTheGridOfTheScan) {
  Sample sample = sample_of_discs({"projections", "clean"});
  apply("{name: ct_scan, entries: [projections], pixel_mm: 0.5}", sample);
  EXPECT_TRUE(same_grid(sample.at("clean").geometry, sample.at("projections").geometry));
}

TEST(CtScanTransform, ChecksItsKeys) {
  const auto problem = [](const std::string& keys) {
    return error_message("schema", [&] {
      TransformRegistry::instance().create(
          config::parse_yaml("{name: ct_scan, " + keys + "}", "transform.yaml"));
    });
  };
  EXPECT_THAT(problem("beam: fan_flat"), HasSubstr("source_to_axis_mm"));
  EXPECT_THAT(problem("output: projections, air: -1000.0"), HasSubstr("expects 0"));
  EXPECT_THAT(problem("axis_shift: [2.0, 1.0]"), HasSubstr("lo <= hi"));
}

/// The views of `whole`, of the first `used`, whose angle is or is not among those of `part`.
at::Tensor image_of_views(const Entry& whole, std::size_t used, const ScanGeometry& part, bool in) {
  ScanGeometry scan = *whole.scan;
  std::vector<std::int64_t> views;
  scan.angles_rad.clear();
  for (std::size_t view = 0; view < used; ++view) {
    const double angle = whole.scan->angles_rad[view];
    const auto& angles = part.angles_rad;
    if ((std::find(angles.begin(), angles.end(), angle) != angles.end()) != in) continue;
    scan.angles_rad.push_back(angle);
    views.push_back(static_cast<std::int64_t>(view));
  }
  return fbp(whole.data.index_select(2, at::tensor(views, at::kLong)),
             scan,
             slice_grid_of(whole.geometry));
}

Sample scanned_sample() {
  Sample sample = sample_of_discs({"projections", "noisy"});
  apply("{name: ct_scan, entries: [projections], output: projections, views: [31, 31]}", sample);
  return sample;
}

TEST(SplitViewsTransform, ComparesWithTheViewsThatTheNetworkDoesNotSee) {
  Sample sample = scanned_sample();
  const Entry whole = sample.at("projections");
  apply("{name: split_views}", sample, 7);
  const Entry& input = sample.at("projections");
  const Entry& target = sample.at("noisy");
  EXPECT_EQ(input.data.size(2), 20);
  EXPECT_EQ(input.scan->angles_rad.size(), 20U);
  EXPECT_EQ(target.kind, EntryKind::kIntensity);
  EXPECT_TRUE(testing::near(target.data, image_of_views(whole, 30, *input.scan, false), 1e-6));
}

TEST(SplitViewsTransform, ComparesFewViewsWithAll) {
  Sample sample = scanned_sample();
  const Entry whole = sample.at("projections");
  apply("{name: split_views, way: sparse, parts: 4}", sample);
  const Entry& input = sample.at("projections");
  EXPECT_EQ(input.data.size(2), 7);
  EXPECT_EQ(input.scan->angles_rad[1], whole.scan->angles_rad[4]);
  ScanGeometry all = *whole.scan;
  EXPECT_TRUE(testing::near(sample.at("noisy").data, image_of_views(whole, 28, all, true), 1e-6));
}

TEST(SplitViewsTransform, RefusesImagesAndTooFewViews) {
  Sample images = sample_of_discs({"projections", "noisy"});
  EXPECT_THAT(error_message("data", [&] { apply("{name: split_views}", images); }),
              HasSubstr("expected projections of at least 6 views"));
}

Sample scan_with_metal() {
  Sample sample = sample_of_discs({"projections", "metal", "image"});
  RandomStream random(5);
  sample.at("metal").data = testing::disc_with_metal(true)[0].gt(1.0).to(at::kLong);
  sample.at("metal").kind = EntryKind::kLabel;
  apply(
      "{name: ct_scan, entries: [projections], output: projections, views: [60, 60], metal_entry: "
      "metal, peak_kv: 100.0}",
      sample);
  return sample;
}

TEST(ReconstructTransform, GivesTheFilteredBackProjectionAndKeepsTheProjections) {
  Sample sample = scanned_sample();
  const Entry scan = sample.at("projections");
  apply("{name: reconstruct, target: noisy, filter: hann}", sample);
  const Entry& image = sample.at("noisy");
  EXPECT_EQ(image.kind, EntryKind::kIntensity);
  EXPECT_EQ(image.scan, nullptr);
  EXPECT_TRUE(at::equal(
      image.data, fbp(scan.data, *scan.scan, slice_grid_of(scan.geometry), RampFilter::kHann)));
  EXPECT_TRUE(at::equal(sample.at("projections").data, scan.data));
  apply("{name: reconstruct, target: projections}", sample);
  EXPECT_EQ(sample.at("projections").kind, EntryKind::kIntensity);
}

TEST(ReconstructTransform, CompletesWhatLiesBehindMetal) {
  Sample sample = scan_with_metal();
  const at::Tensor outside = sample.at("metal").data.eq(0);
  const auto error = [&](const std::string& metal) {
    const std::string transform = fmt::format("{{name: reconstruct, metal: {}}}", metal);
    triptych::apply(transform, sample);
    const at::Tensor clean = testing::disc_with_metal(false)[0];
    return ((sample.at("image").data - clean) * outside).square().mean().sqrt().item<double>();
  };
  const double as_measured = error("none");
  EXPECT_LT(error("li"), 0.5 * as_measured);
  EXPECT_LT(error("nmar"), 0.5 * as_measured);
}

TEST(ReconstructTransform, PutsViewsBetweenFewOnes) {
  Sample sample = sample_of_discs({"projections", "image"});
  apply("{name: ct_scan, entries: [projections], output: projections, views: [12, 12]}", sample);
  apply("{name: reconstruct, method: tv, iterations: 10, tv_weight: 0.001, views_between: 4}",
        sample);
  const Entry& scan = sample.at("projections");
  const SliceGrid grid = slice_grid_of(scan.geometry);
  const at::Tensor smooth =
      tv(scan.data, *scan.scan, grid, {.iterations = 10, .tv_weight = 0.001}).image;
  const ViewsOfScan all = with_views_between({scan.data, *scan.scan}, smooth, 4, grid);
  EXPECT_TRUE(at::equal(sample.at("image").data, fbp(all.projections, all.scan, grid)));
}

TEST(ReconstructTransform, RefusesImagesAndKeysThatDoNotFit) {
  Sample images = sample_of_discs({"projections", "image"});
  EXPECT_THAT(error_message("data", [&] { apply("{name: reconstruct}", images); }),
              HasSubstr("expected projections in entry 'projections', got"));
  EXPECT_THAT(
      error_message("schema", [&] { apply("{name: reconstruct, views_between: 3}", images); }),
      HasSubstr("sirt or tv"));
}

}  // namespace
}  // namespace triptych
