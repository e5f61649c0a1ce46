// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

namespace triptych {
namespace {

using ::testing::HasSubstr;

ClassTable bone_classes() {
  return {{{0, "background", {0, 0, 0}},
           {1, "residual implant", {255, 0, 0}},
           {7, "bone", {0, 255, 51}}}};
}

Volume bone_labels() {
  Volume labels = sample_volume(at::kLong);
  labels.data.zero_();
  labels.data[0][2][3][4] = 1;
  labels.data[0][1][2].fill_(7);
  return labels;
}

TEST(SegNrrd, CarriesSlicersSegments) {
  const TemporaryFolder folder;
  write_labels(folder / "a.seg.nrrd", bone_labels(), bone_classes());
  expect_same_data(read_labels(folder / "a.seg.nrrd").data, bone_labels().data);
  const std::string text = read_file(folder / "a.seg.nrrd");
  for (const char* line : {"type: unsigned char",
                           "encoding: gzip",
                           "space: left-posterior-superior",
                           "Segmentation_SourceRepresentation:=Binary labelmap",
                           "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
                           "Segment0_Name:=residual implant",
                           "Segment0_LabelValue:=1",
                           "Segment0_Color:=1 0 0",
                           "Segment0_Extent:=4 4 3 3 2 2",
                           "Segment0_Layer:=0",
                           "Segment1_Name:=bone",
                           "Segment1_LabelValue:=7",
                           "Segment1_Color:=0 1 0.2",
                           "Segment1_Extent:=0 8 2 2 1 1"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_EQ(text.find("Segment2_"), std::string::npos);
}

TEST(SegNrrd, IsAlways3D) {
  const TemporaryFolder folder;
  Volume labels;
  labels.geometry.shape = {1, 4, 5};
  labels.data = at::zeros({1, 1, 4, 5}, at::kLong);
  write_labels(folder / "a.seg.nrrd", labels, bone_classes());
  EXPECT_THAT(read_file(folder / "a.seg.nrrd"), HasSubstr("sizes: 5 4 1\n"));
  EXPECT_THAT(read_file(folder / "a.seg.nrrd"), HasSubstr("Segment0_Extent:=0 -1 0 -1 0 -1\n"));
}

TEST(SegNrrd, RefusesValuesThatNoClassHas) {
  const TemporaryFolder folder;
  Volume labels = bone_labels();
  labels.data[0][0][0][0] = 3;
  EXPECT_THAT(message_of([&] { write_labels(folder / "a.seg.nrrd", labels, bone_classes()); }),
              HasSubstr("data: labels: expected the values 0, 1, 7, got 3"));
  ClassTable twice = bone_classes();
  twice.classes[2].value = 1;
  EXPECT_THAT(message_of([&] { write_labels(folder / "a.seg.nrrd", labels, twice); }),
              HasSubstr("expected distinct values, got 1 twice"));
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace triptych
