// SPDX-License-Identifier: Apache-2.0
// reconstruct with trained networks, with metal and of fan beams; evaluate kind=images.
#include "framework/image/io.h"
#include "framework/ops/ct_scan.h"

#include "tests/app/program.h"
#include "tests/support/reconstruction_batch.h"

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::Finished;
using testing::fresh_folder;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_program;

void write_grid(const fs::path& file, const at::Tensor& image, double spacing_mm = 1.0) {
  Volume volume{image.unsqueeze(0), {}, "", {}};
  volume.geometry.shape = {image.size(0), image.size(1), image.size(2)};
  volume.geometry.spacing.setConstant(spacing_mm);
  const at::Tensor edge = at::tensor({image.size(2), image.size(1)}, at::kDouble).sub(1).mul(-0.5);
  volume.geometry.origin = {
      edge[0].item<double>() * spacing_mm, edge[1].item<double>() * spacing_mm, 0.0};
  write_volume(file.string(), volume);
}

/// Folder with truth.mha (two slices of the disc), metal.mha and their scans as sinograms of line
/// integrals [row, angle, column]: parallel.mha, metal_scan.mha and fan.mha.
class LearnedReconstructionProgram : public ::testing::Test {
 protected:
  static constexpr std::int64_t kViews = 48;

  static void SetUpTestSuite() {
    folder_ = fresh_folder("learned_reconstruction");
    const at::Tensor truth = testing::disc_with_metal(false)[0][0].repeat({2, 1, 1});
    const at::Tensor metal =
        (testing::disc_with_metal(true)[0][0] > 1.0).to(at::kFloat).repeat({2, 1, 1});
    write_grid(folder_ / "truth.mha", truth);
    write_grid(folder_ / "metal.mha", metal);
    write_scan("parallel", {truth, {}}, {.columns = 47, .views = kViews});
    write_scan("metal_scan", {truth, metal}, {.columns = 47, .views = kViews, .peak_kv = 100.0});
    write_scan("fan",
               {truth, {}},
               {.beam = ScanGeometry::Beam::kFanFlat,
                .source_to_axis_mm = 100.0,
                .source_to_detector_mm = 200.0,
                .columns = 49,
                .column_spacing_mm = 2.0,
                .views = kViews,
                .arc_deg = 360.0});
    for (const auto& [name, head] :
         {std::pair{"gradient", "learned_gradient"}, {"metal", "metal_prior"}})
      train(name, head);
  }

  /// A folder of one sinogram a row.
  static void write_scan(const std::string& name, const ScannedObject& object, const CtScan& scan) {
    const SimulatedScan measured =
        simulate_projections(object, SliceGrid::centred(32, 32), scan, RandomStream(1));
    fs::create_directories(folder_ / name);
    for (std::int64_t row = 0; row < measured.projections.size(0); ++row) {
      Volume picture{
          measured.projections[row].contiguous().view({1, 1, measured.projections.size(1), -1}),
          {},
          "",
          {}};
      picture.geometry.shape = {1, measured.projections.size(1), measured.projections.size(2)};
      picture.geometry.spacing_known = false;
      write_volume((folder_ / name / fmt::format("row_{}.tif", row)).string(), picture);
    }
  }

  static void train(const std::string& name, const std::string& head) {
    std::vector<std::string> words = {"train",
                                      "experiment=reconstruction_sparse",
                                      "head@tasks.reconstruction.head=" + head,
                                      "datasets.shapes.size=[1,32,32]",
                                      "datasets.shapes.train=4",
                                      "datasets.shapes.validation=1",
                                      "trainer.max_steps=2",
                                      "trainer.validate_every=2",
                                      "backbone.width=4",
                                      "backbone.depth=2",
                                      "threads=1",
                                      "hydra.run.dir=" + (folder_ / name).string()};
    if (head == "learned_gradient") {
      words.insert(words.end(),
                   {"tasks.reconstruction.head.iterations=2", "tasks.reconstruction.head.width=4"});
    } else {
      words.insert(words.end(),
                   {"stems=convolution",
                    "+tasks.reconstruction.roles.metal=label",
                    "+tasks.reconstruction.transforms.0.metal_output=[metal]",
                    "+tasks.reconstruction.transforms.0.metal_count=[1,1]"});
    }
    const Finished finished = run_program(words, folder_);
    ASSERT_EQ(finished.code, 0) << finished.err;
  }

