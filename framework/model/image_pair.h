// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"
#include "framework/model/head.h"

#include <string>
#include <vector>

namespace triptych {

/// One item of the roles `fixed` and `moving`, as heads that align see it. The images may lie on
/// different grids; all positions are meant in the world.
struct ImagePair {
  FeaturePyramid fixed, moving;      ///< levels [1, C, D, H, W] float32
  Geometry fixed_grid, moving_grid;  ///< of the images
  at::Tensor guidance;  ///< [1, K, D, H, W] probabilities of classes in the fixed image; undefined
                        ///< = none

  /// Features of the moving image at `level`, on the fixed image's grid of that level, at x + u(x);
  /// edges repeat. `displacement_mm` [1, 3, D, H, W], undefined = 0.
  at::Tensor moving_on_fixed(std::int64_t level,
                             const PyramidSpec& spec,
                             const at::Tensor& displacement_mm = {}) const;
};

/// The items of a batch. `guide`: a task whose logits on the fixed image join as probabilities, ""
/// = none. Throws model_error where the features are not on their images' grids (a backbone of
/// slabs) and for a guide that gives no logits.
std::vector<ImagePair> image_pairs(HeadInputs& inputs,
                                   const PyramidSpec& spec,
                                   const std::string& guide = "");

/// Grid of a pyramid level over an image: its voxels are means over `stride` voxels.
Geometry level_grid(const Geometry& image, const LevelSpec& level);

/// Displacements in voxels of `grid` (components along W, H, D) as mm; what leads out of a plane of
/// one voxel is dropped.
at::Tensor mm_in_grid(const at::Tensor& displacement_voxel, const Geometry& grid);

}  // namespace triptych
