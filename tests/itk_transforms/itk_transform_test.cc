// SPDX-License-Identifier: Apache-2.0
// ITK's own transforms and readers as the reference for ours.
#include "framework/image/transform_io.h"

#include "tests/image/sample_volumes.h"

#include <Eigen/Dense>                  // before ITK, whose own older copy must not mix with it
#undef ITK_IO_FACTORY_REGISTER_MANAGER  // the factories are registered by hand
#include <itkAffineTransform.h>
#include <itkCompositeTransform.h>
#include <itkDisplacementFieldTransform.h>
#include <itkEuler3DTransform.h>
#include <itkHDF5TransformIOFactory.h>
#include <itkImageFileReader.h>
#include <itkNiftiImageIO.h>
#include <itkQuaternionRigidTransform.h>
#include <itkScaleTransform.h>
#include <itkSimilarity3DTransform.h>
#include <itkTransformFileReader.h>
#include <itkTransformFileWriter.h>
#include <itkTranslationTransform.h>
#include <itkTxtTransformIOFactory.h>
#include <itkVersorRigid3DTransform.h>

namespace triptych {
namespace {

using ItkTransform = itk::Transform<double, 3, 3>;
using FieldTransform = itk::DisplacementFieldTransform<double, 3>;
using ItkField = FieldTransform::DisplacementFieldType;

itk::Point<double, 3> itk_point(double x, double y, double z) {
  const double values[] = {x, y, z};
  return itk::Point<double, 3>(values);
}

itk::Vector<double, 3> itk_vector(double x, double y, double z) {
  const double values[] = {x, y, z};
  return itk::Vector<double, 3>(values);
}

void register_factories() {
  static const bool once = [] {
    itk::HDF5TransformIOFactory::RegisterOneFactory();
    itk::TxtTransformIOFactory::RegisterOneFactory();
    return true;
  }();
  static_cast<void>(once);
}

ItkTransform::Pointer read_with_itk(const std::string& file) {
  register_factories();
  const auto reader = itk::TransformFileReaderTemplate<double>::New();
  reader->SetFileName(file);
  reader->Update();
  return dynamic_cast<ItkTransform*>(reader->GetTransformList()->front().GetPointer());
}

void write_with_itk(const std::string& file, const ItkTransform* transform) {
  register_factories();
  const auto writer = itk::TransformFileWriterTemplate<double>::New();
  writer->SetFileName(file);
  writer->SetInput(transform);
  writer->Update();
}

Eigen::Vector3d mapped_by(const ItkTransform& transform, const Eigen::Vector3d& x) {
  const auto y = transform.TransformPoint(itk::Point<double, 3>(x.data()));
  return {y[0], y[1], y[2]};
}

double displacement_at(int x, int y, int z, int c) {
  return 0.3 * x - 0.2 * y * z + 0.7 * c - 0.1 * x * c;
}

DisplacementField wavy_field() {
  DisplacementField field{oblique_geometry({4, 5, 6}), at::empty({3, 4, 5, 6}, at::kDouble)};
  auto values = field.displacement_mm.accessor<double, 4>();
  for (int z = 0; z < 4; ++z) {
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 6; ++x) {
        for (int c = 0; c < 3; ++c) values[c][z][y][x] = displacement_at(x, y, z, c);
      }
    }
  }
  return field;
}

FieldTransform::Pointer itk_field_transform() {
  const Geometry geometry = wavy_field().geometry;
  const auto image = ItkField::New();
  image->SetRegions(ItkField::SizeType{{6, 5, 4}});
  image->SetSpacing(geometry.spacing.data());
  image->SetOrigin(geometry.origin.data());
  ItkField::DirectionType direction;
  for (int i = 0; i < 9; ++i) direction(i / 3, i % 3) = geometry.direction(i / 3, i % 3);
  image->SetDirection(direction);
  image->Allocate();
  for (int z = 0; z < 4; ++z) {
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 6; ++x) {
        ItkField::PixelType vector;
        for (int c = 0; c < 3; ++c) vector[c] = displacement_at(x, y, z, c);
        image->SetPixel({{x, y, z}}, vector);
      }
    }
  }
  const auto transform = FieldTransform::New();
  transform->SetDisplacementField(image);
  return transform;
}

