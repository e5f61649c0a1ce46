// SPDX-License-Identifier: Apache-2.0
// The real images beside the project, when they are there; expected figures are those of their
// README.
#include "framework/image/io.h"
#include "framework/image/resample.h"

#include "tests/image/sample_volumes.h"

namespace triptych {
namespace {

namespace fs = std::filesystem;

std::string data(const std::string& name) {
  return fmt::format("{}/../shared/data/{}", TRIPTYCH_SOURCE_DIR, name);
}

class RealData : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(data("README.md"))) GTEST_SKIP() << "no shared data beside the project";
  }
};

void expect_volume(const Volume& volume,
                   const Index3& size_xyz,
                   const Eigen::Vector3d& spacing,
                   at::ScalarType type,
                   const char* orientation) {
  EXPECT_EQ(volume.geometry.shape, (Index3{size_xyz[2], size_xyz[1], size_xyz[0]}));
  EXPECT_LE((volume.geometry.spacing - spacing).cwiseAbs().maxCoeff(), 2e-3)
      << volume.geometry.text();
  EXPECT_EQ(volume.data.scalar_type(), type);
  const std::string got = volume.geometry.orientation();
  EXPECT_EQ(got.substr(got.size() - 3), orientation);
  EXPECT_GT(volume.data.to(at::kDouble).std().item<double>(), 0.0);
}

TEST_F(RealData, ReadsNifti) {
  expect_volume(read_volume(data("brain_slab_multi/sub12_t1.nii.gz")),
                {217, 18, 182},
                {1, 1, 1},
                at::kByte,
                "PSR");
  expect_volume(
      read_volume(data("spine_t1_t2/t2.nii.gz")), {60, 55, 52}, {1, 1, 1}, at::kShort, "PSR");
  expect_volume(
      read_volume(data("spine_t1_t2/t1.nii.gz")), {42, 76, 77}, {1, 1, 1}, at::kShort, "RAS");
  expect_volume(read_volume(data("mouse_skull_uct/A_J.nii.gz")),
                {163, 163, 133},
                {0.1411, 0.1411, 0.1414},
                at::kByte,
                "LPS");
  expect_volume(read_volume(data("head_t1_pd/pd.nii.gz")),
                {95, 128, 54},
                {1.716, 1.719, 2.4},
                at::kByte,
                "RAS");
  expect_volume(read_volume(data("ct_abdomen_organs/ct.nii.gz")),
                {122, 101, 30},
                {3, 3, 3},
                at::kShort,
                "RAS");
}

TEST_F(RealData, ReadsLabelsOfIntegerAndFloatFiles) {
  const Volume levels = read_labels(data("spine_t1_t2/t2_cord_levels.nii.gz"));
  EXPECT_EQ(levels.data.scalar_type(), at::kLong);
  EXPECT_GT(levels.data.max().item<std::int64_t>(), 1);
  const Volume organs = read_labels(data("ct_abdomen_organs/organs.nii.gz"));
  EXPECT_TRUE(
      same_grid(organs.geometry, read_header(data("ct_abdomen_organs/ct.nii.gz")).geometry));
  const Volume tissues = read_labels(data("brain_slab_multi/sub42_seg.nii.gz"));
  EXPECT_EQ(tissues.data.max().item<std::int64_t>(), 4);
}

TEST_F(RealData, ReadsNrrdAndMetaImage) {
  const Volume tumour = read_volume(data("brain_tumour_mr/brain1_image.nrrd"));
  expect_volume(tumour, {128, 128, 25}, {1.562, 1.562, 6.5}, at::kShort, "LAS");
  EXPECT_TRUE(
      same_grid(tumour.geometry, read_labels(data("brain_tumour_mr/brain1_label.nrrd")).geometry));
  expect_volume(read_volume(data("lung_ct_pair/fixed_baseline.mha")),
                {57, 78, 64},
                {2.732, 2.732, 5},
                at::kShort,
                "LPS");
  expect_volume(read_volume(data("liver_4dmri/fixed_exhale.mha")),
                {166, 195, 25},
                {1.367, 1.367, 4},
                at::kByte,
                "LPS");
  const Volume head = read_volume(data("head_2d_pair/CT_2D_head_fixed.mha"));
  expect_volume(head, {256, 256, 1}, {1, 1, 1}, at::kShort, "LPS");
}

