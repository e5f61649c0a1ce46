// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"

#include <string>

namespace triptych {

/// Dimensions of the images that a transform is for.
enum class TransformSpace {
  kVolume,
  kPlane,  ///< 2D, where the transform leaves z as it is
};

/// Reads a transform that ITK, Slicer, SimpleITK, ANTs or elastix wrote: .tfm or .txt (Insight
/// Transform File), .h5 or .hdf5 (ITK's HDF5 layout), or an image of three components as a
/// displacement field (.nii.gz, .mha, .nrrd, ...).
///
/// Known types, in single and double precision and 3D: Identity, Translation, Affine,
/// MatrixOffsetTransformBase, Euler3D, VersorRigid3D, Similarity3D, QuaternionRigid, Scale,
/// DisplacementField and Composite ones of these, whose last part is applied first; in 2D Identity,
/// Translation, Affine, MatrixOffsetTransformBase, Scale, Euler2D, Rigid2D, Similarity2D,
/// DisplacementField and Composite, which leave z as it is. Throws io_error for a file that cannot
/// be read and data_error, naming the file and the type, for one that is not understood. `space`
/// receives what the file is for.
SpatialTransform read_transform(const std::string& file, TransformSpace* space = nullptr);

/// Writes .tfm, .txt, .h5 or .hdf5 in double precision, several stages
/// as a composite transform; or, for any volume format with vectors (.nii.gz with intent 1007,
/// .mha, .nrrd), the displacement field of a transform that is one field alone. Atomic. Throws
/// geometry_error when the format cannot hold the transform.
/// With `space` kPlane the transform files become 2D ones, as ITK needs them for 2D images, unless
/// the transform leaves the plane z = 0.
void write_transform(const std::string& file,
                     const SpatialTransform& transform,
                     TransformSpace space = TransformSpace::kVolume);

}  // namespace triptych
