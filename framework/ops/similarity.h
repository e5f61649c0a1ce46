// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace triptych {

// How well a warped moving image fits a fixed one: scalars that grow with the fit, differentiable
// in both images. Images are [N, 1, D, H, W]; `mask` [N, 1, D, H, W], of the images' type, weighs
// the voxels (1 counts, 0 does not) and gets no gradient.

struct LocalNccOptions {
  std::int64_t radius = 4;  ///< of the window, in voxels; 4 is the 9 x 9 x 9 of VoxelMorph
  double epsilon = 1e-5;  ///< of the product of the images' variances, added to that of the windows
};

/// Mean over the voxels of the squared correlation of the two images within a window, in [0, 1]
/// (Avants et al., Symmetric diffeomorphic image registration with cross-correlation, 2008).
/// Windows end at the faces of the image. Invariant to affine changes of the grey values.
at::Tensor local_ncc(const at::Tensor& fixed,
                     const at::Tensor& moving,
                     const LocalNccOptions& options = {},
                     const std::optional<at::Tensor>& mask = std::nullopt);

struct HistogramOptions {
  std::int64_t bins = 32;  ///< of each image, >= 5
};

/// Joint probabilities of the grey values of two images: [N, bins, bins] (fixed, moving), summing
/// to
/// 1. Every voxel counts through cubic B-spline windows (Parzen) in both directions (Mattes et al.,
/// PET-CT image registration in the chest using free-form deformations, 2003), so that the
/// derivatives are continuous. The range of an image is that of its values under the mask, taken as
/// constant.
at::Tensor joint_histogram(const at::Tensor& fixed,
                           const at::Tensor& moving,
                           const HistogramOptions& options = {},
                           const std::optional<at::Tensor>& mask = std::nullopt);

/// H(F) + H(M) - H(F, M) in nats, mean over the items; >= 0.
at::Tensor mutual_information(const at::Tensor& joint_histogram);
/// (H(F) + H(M)) / H(F, M), mean over the items; 1 for independent images, 2 for images that
/// determine each other (Studholme et al., An overlap invariant entropy measure, 1999).
at::Tensor normalised_mutual_information(const at::Tensor& joint_histogram);

/// Mean over the classes of 2 sum(a b) / (sum a + sum b): overlap of label maps as one-hot codes or
/// probabilities [N, K, D, H, W], summed over the batch. Class 0, the background, is left out, and
/// so are classes that neither has; 1 when none is left.
at::Tensor soft_label_dice(const at::Tensor& a, const at::Tensor& b);

}  // namespace triptych
