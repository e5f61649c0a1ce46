// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_reader.h"
#include "framework/core/parallel.h"
#include "framework/data/dataset.h"
#include "framework/ops/otsu.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <set>
#include <span>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

std::shared_ptr<Dataset> phantoms(const std::string& more = "size: [40, 40, 40]", int train = 2) {
  const std::string text =
      fmt::format("name: implant_phantom\ntrain: {}\nvalidation: 1\ntest: 1\n{}\n", train, more);
  return DatasetRegistry::instance().create(config::parse_yaml(text, "test.yaml"));
}

Region whole(const EntrySpec& entry) { return {{0, 0, 0}, entry.geometry.shape}; }

at::Tensor read(const Dataset& dataset, const std::string& entry, std::size_t sample = 0) {
  return dataset.read(sample, entry, whole(*dataset.samples()[sample].find(entry))).data;
}

double iou(const at::Tensor& a, const at::Tensor& b) {
  const double shared = a.logical_and(b).sum().item<double>();
  return shared / a.logical_or(b).sum().item<double>();
}

TEST(ImplantPhantom, SplitsShareNoSampleAndIdsAreUnique) {
  const auto dataset = phantoms();
  EXPECT_EQ(dataset->split("train").size(), 2U);
  EXPECT_EQ(dataset->split("validation").size(), 1U);
  EXPECT_EQ(dataset->split("test").size(), 1U);
  std::set<std::size_t> seen;
  std::set<std::string> ids;
  for (const char* split : {"train", "validation", "test"}) {
    for (const std::size_t index : dataset->split(split)) {
      EXPECT_TRUE(seen.insert(index).second);
      EXPECT_TRUE(ids.insert(dataset->samples()[index].id).second);
    }
  }
  EXPECT_NE(testing::error_message("data", [&] { dataset->split("dev"); }).find("got 'dev'"),
            std::string::npos);
}

TEST(ImplantPhantom, MoreTrainingSamplesChangeNoTestSample) {
  const auto label_of_test = [](const Dataset& dataset) {
    return read(dataset, "label", dataset.split("test")[0]);
  };
  const auto few = phantoms();
  const auto many = phantoms("size: [40, 40, 40]\nentries: [label]", 5);
  const auto other = phantoms("size: [40, 40, 40]\nseed: 1");
  EXPECT_TRUE(at::equal(label_of_test(*few), label_of_test(*many)));
  EXPECT_FALSE(at::equal(label_of_test(*few), label_of_test(*other)));
  EXPECT_FALSE(at::equal(read(*few, "label", 0), read(*few, "label", 1)));
}

TEST(ImplantPhantom, AnyBoxOfVoxelsIsAGrid) {
  const auto dataset = phantoms("size: [32, 48, 40]\nspacing_mm: 0.02");
  EXPECT_EQ(dataset->samples()[0].find("srct")->geometry.shape, (Index3{32, 48, 40}));
  const at::Tensor label = read(*dataset, "label");
  for (std::int64_t k = 0; k < 4; ++k) EXPECT_GT((label == k).sum().item<std::int64_t>(), 100) << k;
}

TEST(ImplantPhantom, BitsDependNeitherOnThreadsNorOnWhatWasReadBefore) {
  set_num_threads(1);
  const auto first = phantoms();
  const auto second = phantoms("size: [40, 40, 40]\ncache_mb: 0");
  const std::vector<EntrySpec>& entries = first->samples()[1].entries;
  ASSERT_EQ(entries.size(), 27U);
  std::vector<at::Tensor> forward;
  for (const EntrySpec& entry : entries) forward.push_back(read(*first, entry.name, 1));
  set_num_threads(3);
  for (std::size_t i = entries.size(); i-- > 0;) {
    EXPECT_TRUE(at::equal(forward[i], read(*second, entries[i].name, 1))) << entries[i].name;
  }
}

TEST(ImplantPhantom, ARegionIsACropOfTheWhole) {
  const auto dataset = phantoms();
  for (const EntrySpec& entry : dataset->samples()[0].entries) {
    if (entry.kind == EntryKind::kPoints) continue;
    const Region region{{3, 5, 2}, {4, 7, 9}};
    const Entry part = dataset->read(0, entry.name, region);
    const at::Tensor all = read(*dataset, entry.name);
    const at::Tensor crop = all.slice(1, 3, 7).slice(2, 5, 12).slice(3, 2, 11);
    if (entry.kind == EntryKind::kVectorField) {
      EXPECT_TRUE(testing::near(part.data, crop, 1e-7)) << entry.name;
    } else {
      EXPECT_TRUE(at::equal(part.data, crop)) << entry.name;
    }
    EXPECT_TRUE(same_grid(part.geometry, entry.geometry.cropped(region))) << entry.name;
    EXPECT_EQ(all.size(0), entry.channels) << entry.name;
    EXPECT_TRUE(at::isfinite(all).all().item<bool>()) << entry.name;
  }
  EXPECT_NE(testing::error_message("data",
                                   [&] {
                                     dataset->read(0, "srct", {{0, 0, 30}, {1, 1, 20}});
                                   })
                .find("[30, 50)"),
            std::string::npos);
}

