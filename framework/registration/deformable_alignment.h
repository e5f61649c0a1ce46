// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <cstdint>
#include <functional>
#include <utility>

namespace triptych {

/// Features that are compared: image [1, 1, D, H, W] on its grid -> [1, C, D, H, W] float32.
using FeatureFunction = std::function<at::Tensor(const at::Tensor& image, const Geometry& grid)>;

/// MIND-SSC descriptors (ops/mind.h): features of any modality without training.
FeatureFunction mind_features();

/// A first displacement of two images on one grid: [1, 1, D, H, W] each -> [1, 3, D, H, W] in mm
/// (LPS), `moving_from_fixed`, float32.
using FieldFunction = std::function<at::Tensor(
    const at::Tensor& fixed, const at::Tensor& moving, const Geometry& grid)>;

/// What a deformation is found by.
struct DeformationGuide {
  FeatureFunction features;   ///< of the search and of the descent on voxels of two
  FieldFunction first_field;  ///< in place of the search; empty: there is a search

  DeformationGuide(FeatureFunction by)  // NOLINT(google-explicit-constructor)
      : features(std::move(by)) {}
};

/// Key `deformation` of a registration.
struct DeformationOptions {
  bool enabled = true;
  std::int64_t search_step = 6;
  std::int64_t search_width = 4;
  std::int64_t iterations = 80;
  std::int64_t fine_iterations = 40;
  double regularisation = 1.0;
  std::int64_t voxels = 6'000'000;

  void visit(auto& field) {
    field("enabled", enabled, "false stops after the first alignment");
    field("search_step",
          search_step,
          "voxels between the points of the search for large displacements",
          config::AtLeast{1});
    field("search_width",
          search_width,
          "steps that the search tries in each direction, no farther than the image is long; "
          "0 leaves it out",
          config::AtLeast{0});
    field("iterations", iterations, "of Adam on displacements of 2 voxels", config::AtLeast{0});
    field("fine_iterations",
          fine_iterations,
          "of Adam on displacements of 1 voxel, which follow",
          config::AtLeast{0});
    field("regularisation",
          regularisation,
          "weight of the field's roughness against the difference of the features",
          config::AtLeast{0.0});
    field(
        "voxels",
        voxels,
        "most voxels of the grid that the images are brought to; finer images are averaged. Memory "
        "beyond the images: about 300 bytes each",
        config::AtLeast{1000});
  }
};

/// The smooth displacement u that brings `moving`, seen through `start`, onto `fixed`: positions of
/// the fixed space go to start(x + u(x)). The field lies on a grid over the fixed image.
///
/// After ConvexAdam (Siebert, Hansen and Heinrich 2021), coarse to fine: coupled convex search in
/// both directions for large displacements (or the guide's field), then gradient descent on the
/// distance of the features and the roughness of the field, on displacements of two voxels. A fine
/// descent on displacements of one voxel follows, through the image warped by them: it compares
/// grey values against their surroundings (local_contrast). Places count in a descent as far as
/// what is compared agrees (local_agreement), with features also as far as the grey values vary by
/// more than noise (structure_share). What is left of folds is smoothed away (remove_folds). Each
/// of the steps is kept only if it raises the mutual information of the images, which none of them
/// follows; where none does the field is 0, or the guide's, which is always kept. Voxels outside of
/// the masks, and those that `start` leads outside of the moving image, do not count. 2D images are
/// deformed in their plane. The same bits for every number of threads.
DisplacementField align_deformable(const RegistrationImage& fixed,
                                   const RegistrationImage& moving,
                                   const AffineMap& start,
                                   const DeformationGuide& guide,
                                   const DeformationOptions& options = {});

}  // namespace triptych
