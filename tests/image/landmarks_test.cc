// SPDX-License-Identifier: Apache-2.0
#include "framework/image/landmarks.h"

#include "tests/image/sample_volumes.h"

#include <fstream>

namespace triptych {
namespace {

using ::testing::HasSubstr;

const Landmarks kPoints = {{"first", {1.5, -2.25, 3.0}}, {"a, b", {-1e-3, 4.0, 1234.5678}}};

void expect_positions(const Landmarks& actual,
                      const Landmarks& expected,
                      double tolerance_mm = 1e-12) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_LT((actual[i].position_mm - expected[i].position_mm).norm(), tolerance_mm) << i;
}

std::string landmark_problem(const std::string& file) {
  try {
    read_landmarks(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LandmarkFiles, KeepPositionsAndLabels) {
  const TemporaryFolder folder;
  for (const char* name : {"p.csv", "p.json", "p.mrk.json", "p.vtk"}) {
    write_landmarks(folder / name, kPoints);
    const Landmarks read = read_landmarks(folder / name);
    expect_positions(read, kPoints);
    EXPECT_EQ(read[1].label, std::string(name) == "p.vtk" ? "" : "a, b") << name;
  }
  write_landmarks(folder / "p.fcsv", {kPoints[0]});
  expect_positions(read_landmarks(folder / "p.fcsv"), {kPoints[0]});
  EXPECT_EQ(read_landmarks(folder / "p.fcsv")[0].label, "first");
  EXPECT_THROW(write_landmarks(folder / "p.xyz", kPoints), Error);
}

TEST(LandmarkFiles, MayHoldPixelsOfAnImage) {
  const TemporaryFolder folder;
  Geometry image;
  image.shape = {1, 20, 30};
  image.spacing = {0.5, 2.0, 1.0};
  image.origin = {10.0, 20.0, 0.0};
  std::ofstream(folder / "pixels.csv") << "id,col_px,row_px\n1,4,3\n";
  expect_positions(read_landmarks(folder / "pixels.csv", image), {{"1", {12.0, 26.0, 0.0}}});
  std::ofstream(folder / "flat.csv") << ",X,Y\n7,4,3\n";
  expect_positions(read_landmarks(folder / "flat.csv", image), {{"7", {4.0, 3.0, 0.0}}});
  EXPECT_EQ(read_landmarks(folder / "flat.csv", image)[0].label, "7");
  std::ofstream(folder / "voxels.csv") << "i_vox,j_vox,k_vox\n4,3,0\n";
  expect_positions(read_landmarks(folder / "voxels.csv", image), {{"", {12.0, 26.0, 0.0}}});
  EXPECT_THROW(read_landmarks(folder / "flat.csv"), Error);
}

TEST(LandmarkFiles, OfSlicerInRasAreTurned) {
  const TemporaryFolder folder;
  std::ofstream(folder / "old.fcsv")
      << "# Markups fiducial file version = 4.6\n# CoordinateSystem = 0\n"
         "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
         "vtkMRMLMarkupsFiducialNode_0,1,2,3,0,0,0,1,1,1,0,F-1,,\n";
  const Landmarks fiducials = read_landmarks(folder / "old.fcsv");
  expect_positions(fiducials, {{"", {-1.0, -2.0, 3.0}}});
  EXPECT_EQ(fiducials[0].label, "F-1");
  std::ofstream(folder / "ras.mrk.json")
      << R"({"markups": [{"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [
            {"label": "L", "position": [1, 2, 3], "positionStatus": "defined"},
            {"label": "M", "position": [0, 0, 0], "positionStatus": "undefined"}]}]})";
  expect_positions(read_landmarks(folder / "ras.mrk.json"), {{"", {-1.0, -2.0, 3.0}}});
}

TEST(LandmarkFiles, OfVtkMayBeBinary) {
  const TemporaryFolder folder;
  std::ofstream stream(folder / "b.vtk", std::ios::binary);
  stream << "# vtk DataFile Version 3.0\nx\nBINARY\nDATASET POLYDATA\nPOINTS 1 float\n";
  const unsigned char bytes[] = {0x3f, 0xc0, 0, 0, 0xc0, 0x10, 0, 0, 0x40, 0x40, 0, 0};
  stream.write(reinterpret_cast<const char*>(bytes), sizeof(bytes));
  stream.close();
  expect_positions(read_landmarks(folder / "b.vtk"), {{"", {1.5, -2.25, 3.0}}});
}

TEST(LandmarkFiles, SayWhereTheyAreWrong) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return landmark_problem(folder / name);
  };
  EXPECT_THAT(problem("a.csv", "x,y,z\n1,2,3\n1,two,3\n"),
              HasSubstr(":3: expected a coordinate in mm, got 'two'"));
  EXPECT_THAT(problem("b.csv", "x,y\n1,2\n"), HasSubstr("expected columns x, y, z or x_lps_mm"));
  EXPECT_THAT(problem("c.json", "{\"markups\": []}"), HasSubstr("expected Slicer markups"));
  EXPECT_THAT(problem("cut.json", "{\"markups\": [{"), HasSubstr("got an error at byte"));
  EXPECT_THAT(problem("d.fcsv", "# CoordinateSystem = IJK\n1,2,3,4\n"),
              HasSubstr("expected the coordinate system LPS or RAS, got 'IJK'"));
  EXPECT_THAT(problem("e.vtk",
                      "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\n"
                      "POINTS 1000000000000 float\n1 2 3\n"),
              HasSubstr("ends before its"));
}

TEST(RealLandmarks, AgreeBetweenTheFilesOfOneScan) {
  const std::filesystem::path data =
      std::filesystem::path(TRIPTYCH_SOURCE_DIR).parent_path() / "shared" / "data";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "no development data";
  const Landmarks markups = read_landmarks(data / "mouse_skull_uct" / "A_J.mrk.json");
  const Landmarks table = read_landmarks(data / "mouse_skull_uct" / "A_J_landmarks.csv");
  ASSERT_EQ(markups.size(), 45U);
  expect_positions(markups, table, 1e-4);  // the table has four decimals
  const Landmarks vtk = read_landmarks(data / "liver_4dmri" / "fixed_exhale_landmarks_liver.vtk");
  EXPECT_EQ(vtk.size(), 32U);
  EXPECT_LT((vtk[1].position_mm - Eigen::Vector3d(135.397, 170.131, 84.0)).norm(), 1e-9);
}

}  // namespace
}  // namespace triptych