TEST(ImplantPhantom, ImageAndLabelShareAGridAndMriIsAnisotropic) {
  const auto dataset = phantoms();
  const SampleSpec& sample = dataset->samples()[0];
  EXPECT_TRUE(same_grid(sample.find("srct")->geometry, sample.find("label")->geometry));
  EXPECT_TRUE(same_grid(sample.find("labct")->geometry, sample.find("labct_label")->geometry));
  EXPECT_NEAR(sample.find("mri")->geometry.anisotropy(), 1.5, 1e-9);
  EXPECT_EQ(sample.find("labct")->geometry.shape, (Index3{20, 20, 20}));
  EXPECT_EQ(sample.find("followup_srct")->frame, "followup");
  EXPECT_EQ(sample.find("displacement")->target_frame, "followup");
}

TEST(ImplantPhantom, DifferentVoxelSizesShowTheSameShape) {
  const auto fine = phantoms("size: [64, 64, 64]\nspacing_mm: 0.005");
  const auto coarse = phantoms("size: [32, 32, 32]\nspacing_mm: 0.010");
  const at::Tensor picked =
      at::avg_pool3d(at::ge(read(*fine, "label"), 2).to(at::kFloat).unsqueeze(0), {2, 2, 2})
          .squeeze(0);
  EXPECT_GT(iou(picked > 0.5, read(*coarse, "label") >= 2), 0.93);
}

TEST(ImplantPhantom, ThresholdsFailOnTheDegradationLayer) {
  const auto dataset = phantoms("size: [64, 64, 64]");
  for (const char* entry : {"srct", "srct_clean"}) {
    const at::Tensor image = read(*dataset, entry);
    const at::Tensor label = read(*dataset, "label");
    const std::span<const float> values(image.data_ptr<float>(),
                                        static_cast<std::size_t>(image.numel()));
    for (const int classes : {3, 4, 5}) {
      const std::vector<std::int64_t> found =
          classify_by_thresholds(values, otsu_thresholds(values, classes));
      const at::Tensor map = at::tensor(found, at::kLong).view(label.sizes());
      // Whichever class one would call the degradation layer.
      for (std::int64_t k = 0; k < classes; ++k)
        EXPECT_LT(iou(map == k, label == 2), 0.5) << entry << ' ' << classes;
    }
  }
}

TEST(ImplantPhantom, ArtifactsKeepTheirImageRecognisable) {
  const auto dataset = phantoms("size: [64, 64, 64]");
  for (const std::string entry : {"srct", "labct", "mri"}) {
    const at::Tensor noisy = read(*dataset, entry).flatten();
    const at::Tensor clean = read(*dataset, entry + "_clean").flatten();
    EXPECT_FALSE(at::equal(noisy, clean)) << entry;
    const at::Tensor a = noisy - noisy.mean();
    const at::Tensor b = clean - clean.mean();
    const double correlation =
        ((a * b).mean() / (a.square().mean() * b.square().mean()).sqrt()).item<double>();
    EXPECT_GT(correlation, 0.75) << entry;
    EXPECT_LT(correlation, 0.999) << entry;
  }
}

TEST(ImplantPhantom, ARepeatedScanHasNoiseOfItsOwn) {
  const auto dataset = phantoms("size: [64, 64, 64]");
  const auto noiseless = phantoms("size: [64, 64, 64]\nlabct: {photons: 0.0}");
  for (const std::string entry : {"labct", "followup_labct"}) {
    const at::Tensor clean = read(*noiseless, entry).flatten();
    const at::Tensor first = read(*dataset, entry).flatten() - clean;
    const at::Tensor second = read(*dataset, entry + "_repeat").flatten() - clean;
    const double correlation =
        ((first * second).mean() / (first.square().mean() * second.square().mean()).sqrt())
            .item<double>();
    EXPECT_LT(std::abs(correlation), 0.05) << entry;
    EXPECT_NEAR(first.std().item<double>() / second.std().item<double>(), 1.0, 0.1) << entry;
  }
}

