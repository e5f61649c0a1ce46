// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// What iterative methods share; each uses what its comment names.
struct IterativeOptions {
  int iterations = 50;
  double stop_residual = 0.0;  ///< stops once |A x - b| / |b| is at most this; 0 = never
  bool non_negative = false;   ///< negative values become zero after every step (not in cgls)
  double relaxation = 1.0;     ///< length of a step, over 0 and under 2 (not in cgls and tv)
  int subsets = 10;            ///< interleaved subsets of the angles in os_sart
  double tv_weight = 0.0;      ///< weight of the total variation in tv
  at::Tensor trusted = {};     ///< bool, of the projections' shape: what counts in iterated_fbp
  /// Called after every iteration with its number (from 1) and relative residual; false stops.
  std::function<bool(int, double)> progress = {};
};

struct IterativeResult {
  at::Tensor image;              ///< [..., D, H, W] in 1/cm
  std::vector<double> residual;  ///< |A x - b| / |b| after each iteration, 2-norms over all slices
  int iterations() const { return static_cast<int>(residual.size()); }
};

// All throw usage_error for options out of range, numeric_error when projections are not finite,
// and what check and check_projections throw. Results carry no gradient.

/// Simultaneous iterative reconstruction from zero: x += relaxation C A' R (b - A x) with the
/// inverse row sums R and column sums C of A (Gregor and Benson 2008, IEEE Trans. Med. Imaging
/// 27:918). `projections` is [..., D, A, W].
IterativeResult sirt(const at::Tensor& projections,
                     const ScanGeometry& scan,
                     const SliceGrid& grid,
                     const IterativeOptions& options);

/// Conjugate gradients on the least squares |A x - b|^2 from zero (Bjorck 1996, algorithm 7.4.1),
/// every slice with step lengths of its own. Stopping early regularises.
IterativeResult cgls(const at::Tensor& projections,
                     const ScanGeometry& scan,
                     const SliceGrid& grid,
                     const IterativeOptions& options);

/// sirt's step on one subset of the angles after the other: an iteration sees every angle once and
/// gets about `subsets` times as far (Hudson and Larkin 1994; Jiang and Wang 2003). The residual is
/// that of the subsets as they were visited.
IterativeResult os_sart(const at::Tensor& projections,
                        const ScanGeometry& scan,
                        const SliceGrid& grid,
                        const IterativeOptions& options);

/// Filtered back projection, then again of what it left unexplained: x += relaxation F W (b - A x)
/// with F that of `fbp` (plain ramp) and W = `trusted`, undefined: all (after Medoff et al. 1983,
/// J. Opt. Soc. Am. 73:1493). Two or three iterations undo the blur of F, which interpolates.
/// Projections that were completed behind metal begin the image; where they are not trusted, they
/// then give way to what the other views say. Throws shape_error for `trusted` of another shape.
IterativeResult iterated_fbp(const at::Tensor& projections,
                             const ScanGeometry& scan,
                             const SliceGrid& grid,
                             const IterativeOptions& options);

/// Least squares with total variation in the slice: min 1/2 |A x - b|^2 + tv_weight sum |grad x|
/// with isotropic differences between neighbouring pixels, by the primal-dual method of Chambolle
/// and Pock on K = (A, |A| / |grad| grad) with tau = sigma = 1 / |K| (Sidky, Jorgensen and Pan
/// 2012, Phys. Med. Biol. 57:3065).
IterativeResult tv(const at::Tensor& projections,
                   const ScanGeometry& scan,
                   const SliceGrid& grid,
                   const IterativeOptions& options);

}  // namespace triptych
