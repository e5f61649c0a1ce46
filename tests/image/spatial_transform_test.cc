// SPDX-License-Identifier: Apache-2.0
#include "framework/image/io.h"
#include "framework/image/point_alignment.h"
#include "framework/image/transform_io.h"

#include "tests/image/sample_volumes.h"

#include <fstream>
#include <random>

#include <Eigen/Dense>

namespace triptych {
namespace {

using ::testing::HasSubstr;

Eigen::Matrix3d rotation_by(double angle_rad) {
  return Eigen::AngleAxisd(angle_rad, Eigen::Vector3d(0.3, -1.0, 0.6).normalized())
      .toRotationMatrix();
}

AffineMap sample_affine() {
  Eigen::Matrix3d matrix;
  matrix << 1.1, 0.2, -0.1, 0.05, 0.9, 0.3, -0.2, 0.1, 1.2;
  return {matrix, {3.0, -7.0, 11.0}};
}

DisplacementField sample_field() {
  DisplacementField field{oblique_geometry({4, 5, 6}), at::empty({3, 4, 5, 6})};
  float* values = field.displacement_mm.data_ptr<float>();
  for (int i = 0; i < 360; ++i) values[i] = static_cast<float>(i % 17 - 8) * 0.25F;
  return field;
}

PointList cloud(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, 20.0);
  PointList points;
  for (int i = 0; i < count; ++i)
    points.emplace_back(normal(random), normal(random), normal(random));
  return points;
}

PointList mapped(const AffineMap& map, const PointList& points) {
  PointList result;
  for (const Eigen::Vector3d& point : points) result.push_back(map.map(point));
  return result;
}

std::string problem_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(AffineMap, InvertsAndComposes) {
  const AffineMap a = sample_affine(), b{rotation_by(0.7), {1.0, 2.0, 3.0}};
  const Eigen::Vector3d x(4.0, -5.0, 6.0);
  EXPECT_LT((a.inverse().map(a.map(x)) - x).norm(), 1e-12);
  EXPECT_LT((compose(a, b).map(x) - a.map(b.map(x))).norm(), 1e-12);
  const Eigen::Vector3d centre(7.0, 8.0, 9.0), shift(0.1, 0.2, 0.3);
  EXPECT_LT((AffineMap::about(centre, rotation_by(1.0), shift).map(centre) - centre - shift).norm(),
            1e-12);
  EXPECT_THAT(problem_of([] {
                AffineMap{Eigen::Matrix3d::Zero(), Eigen::Vector3d::Zero()}.inverse();
              }),
              HasSubstr("expected a matrix with an inverse"));
}

TEST(DisplacementField, InterpolatesBetweenVoxelsAndLeavesTheRestInPlace) {
  const DisplacementField field = sample_field();
  const Eigen::Vector3d at = field.geometry.world_from_index({2.0, 3.0, 1.0});
  const Eigen::Vector3d between = field.geometry.world_from_index({2.5, 3.0, 1.0});
  for (int c = 0; c < 3; ++c) {
    const double here = field.displacement_mm[c][1][3][2].item<double>();
    const double next = field.displacement_mm[c][1][3][3].item<double>();
    EXPECT_NEAR(field.map(at)[c] - at[c], here, 1e-9);
    EXPECT_NEAR(field.map(between)[c] - between[c], 0.5 * (here + next), 1e-9);
  }
  const Eigen::Vector3d outside = field.geometry.world_from_index({-0.6, 3.0, 1.0});
  EXPECT_EQ(field.map(outside), outside);
  const Eigen::Vector3d edge = field.geometry.world_from_index({-0.4, 3.0, 1.0});
  EXPECT_NEAR(field.map(edge)[0] - edge[0], field.displacement_mm[0][1][3][0].item<double>(), 1e-9);
}

TEST(SpatialTransform, AppliesItsStagesInOrderAndJoinsAffineOnes) {
  const AffineMap a = sample_affine(), b{rotation_by(0.4), {0.5, 0.1, -0.2}};
  const DisplacementField field = sample_field();
  const SpatialTransform chain({b, a, field, b});
  EXPECT_EQ(chain.stages().size(), 3U);
  const Eigen::Vector3d x =
      compose(a, b).inverse().map(field.geometry.world_from_index({2.3, 2.6, 1.7}));
  EXPECT_LT((chain.map(x) - b.map(field.map(a.map(b.map(x))))).norm(), 1e-9);
  const SpatialTransform twice = compose(SpatialTransform(a), SpatialTransform(b));
  EXPECT_TRUE(twice.is_affine());
  EXPECT_LT((twice.affine().map(x) - a.map(b.map(x))).norm(), 1e-9);
  EXPECT_THAT(problem_of([&] { chain.affine(); }), HasSubstr("got one with a displacement field"));
}

TEST(SpatialTransform, AsADisplacementOnAGrid) {
  const SpatialTransform chain({sample_affine(), sample_field()});
  const Geometry grid = oblique_geometry({3, 4, 5});
  const at::Tensor u = displacement_on(chain, grid);
  const Eigen::Vector3d x = grid.world_from_index({4.0, 1.0, 2.0});
  for (int c = 0; c < 3; ++c)
    EXPECT_NEAR(u[c][2][1][4].item<double>(), (chain.map(x) - x)[c], 1e-4);
}

TEST(AlignPoints, FindsExactTransforms) {
  const PointList fixed = cloud(12, 1);
  const AffineMap rigid{rotation_by(2.5), {10.0, -20.0, 30.0}};
  const AffineMap similarity{1.7 * rotation_by(0.3), {1.0, 2.0, 3.0}};
  const std::pair<PointTransform, AffineMap> cases[] = {{PointTransform::kRigid, rigid},
                                                        {PointTransform::kSimilarity, similarity},
                                                        {PointTransform::kAffine, sample_affine()}};
  for (const auto& [kind, truth] : cases) {
    const PointAlignment found = align_points(fixed, mapped(truth, fixed), {kind});
    EXPECT_LT((found.moving_from_fixed.matrix - truth.matrix).norm(), 1e-10);
    EXPECT_LT((found.moving_from_fixed.offset - truth.offset).norm(), 1e-9);
  }
}

TEST(AlignPoints, OfNoisyPointsIsTheLeastSquaresSolution) {
  const PointList fixed = cloud(30, 2), noise = cloud(30, 3);
  PointList moving = mapped({1.2 * rotation_by(0.8), {4.0, 5.0, 6.0}}, fixed);
  for (std::size_t i = 0; i < moving.size(); ++i) moving[i] += 0.1 * noise[i];
  const auto energy = [&](const AffineMap& map) {
    double sum = 0.0;
    for (std::size_t i = 0; i < fixed.size(); ++i)
      sum += (map.map(fixed[i]) - moving[i]).squaredNorm();
    return sum;
  };
  for (const PointTransform kind : {PointTransform::kRigid, PointTransform::kSimilarity}) {
    const AffineMap best = align_points(fixed, moving, {kind}).moving_from_fixed;
    EXPECT_GT(best.matrix.determinant(), 0.0);
    for (int axis = 0; axis < 3; ++axis) {
      for (const double step : {-1e-3, 1e-3}) {
        const Eigen::Matrix3d small =
            Eigen::AngleAxisd(step, Eigen::Vector3d::Unit(axis)).toRotationMatrix();
        EXPECT_LT(energy(best), energy({small * best.matrix, best.offset}));
        EXPECT_LT(energy(best),
                  energy({best.matrix, best.offset + step * Eigen::Vector3d::Unit(axis)}));
        if (kind == PointTransform::kSimilarity) {
          EXPECT_LT(energy(best), energy({(1.0 + step) * best.matrix, best.offset}));
        }
      }
    }
  }
  // Umeyama's scale agrees with Eigen's own implementation.
  Eigen::Matrix3Xd a(3, 30), b(3, 30);
  for (int i = 0; i < 30; ++i) {
    a.col(i) = fixed[static_cast<std::size_t>(i)];
    b.col(i) = moving[static_cast<std::size_t>(i)];
  }
  const Eigen::Matrix4d expected = Eigen::umeyama(a, b, true);
  const AffineMap found =
      align_points(fixed, moving, {PointTransform::kSimilarity}).moving_from_fixed;
  EXPECT_LT((found.matrix - expected.topLeftCorner<3, 3>()).norm(), 1e-9);
  EXPECT_LT((found.offset - expected.topRightCorner<3, 1>()).norm(), 1e-8);
}

TEST(AlignPoints, MakesNoMirrorImageOfPointsInAPlane) {
  PointList fixed = cloud(10, 4);
  for (Eigen::Vector3d& point : fixed) point.z() = 0.0;
  const AffineMap truth{rotation_by(1.3), {1.0, 2.0, 3.0}};
  const PointAlignment found = align_points(fixed, mapped(truth, fixed));
  EXPECT_LT((found.moving_from_fixed.matrix - truth.matrix).norm(), 1e-9);
  EXPECT_THAT(
      problem_of([&] { align_points(fixed, mapped(truth, fixed), {PointTransform::kAffine}); }),
      HasSubstr("not all in one plane"));
}

TEST(AlignPoints, LeavesOutliersOut) {
  const PointList fixed = cloud(20, 5);
  const AffineMap truth{rotation_by(0.5), {3.0, 0.0, -2.0}};
  PointList moving = mapped(truth, fixed);
  for (const std::size_t wrong : {3U, 11U, 17U})
    moving[wrong] += Eigen::Vector3d(60.0, -45.0, 30.0);
  const PointAlignment found = align_points(fixed, moving, {PointTransform::kRigid, 0.2});
  EXPECT_LT((found.moving_from_fixed.matrix - truth.matrix).norm(), 1e-9);
  EXPECT_FALSE(found.used[3] || found.used[11] || found.used[17]);
  EXPECT_NEAR(found.distances_mm[11], std::sqrt(60.0 * 60.0 + 45.0 * 45.0 + 30.0 * 30.0), 1e-6);
  const PointAlignment plain = align_points(fixed, moving);
  EXPECT_GT((plain.moving_from_fixed.offset - truth.offset).norm(), 1.0);
}

TEST(AlignPoints, RefusesListsThatDetermineNothing) {
  const PointList points = cloud(5, 6);
  EXPECT_THAT(problem_of([&] { align_points(points, cloud(4, 7)); }),
              HasSubstr("expected as many moving as fixed points (5), got 4"));
  EXPECT_THAT(problem_of([&] { align_points(cloud(2, 1), cloud(2, 1)); }),
              HasSubstr("expected at least 3 pairs, got 2"));
  PointList line;
  for (int i = 0; i < 5; ++i) line.emplace_back(i, 2.0 * i, 0.0);
  EXPECT_THAT(problem_of([&] { align_points(line, line); }), HasSubstr("not all on one line"));
}

class TransformFiles : public ::testing::TestWithParam<const char*> {};

TEST_P(TransformFiles, KeepAffineMapsAndChains) {
  const TemporaryFolder folder;
  const std::string file = folder / GetParam();
  write_transform(file, SpatialTransform(sample_affine()));
  const AffineMap read = read_transform(file).affine();
  EXPECT_LT((read.matrix - sample_affine().matrix).norm(), 1e-15);
  EXPECT_LT((read.offset - sample_affine().offset).norm(), 1e-15);
  const SpatialTransform chain(
      {AffineMap{rotation_by(0.2), {0.1, 0.2, 0.3}}, sample_field(), sample_affine()});
  write_transform(file, chain);
  const SpatialTransform again = read_transform(file);
  ASSERT_EQ(again.stages().size(), 3U);
  const Eigen::Vector3d x = sample_field().geometry.world_from_index({2.3, 2.6, 1.7});
  EXPECT_LT((again.map(x) - chain.map(x)).norm(), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(,
                         TransformFiles,
                         ::testing::Values("t.tfm", "t.h5"),
                         [](const auto& file) { return std::string(file.param).substr(2); });

TEST(TransformFile, HoldsADisplacementFieldAsAnImage) {
  const TemporaryFolder folder;
  const SpatialTransform field({sample_field()});
  for (const char* name : {"u.nii.gz", "u.mha", "u.nrrd"}) {
    write_transform(folder / name, field);
    const SpatialTransform read = read_transform(folder / name);
    const Eigen::Vector3d x = sample_field().geometry.world_from_index({2.3, 2.6, 1.7});
    EXPECT_LT((read.map(x) - field.map(x)).norm(), 1e-4) << name;
  }
  EXPECT_THAT(
      problem_of([&] { write_transform(folder / "a.nii.gz", SpatialTransform(sample_affine())); }),
      HasSubstr("an image holds a displacement field alone"));
}

TEST(TransformFile, OfTwoDimensionsLeavesZAsItIs) {
  const TemporaryFolder folder;
  const auto mapped_by = [&](const std::string& lines) {
    std::ofstream(folder / "t.tfm") << "#Insight Transform File V1.0\n#Transform 0\n" << lines;
    return read_transform(folder / "t.tfm").map({3.0, 5.0, 7.0});
  };
  const auto expect_near = [](const Eigen::Vector3d& actual, const Eigen::Vector3d& expected) {
    EXPECT_LT((actual - expected).norm(), 1e-12) << actual.transpose();
  };
  expect_near(mapped_by("Transform: AffineTransform_double_2_2\n"
                        "Parameters: 2 0.5 -1 3 10 20\nFixedParameters: 1 2\n"),
              {2 * 2 + 0.5 * 3 + 1 + 10, -1 * 2 + 3 * 3 + 2 + 20, 7.0});
  expect_near(mapped_by("Transform: Euler2DTransform_double_2_2\n"
                        "Parameters: 1.5707963267948966 10 20\nFixedParameters: 1 2\n"),
              {1 - 3 + 10, 2 + 2 + 20, 7.0});
  expect_near(mapped_by("Transform: Similarity2DTransform_double_2_2\n"
                        "Parameters: 2 1.5707963267948966 10 20\nFixedParameters: 1 2\n"),
              {1 - 6 + 10, 2 + 4 + 20, 7.0});
  expect_near(mapped_by("Transform: TranslationTransform_double_2_2\n"
                        "Parameters: 1 2\nFixedParameters:\n"),
              {4.0, 7.0, 7.0});
}

TEST(TransformFile, OfAPlaneIsWrittenInTwoDimensions) {
  const TemporaryFolder folder;
  AffineMap affine;
  affine.matrix.topLeftCorner<2, 2>() << 0.9, -0.2, 0.3, 1.1;
  affine.offset = {4.0, -2.0, 0.0};
  Geometry grid;
  grid.shape = {1, 6, 8};
  grid.spacing = {0.5, 2.0, 1.0};
  at::Tensor field = at::rand({3, 1, 6, 8});
  field[2].zero_();
  const SpatialTransform chain({DisplacementField{grid, field}, affine});
  for (const char* name : {"t.h5", "t.tfm"}) {
    write_transform(folder / name, chain, TransformSpace::kPlane);
    const SpatialTransform read = read_transform(folder / name);
    for (const Eigen::Vector3d& point :
         {Eigen::Vector3d(0.7, 3.3, 0.0), Eigen::Vector3d(3.0, 8.0, 0.0)})
      EXPECT_LT((read.map(point) - chain.map(point)).norm(), 1e-9);
  }
  std::ifstream text(folder / "t.tfm");
  const std::string content{std::istreambuf_iterator<char>(text), {}};
  EXPECT_THAT(content, HasSubstr("CompositeTransform_double_2_2"));
  EXPECT_THAT(content, ::testing::Not(HasSubstr("_3_3")));
  affine.offset.z() = 1.0;  // leaves the plane
  write_transform(folder / "u.tfm", SpatialTransform(affine), TransformSpace::kPlane);
  EXPECT_EQ(read_transform(folder / "u.tfm").affine().offset.z(), 1.0);
}

TEST(TransformFile, SaysWhatIsNotUnderstood) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& text) {
    std::ofstream(folder / "t.tfm") << text;
    return problem_of([&] { read_transform(folder / "t.tfm"); });
  };
  const std::string header = "#Insight Transform File V1.0\n#Transform 0\n";
  EXPECT_THAT(problem("hello\n"), HasSubstr("expected the first line '#Insight Transform File"));
  EXPECT_THAT(problem(header), HasSubstr("expected a transform, got none"));
  EXPECT_THAT(problem(header + "Transform: BSplineTransform_double_3_3\n"),
              HasSubstr("a transform of type BSplineTransform_double_3_3 is not understood"));
  EXPECT_THAT(problem(header + "Transform: Euler2DTransform_double_2_2\n"),
              HasSubstr("expected 3 parameters of Euler2DTransform_double_2_2, got 0"));
  EXPECT_THAT(problem(header + "Transform: AffineTransform_double_4_4\n"),
              HasSubstr("expected a transform in two or three dimensions"));
  EXPECT_THAT(problem(header + "Transform: AffineTransform_double_3_3\nParameters: 1 2 3\n"),
              HasSubstr("expected 12 parameters of AffineTransform_double_3_3, got 3"));
  EXPECT_THAT(problem(header + "Transform: AffineTransform_double_3_3\nParameters: 1 x 3\n"),
              HasSubstr(":4: expected numbers, got 'x 3'"));
  const std::string affine = header + "Transform: AffineTransform_double_3_3\nParameters: ";
  EXPECT_THAT(problem(affine + "1 0 0 0 nan 0 0 0 1 0 0 0\n"),
              HasSubstr("expected finite numbers"));
  EXPECT_THAT(problem(affine + "1 0 0 0 1 0 0 0 0 0 0 0\n"),
              HasSubstr("t.tfm: expected a matrix with an inverse"));
  EXPECT_THAT(problem_of([&] { read_transform(folder / "t.csv"); }),
              HasSubstr("expected a transform (.h5, .tfm, .txt) or a displacement image"));
}

}  // namespace
}  // namespace triptych