  static Finished reconstruct(std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"reconstruct",
                  "layout=sinogram",
                  "values=line_integrals",
                  "pixel_size_mm=1.0",
                  "centre=23",
                  fmt::format("angles=[0,{}]", 180.0 * (kViews - 1) / kViews),
                  "size=32"});
    return run_program(words, folder_);
  }
  /// Error outside of the metal of a result, by `evaluate`.
  static double rmse(const std::string& file, bool outside = false) {
    const Finished finished = run_program({"evaluate",
                                           "kind=images",
                                           "input.prediction=" + file,
                                           "input.reference=truth.mha",
                                           "input.mask=metal.mha"},
                                          folder_);
    EXPECT_EQ(finished.code, 0) << finished.err;
    const auto line = finished.out.find(outside ? "outside" : "all");
    const std::string row = finished.out.substr(line, finished.out.find('\n', line) - line);
    return std::stod(row.substr(row.find_last_of(' ')));
  }
  static fs::path folder_;
};
fs::path LearnedReconstructionProgram::folder_;

TEST_F(LearnedReconstructionProgram, GoesThroughTheTrainedHead) {
  const Finished plain = reconstruct({"input.projections=parallel", "output=fbp.mha"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  const Finished learned = reconstruct(
      {"input.projections=parallel", "output=learned.mha", "method=learned", "run=gradient"});
  ASSERT_EQ(learned.code, 0) << learned.err;
  // Two steps of training change little, but something.
  EXPECT_LT(rmse("learned.mha"), 1.5 * rmse("fbp.mha"));
  const at::Tensor a = read_volume((folder_ / "learned.mha").string()).data;
  const at::Tensor b = read_volume((folder_ / "fbp.mha").string()).data;
  EXPECT_FALSE(at::allclose(a, b, 0.0, 1e-4));
  EXPECT_TRUE(at::allclose(a.select(1, 0), a.select(1, 1), 1e-4, 1e-5));
}

TEST_F(LearnedReconstructionProgram, GivesEqualSlicesWhateverTheMemory) {
  for (const char* memory : {"1GB", "1KB"}) {
    const Finished finished = reconstruct({"input.projections=parallel",
                                           fmt::format("output={}.mha", memory),
                                           "method=learned",
                                           "run=gradient",
                                           fmt::format("memory={}", memory)});
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  EXPECT_TRUE(at::allclose(read_volume((folder_ / "1GB.mha").string()).data,
                           read_volume((folder_ / "1KB.mha").string()).data,
                           1e-5,
                           1e-6));
}

TEST_F(LearnedReconstructionProgram, ReducesMetal) {
  for (const char* metal : {"none", "li", "nmar"}) {
    const Finished finished = reconstruct({"input.projections=metal_scan",
                                           "input.metal=metal.mha",
                                           fmt::format("output=metal_{}.mha", metal),
                                           fmt::format("metal={}", metal)});
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  EXPECT_LT(rmse("metal_li.mha", true), 0.5 * rmse("metal_none.mha", true));
  EXPECT_LT(rmse("metal_nmar.mha", true), 0.5 * rmse("metal_none.mha", true));
  const Finished learned = reconstruct({"input.projections=metal_scan",
                                        "input.metal=metal.mha",
                                        "output=metal_learned.mha",
                                        "method=learned",
                                        "run=metal"});
  ASSERT_EQ(learned.code, 0) << learned.err;
  EXPECT_LT(rmse("metal_learned.mha", true), 0.7 * rmse("metal_none.mha", true));
}

TEST_F(LearnedReconstructionProgram, TakesFansAndSomeOfTheViews) {
  const Finished fan = reconstruct({"input.projections=fan",
                                    "output=fan.mha",
                                    "beam=fan_flat",
                                    "source_to_axis_mm=100",
                                    "source_to_detector_mm=200",
                                    "pixel_size_mm=2.0",
                                    "centre=auto",
                                    fmt::format("angles=[0,{}]", 360.0 * (kViews - 1) / kViews)});
  ASSERT_EQ(fan.code, 0) << fan.err;
  // Rows are a detector pixel apart, so that the grids differ along z.
  const at::Tensor slices = read_volume((folder_ / "fan.mha").string()).data[0];
  const at::Tensor truth = read_volume((folder_ / "truth.mha").string()).data[0];
  EXPECT_LT((slices - truth).square().mean().sqrt().item<double>(), 0.03);
  for (const char* views : {"[0,47]", "[0,47,4]"}) {
    const Finished part = reconstruct(
        {"input.projections=parallel", "output=views.mha", fmt::format("views={}", views)});
    ASSERT_EQ(part.code, 0) << part.err;
    EXPECT_THAT(part.err, HasSubstr("48 projections"));
  }
  EXPECT_GT(rmse("views.mha"), 0.02);
}

TEST_F(LearnedReconstructionProgram, RefusesWhatDoesNotFit) {
  const auto failure = [](const std::vector<std::string>& words) {
    const Finished finished = reconstruct(words);
    EXPECT_NE(finished.code, 0);
    EXPECT_FALSE(fs::exists(folder_ / "x.mha"));
    return finished.err;
  };
  EXPECT_THAT(
      failure({"input.projections=metal_scan", "output=x.mha", "method=learned", "run=metal"}),
      HasSubstr("needs the mask of the metal"));
  EXPECT_THAT(
      failure({"input.projections=parallel", "output=x.mha", "method=learned", "run=nothing"}),
      HasSubstr("nothing"));
  EXPECT_THAT(failure({"input.projections=metal_scan",
                       "input.metal=metal.mha",
                       "output=x.mha",
                       "metal=li",
                       "size=40"}),
              HasSubstr("has 2 x 32 x 32 voxels, expected 2 x 40 x 40"));
  const auto masked = [&](const at::Tensor& mask) {
    write_grid(folder_ / "mask.mha", mask);
    return failure(
        {"input.projections=metal_scan", "input.metal=mask.mha", "output=x.mha", "metal=li"});
  };
  EXPECT_THAT(masked(at::full({2, 32, 32}, -1000.0)), HasSubstr("100 % of slice 0 are metal"));
  EXPECT_THAT(masked(at::full({2, 32, 32}, std::nan(""))), HasSubstr("expected finite values"));
  const Finished predicted =
      run_program({"predict", "run=gradient", "input.image=truth.mha", "output=x.mha"}, folder_);
  EXPECT_THAT(predicted.err, HasSubstr("`triptych reconstruct method=learned run=<run>`"));
  const Finished constant = run_program(
      {"evaluate", "kind=images", "input.prediction=truth.mha", "input.reference=flat.mha"},
      (write_grid(folder_ / "flat.mha", at::ones({2, 32, 32})), folder_));
  EXPECT_THAT(constant.err, HasSubstr("flat.mha: expected a reference with contrast"));
  const Finished unknown = run_program({"evaluate",
                                        "kind=images",
                                        "input.prediction=truth.mha",
                                        "input.reference=truth.mha",
                                        "input.msk=truth.mha"},
                                       folder_);
  EXPECT_THAT(unknown.err, HasSubstr("got input.msk"));
  const Finished undefined = run_program(
      {"evaluate", "kind=images", "input.prediction=mask.mha", "input.reference=truth.mha"},
      folder_);
  EXPECT_THAT(undefined.err, HasSubstr("mask.mha: expected finite values"));
}

TEST_F(LearnedReconstructionProgram, SaysWhenAMaskOfMetalChangesNothing) {
  write_grid(folder_ / "empty.mha", at::zeros({2, 32, 32}));
  const auto log = [](const std::string& mask, const std::string& metal) {
    const Finished finished = reconstruct({"input.projections=metal_scan",
                                           "input.metal=" + mask,
                                           "output=unchanged.mha",
                                           "metal=" + metal});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return finished.err;
  };
  EXPECT_THAT(log("metal.mha", "none"), HasSubstr("input.metal was not used"));
  EXPECT_THAT(log("empty.mha", "li"), HasSubstr("has no metal in these slices"));
  const std::string used = log("metal.mha", "li");
  EXPECT_THAT(used, Not(HasSubstr("was not used")));
  EXPECT_THAT(used, Not(HasSubstr("has no metal")));
}

TEST_F(LearnedReconstructionProgram, IsComparedByVoxelWhereFilesStateOtherPositionsOnDemand) {
  write_grid(folder_ / "elsewhere.mha", at::rand({2, 32, 32}), 0.5);
  std::vector<std::string> words = {
      "evaluate", "kind=images", "input.prediction=elsewhere.mha", "input.reference=truth.mha"};
  EXPECT_THAT(run_program(words, folder_).err, HasSubstr("expected the same grid, got spacing"));
  words.push_back("ignore_positions=true");
  EXPECT_EQ(run_program(words, folder_).code, 0);
  write_grid(folder_ / "smaller.mha", at::rand({2, 31, 32}));
  words[2] = "input.prediction=smaller.mha";
  EXPECT_THAT(run_program(words, folder_).err, HasSubstr("expected the same grid, got size"));
}

}  // namespace
}  // namespace triptych