/// Positions inside, at the rim and outside of the field's grid.
std::vector<Eigen::Vector3d> probe_positions() {
  const Geometry geometry = wavy_field().geometry;
  std::vector<Eigen::Vector3d> result;
  for (const Eigen::Vector3d& index : {Eigen::Vector3d(2.3, 3.1, 1.6),
                                       Eigen::Vector3d(0.2, 0.3, 2.9),
                                       Eigen::Vector3d(-0.3, 2.0, 1.0),
                                       Eigen::Vector3d(5.4, 4.2, 3.3),
                                       Eigen::Vector3d(-0.7, 2.0, 1.0),
                                       Eigen::Vector3d(9.0, 9.0, 9.0)})
    result.push_back(geometry.world_from_index(index));
  return result;
}

void expect_equal(const SpatialTransform& ours, const ItkTransform& theirs, double tolerance_mm) {
  for (const Eigen::Vector3d& x : probe_positions())
    EXPECT_LT((ours.map(x) - mapped_by(theirs, x)).norm(), tolerance_mm) << x.transpose();
}

template <class Rotating>
typename Rotating::Pointer rotated_transform(double angle_rad) {
  const auto transform = Rotating::New();
  transform->SetCenter(itk_point(3.0, -4.0, 5.0));
  itk::Versor<double> versor;
  versor.Set(itk_vector(0.3, -0.5, 0.8), angle_rad);
  transform->SetRotation(versor);
  transform->SetTranslation(itk_vector(1.0, 2.0, -3.0));
  return transform;
}

std::vector<ItkTransform::Pointer> linear_transforms() {
  std::vector<ItkTransform::Pointer> list;
  const auto affine = itk::AffineTransform<double, 3>::New();
  affine->SetCenter(itk_point(10.0, 20.0, 30.0));
  affine->Rotate3D(itk_vector(1.0, 2.0, 3.0), 0.4);
  affine->Shear(0, 1, 0.2);
  affine->Translate(itk_vector(1.0, -2.0, 3.0));
  list.emplace_back(affine);
  for (const bool zyx : {false, true}) {
    const auto euler = itk::Euler3DTransform<double>::New();
    euler->SetComputeZYX(zyx);
    euler->SetCenter(itk_point(1.0, 2.0, 3.0));
    euler->SetRotation(0.3, -0.5, 0.7);
    euler->SetTranslation(itk_vector(4.0, 5.0, 6.0));
    list.emplace_back(euler);
  }
  list.emplace_back(rotated_transform<itk::VersorRigid3DTransform<double>>(0.9));
  const auto similarity = rotated_transform<itk::Similarity3DTransform<double>>(0.4);
  similarity->SetScale(1.3);
  list.emplace_back(similarity);
  const auto quaternion = itk::QuaternionRigidTransform<double>::New();
  quaternion->SetRotation(vnl_quaternion<double>(vnl_vector_fixed<double, 3>(0.6, 0.0, 0.8), 0.7));
  quaternion->SetTranslation(itk_vector(1.0, 2.0, 3.0));
  list.emplace_back(quaternion);
  const auto translation = itk::TranslationTransform<double, 3>::New();
  translation->Translate(itk_vector(1.5, 2.5, -3.5));
  list.emplace_back(translation);
  const auto scale = itk::ScaleTransform<double, 3>::New();
  scale->SetCenter(itk_point(1.0, 2.0, 3.0));
  scale->SetScale(itk::FixedArray<double, 3>(1.1));
  list.emplace_back(scale);
  return list;
}

class ItkTransformFile : public ::testing::TestWithParam<const char*> {};