// Labels of the second time point, fetched at x + u(x) by nearest neighbour.
at::Tensor warped_back(const at::Tensor& followup,
                       const at::Tensor& displacement,
                       const Geometry& grid) {
  at::Tensor result = at::zeros_like(followup);
  const auto from = followup.accessor<std::int64_t, 4>();
  const auto u = displacement.accessor<float, 4>();
  auto to = result.accessor<std::int64_t, 4>();
  for (std::int64_t d = 0; d < grid.shape[0]; ++d) {
    for (std::int64_t h = 0; h < grid.shape[1]; ++h) {
      for (std::int64_t w = 0; w < grid.shape[2]; ++w) {
        const Eigen::Vector3d shift(u[0][d][h][w], u[1][d][h][w], u[2][d][h][w]);
        const Eigen::Vector3d x = grid.world_from_index(Eigen::Vector3d(w, h, d)) + shift;
        const Eigen::Vector3d index = grid.index_from_world(x);
        const auto near = [&](int axis) { return std::llround(index[axis]); };
        const bool inside = near(0) >= 0 && near(1) >= 0 && near(2) >= 0 &&
                            near(0) < grid.shape[2] && near(1) < grid.shape[1] &&
                            near(2) < grid.shape[0];
        if (inside) to[0][d][h][w] = from[0][near(2)][near(1)][near(0)];
      }
    }
  }
  return result;
}

TEST(ImplantPhantom, DisplacementWarpsTheSecondTimePointOntoTheFirst) {
  const auto dataset = phantoms("size: [64, 64, 64]");
  const Geometry& grid = dataset->samples()[0].find("label")->geometry;
  const at::Tensor first = read(*dataset, "label") >= 2;
  const at::Tensor second = read(*dataset, "followup_label");
  const at::Tensor back = warped_back(second, read(*dataset, "displacement"), grid) >= 2;
  EXPECT_GT(iou(back, first), 0.93);
  EXPECT_LT(iou(second >= 2, first), iou(back, first) - 0.03);
  const double residual_first = (read(*dataset, "label") == 3).sum().item<double>();
  EXPECT_LT((second == 3).sum().item<double>(), 0.9 * residual_first);
}

TEST(ImplantPhantom, LandmarksCorrespondThroughTheDisplacement) {
  const auto dataset = phantoms("size: [40, 40, 40]\nlandmarks: 50");
  const Geometry& grid = dataset->samples()[0].find("displacement")->geometry;
  const at::Tensor fixed = read(*dataset, "landmarks");
  const at::Tensor moving = read(*dataset, "followup_landmarks");
  ASSERT_EQ(fixed.sizes(), (std::vector<std::int64_t>{50, 3}));
  ASSERT_EQ(moving.sizes(), fixed.sizes());
  const at::Tensor field = read(*dataset, "displacement").to(at::kDouble);
  for (std::int64_t i = 0; i < 50; ++i) {
    const auto row = [&](const at::Tensor& t) {
      return Eigen::Vector3d(
          t[i][0].item<double>(), t[i][1].item<double>(), t[i][2].item<double>());
    };
    const Eigen::Vector3d index = grid.index_from_world(row(fixed));
    // Landmarks lie half way between two voxels: the mean of both is the linear interpolation.
    Eigen::Vector3d u = Eigen::Vector3d::Zero();
    for (const double side : {-0.25, 0.25}) {
      const Eigen::Vector3d near = (index.array() + side).round();
      for (int c = 0; c < 3; ++c)
        u[c] += 0.5 * field[c][static_cast<std::int64_t>(near[2])]
                           [static_cast<std::int64_t>(near[1])][static_cast<std::int64_t>(near[0])]
                               .item<double>();
    }
    EXPECT_LT((row(fixed) + u - row(moving)).norm(), 0.1 * grid.spacing[0]);
  }
}

TEST(ImplantPhantom, RefusesUnknownEntriesAndBadNumbers) {
  EXPECT_NE(
      testing::error_message("schema", [] { phantoms("entries: [srct, labelz]"); }).find("labelz"),
      std::string::npos);
  EXPECT_NE(testing::error_message("schema", [] { phantoms("size: [4, 64, 64]"); }).find("16"),
            std::string::npos);
  EXPECT_NE(
      testing::error_message("schema", [] { phantoms("labct: {peak_kv: 5.0}"); }).find("peak_kv"),
      std::string::npos);
  const auto dataset = phantoms("entries: [label]");
  EXPECT_NE(testing::error_message("data", [&] { dataset->read(0, "srct", {}); }).find("srct"),
            std::string::npos);
}

}  // namespace
}  // namespace triptych
