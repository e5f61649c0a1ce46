// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/rules.h"
#include "framework/data/batch.h"
#include "framework/model/head.h"
#include "framework/ops/projector.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// A projector, and the sums of its rows and columns that make one step length fit every scan.
struct ScanOperators {
  ScanGeometry scan;
  SliceGrid grid;
  std::int64_t columns = 0;
  std::shared_ptr<const LinearOperator> projector;
  at::Tensor inverse_row_sums;     ///< [A, W], 1/cm; 0 where a ray misses the grid
  at::Tensor inverse_column_sums;  ///< [H, W], 1/cm; 0 where no ray passes
  double column_cm = 0.0;          ///< width of a detector column at the rotation axis
};

/// The operators of the scans met last, since rays take a while to compute. Safe to share between
/// threads.
class ScanOperatorCache {
 public:
  std::shared_ptr<const ScanOperators> get(const ScanGeometry& scan,
                                           std::int64_t columns,
                                           const SliceGrid& grid,
                                           c10::Device device);

 private:
  static constexpr std::size_t kKept = 4;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const ScanOperators>> kept_;  ///< last used last
};

/// What a learned reconstruction does with projections behind metal.
struct MetalSetup {
  std::string completion = "none";
  double water = 0.2;

  void visit(auto& field) {
    field("completion",
          completion,
          "what the reconstruction starts from where rays pass the metal of role `metal`: li or "
          "nmar; none = there is no metal",
          config::OneOf{"none", "li", "nmar"});
    field("water",
          water,
          "value of water in the slices (1/cm for raw scans), for nmar",
          config::Above{0.0});
  }
  bool any() const { return completion != "none"; }
  /// Roles that a head with this setup reads: `projections`, and with metal its mask.
  std::vector<std::string> roles() const;
};

/// The scans of a batch as a learned reconstruction sees them: role `projections` [N, 1, D, A, W],
/// to reconstruct on its geometry, and role `metal` (labels, 1 = metal) [N, 1, D, H, W].
///
/// Every item is divided by its own typical attenuation s = P2^2 / P1^3 and its projections are
/// measured in typical line integrals P2 / P1, with P1 and P2 the sums of the line integrals and of
/// their squares over the columns, in cm, averaged over the views: 0.92 times its attenuation for a
/// disc. A network then meets values of one order whatever their unit (1/cm, 1/pixel, grey values)
/// and however much air surrounds the object, and what is computed is equivariant to that unit.
/// Images are [N, C, D, H, W] and projections [N, C, D, A, W]; every operation is differentiable.
/// Scans of one batch may differ in geometry.
class ReconstructionProblem {
 public:
  /// Throws data_error when the role `projections` does not hold projections of one channel, and
  /// shape_error for a metal mask of another size.
  ReconstructionProblem(const Batch& batch, const MetalSetup& metal, ScanOperatorCache& cache);

  const at::Tensor& measured() const { return measured_; }
  /// Measured, and where rays pass metal as MetalSetup::completion says.
  const at::Tensor& completed() const { return completed_; }
  /// 0 where a ray passes metal, 1 elsewhere; undefined without metal.
  const at::Tensor& trust() const { return trust_; }

  /// What the metal adds to the completed reconstruction in that as measured, [N, 1, D, H, W],
  /// between -1 and 1, since metal attenuates many times more than tissue.
  at::Tensor metal_artifacts(const at::Tensor& completed_image) const;
  /// What a network that corrects `image` [N, 1, D, H, W] beside metal sees, [N, 3, D, H, W]: the
  /// image, metal_artifacts, and where the metal is.
  at::Tensor with_metal_seen(const at::Tensor& image, const at::Tensor& artifacts) const;
  static constexpr std::int64_t kMetalSeenChannels = 3;

  /// Share of the rays through every pixel that pass metal, weighted as the back projection weighs
  /// them: [N, 1, D, H, W] in [0, 1]. How far the completion, not the measurement, made an image.
  at::Tensor lost_share() const;

  at::Tensor project(const at::Tensor& image) const;
  at::Tensor back_project(const at::Tensor& projections) const;
  /// Filtered back projection with the plain ramp.
  at::Tensor fbp(const at::Tensor& projections) const;
  /// C A' R p with the inverse row and column sums of A: a residual as a step in the image (sirt).
  at::Tensor step(const at::Tensor& projections) const;
  /// A x - measured, zero where rays pass metal.
  at::Tensor residual(const at::Tensor& image) const;
  /// A x - measured where rays pass metal, zero elsewhere.
  at::Tensor residual_behind_metal(const at::Tensor& image) const;
  /// Measured, completed over the metal by NMAR with `prior` [N, 1, D, H, W].
  at::Tensor completed_with(const at::Tensor& prior) const;
  /// Projections as multiples of the typical line integral.
  at::Tensor relative(const at::Tensor& projections) const { return projections / line_; }
  /// The inverse of relative().
  at::Tensor absolute(const at::Tensor& projections) const { return projections * line_; }

  /// The image in the unit of the measurement.
  at::Tensor in_own_unit(const at::Tensor& image) const { return image * scale_; }
  /// An image in the unit of the measurement, divided as the projections are.
  at::Tensor scaled(const at::Tensor& image) const { return image / scale_; }

 private:
  at::Tensor by_scan(
      const at::Tensor& x,
      const std::function<at::Tensor(const ScanOperators&, const at::Tensor&)>& apply) const;
  void measure_scale();
  void complete(const at::Tensor& metal, const MetalSetup& setup);

  std::vector<std::shared_ptr<const ScanOperators>> scans_;  ///< one, or one an item
  at::Tensor scale_;  ///< typical attenuation [N, 1, 1, 1, 1]
  at::Tensor line_;   ///< typical line integral over scale_, [N, 1, 1, 1, 1]
  at::Tensor measured_, completed_, trust_;
  at::Tensor metal_;  ///< [N, 1, D, H, W] float, 1 = metal
};

/// The shared network's finest features [N, C, D, H, W] of an image that a head made itself, which
/// may have any size: it is continued by its edges to what the network takes, and the features are
/// cut back.
at::Tensor finest_features(HeadInputs& inputs,
                           const at::Tensor& image,
                           const std::string& modality,
                           const PyramidSpec& pyramid);

}  // namespace triptych