TEST_P(ItkTransformFile, ThatItkWroteMapsAlike) {
  const TemporaryFolder folder;
  for (const auto& transform : linear_transforms()) {
    write_with_itk(folder / GetParam(), transform);
    SCOPED_TRACE(transform->GetNameOfClass());
    expect_equal(read_transform(folder / GetParam()), *transform, 1e-9);
  }
  const auto composite = itk::CompositeTransform<double, 3>::New();
  composite->AddTransform(linear_transforms().front());
  composite->AddTransform(itk_field_transform());
  write_with_itk(folder / GetParam(), composite);
  expect_equal(read_transform(folder / GetParam()), *composite, 1e-5);
}

TEST_P(ItkTransformFile, ThatWeWriteMapsAlikeInItk) {
  const TemporaryFolder folder;
  Eigen::Matrix3d matrix;
  matrix << 1.1, 0.2, -0.1, 0.05, 0.9, 0.3, -0.2, 0.1, 1.2;
  const AffineMap affine{matrix, {3.0, -7.0, 11.0}};
  const SpatialTransform chains[] = {
      SpatialTransform(affine),
      SpatialTransform({wavy_field()}),
      SpatialTransform({wavy_field(), affine}),
      SpatialTransform({AffineMap{matrix, Eigen::Vector3d::Zero()}, wavy_field(), affine})};
  for (const SpatialTransform& chain : chains) {
    write_transform(folder / GetParam(), chain);
    expect_equal(chain, *read_with_itk(folder / GetParam()), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(,
                         ItkTransformFile,
                         ::testing::Values("t.tfm", "t.h5"),
                         [](const auto& file) { return std::string(file.param).substr(2); });

TEST(DisplacementImage, IsAVectorImageToItk) {
  const TemporaryFolder folder;
  const DisplacementField field = wavy_field();
  write_transform(folder / "u.nii.gz", SpatialTransform({field}));
  const auto io = itk::NiftiImageIO::New();
  const auto reader = itk::ImageFileReader<ItkField>::New();
  reader->SetImageIO(io);
  reader->SetFileName(folder / "u.nii.gz");
  reader->Update();
  const auto transform = FieldTransform::New();
  transform->SetDisplacementField(reader->GetOutput());
  expect_equal(SpatialTransform({field}), *transform, 1e-4);
  // 1007 (vector) and not 1006 (displacement), whose x and y ITK 5.4 turns.
  std::string intent;
  itk::ExposeMetaData<std::string>(io->GetMetaDataDictionary(), "intent_code", intent);
  EXPECT_EQ(intent, "1007");
}

TEST(ItkTransforms, ReadsOursOfAPlaneInTwoDimensions) {
  register_factories();
  AffineMap affine;
  affine.matrix.topLeftCorner<2, 2>() << 0.9, -0.2, 0.3, 1.1;
  affine.offset = {4.0, -2.0, 0.0};
  Geometry grid;
  grid.shape = {1, 6, 8};
  grid.spacing = {0.5, 2.0, 1.0};
  grid.origin = {1.0, -3.0, 0.0};
  at::Tensor field = at::arange(144, at::kFloat).sin().view({3, 1, 6, 8});
  field[2].zero_();
  const SpatialTransform chain({DisplacementField{grid, field}, affine});
  const TemporaryFolder folder;
  for (const char* name : {"plane.h5", "plane.tfm"}) {
    write_transform(folder / name, chain, TransformSpace::kPlane);
    const auto reader = itk::TransformFileReaderTemplate<double>::New();
    reader->SetFileName(folder / name);
    reader->Update();
    const auto* theirs = dynamic_cast<const itk::Transform<double, 2, 2>*>(
        reader->GetTransformList()->front().GetPointer());
    ASSERT_NE(theirs, nullptr) << name;
    for (const Eigen::Vector3d& point :
         {Eigen::Vector3d(1.7, 0.3, 0.0), Eigen::Vector3d(4.0, 5.0, 0.0)}) {
      const double position[] = {point.x(), point.y()};
      const auto mapped = theirs->TransformPoint(itk::Point<double, 2>(position));
      const Eigen::Vector3d ours = chain.map(point);
      EXPECT_NEAR(mapped[0], ours.x(), 1e-6) << name;
      EXPECT_NEAR(mapped[1], ours.y(), 1e-6) << name;
    }
  }
}

}  // namespace
}  // namespace triptych