TEST_F(RealData, ReadsTheTiffStackWithTheSpacingBesideIt) {
  const std::string stack = data("bone_trabecular_uct/slices");
  const Volume bone = read_volume(stack);
  expect_volume(bone, {120, 120, 120}, {0.0195, 0.0195, 0.0195}, at::kByte, "LPS");
  EXPECT_TRUE(bone.geometry.spacing_known);
  EXPECT_EQ(bone.data.max().item<int>(), 255);
  const Volume slice = read_volume(stack + "/slice_0057.tif");
  EXPECT_TRUE(slice.data.select(1, 0).equal(bone.data.select(1, 57)));
  EXPECT_TRUE(
      read_region(stack, {{57, 0, 0}, {1, 120, 120}}).data.equal(bone.data.narrow(1, 57, 1)));
}

TEST_F(RealData, ReadsHdf5Tomography) {
  const std::string file = data("tomo_tooth/tooth.h5");
  const Volume projections = read_volume(file + ":/exchange/data");
  EXPECT_EQ(projections.data.sizes(), (std::vector<std::int64_t>{1, 181, 2, 640}));
  EXPECT_FALSE(projections.geometry.spacing_known);
  const Volume sinogram = read_region(file + ":/exchange/data", {{0, 1, 0}, {181, 1, 640}});
  EXPECT_TRUE(sinogram.data.equal(projections.data.narrow(2, 1, 1)));
  EXPECT_THAT(message_of([&] { read_volume(file + ":/exchange/dat"); }),
              ::testing::HasSubstr("/exchange/theta [181]"));
  EXPECT_EQ(read_volume(data("ct_metal_pair/pair_p000129.h5") + ":/three_small/metal_mask")
                .data.scalar_type(),
            at::kByte);
}

TEST_F(RealData, ReadsPictures) {
  const Volume histology = read_volume(data("histology_pair/fixed_HE.jpg"));
  EXPECT_EQ(histology.data.sizes(), (std::vector<std::int64_t>{3, 1, 733, 890}));
  EXPECT_FALSE(histology.geometry.spacing_known);
  ReadOptions grey;
  grey.color = ColorMode::kGrey;
  EXPECT_EQ(read_header(data("histology_pair/fixed_HE.jpg"), grey).channels, 1);
  EXPECT_EQ(read_volume(data("hands_xray_2d/fixed.png")).data.sizes(),
            (std::vector<std::int64_t>{1, 1, 128, 128}));
  const Volume sinogram = read_volume(data("tomo_neutron_sinogram/sinogram_360_neutron_image.tif"));
  EXPECT_EQ(sinogram.data.sizes(), (std::vector<std::int64_t>{1, 1, 459, 503}));
  EXPECT_EQ(sinogram.data.scalar_type(), at::kInt);
}

TEST_F(RealData, ConvertsToEveryFormatAndBack) {
  const TemporaryFolder folder;
  for (const char* name :
       {"spine_t1_t2/t2.nii.gz", "head_t1_pd/pd.nii.gz", "brain_tumour_mr/brain1_image.nrrd"}) {
    const Volume volume = read_volume(data(name));
    for (const char* target : {"a.nii.gz", "a.mha", "a.nrrd", "a.h5", "a.tif", "stack/"}) {
      write_volume(folder / target, volume);
      const Volume back = read_volume(folder / target);
      expect_same_data(back.data, volume.data);
      EXPECT_TRUE(same_grid(back.geometry, volume.geometry, 1e-5)) << name << " " << target;
    }
  }
}

}  // namespace
}  // namespace triptych
