// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

// Classical reduction of metal artifacts in projections, to compare networks with. What the
// detector measured behind metal is replaced; `fbp` of the result shows the slices without metal,
// which is put back from a mask. LI is interpolate_trace. NMAR needs a prior image: nmar_prior of
// LI's slices, then nmar.

/// Detector pixels whose ray meets metal: bool [..., D, A, `columns`].
///
/// `metal` is [..., D, H, W], not zero where there is metal. A ray meets metal when
/// Joseph's method gives it more than a thousandth of a pixel of metal. Throws shape_error for a
/// mask that is not of the grid's size.
at::Tensor metal_trace(const at::Tensor& metal,
                       const ScanGeometry& scan,
                       std::int64_t columns,
                       const SliceGrid& grid);

/// Linear interpolation along the detector's columns over the trace (LI; Kalender, Hebel and
/// Ebersberger 1987, Radiology 164:576).
///
/// Floating-point `projections` [..., D, A, W], `trace` bool of the same shape, else shape_error.
/// Pixels of the trace are replaced by the straight line between the nearest pixels outside it in
/// the same row of columns, so their own values, infinite ones too, play no part. A trace that
/// reaches the border takes the value of the one neighbour it has; a row that is all trace stays as
/// it is. Differentiable in `projections`.
at::Tensor interpolate_trace(const at::Tensor& projections, const at::Tensor& trace);

/// What parts a slice into the tissues of a prior image, all in 1/cm.
struct PriorTissues {
  double water_per_cm = 0.0;       ///< what soft tissue becomes
  double air_below_per_cm = 0.0;   ///< what attenuates less becomes 0
  double bone_above_per_cm = 0.0;  ///< what attenuates more keeps its value
  double smoothing_voxel = 1.0;    ///< standard deviation of the Gaussian before the thresholds

  /// Thresholds at -500 and +250 HU.
  static PriorTissues of_water(double water_per_cm) {
    return {water_per_cm, 0.5 * water_per_cm, 1.25 * water_per_cm};
  }
};

/// The prior image of NMAR: air 0, soft tissue water, bone as it is (Meyer et al. 2010, section
/// II.C).
///
/// `image` [..., D, H, W] in 1/cm, slices without metal and with few streaks, as LI gives them.
/// Each slice is smoothed before it is compared with the thresholds, so that noise and thin streaks
/// make no tissue; the values kept are the unsmoothed ones. Throws numeric_error unless 0 <=
/// air_below <= water <= bone_above and smoothing_voxel >= 0. Differentiable where bone is.
at::Tensor nmar_prior(const at::Tensor& image, const PriorTissues& tissues);

/// Normalised metal artifact reduction (NMAR; Meyer et al. 2010, Medical Physics 37:5482).
///
/// Projections p [..., D, A, W] are divided by those of the prior image, s; the ratio, nearly flat
/// where the prior is right, is interpolated as interpolate_trace does, and multiplied by s again.
/// `prior` is [..., D, H, W] in 1/cm, >= 0, without metal. p and s are raised by 0.02 before and
/// lowered after: beside the object, where both vanish, the ratio is then 1 instead of noise.
/// Throws shape_error for a trace of another size than the projections, or a prior that does not
/// fit the grid or the projections' leading axes. Differentiable in projections and prior.
at::Tensor nmar(const at::Tensor& projections,
                const at::Tensor& trace,
                const at::Tensor& prior,
                const ScanGeometry& scan,
                const SliceGrid& grid);

/// How complete_trace fills the trace: by LI, or by NMAR with the prior image of LI's slices.
struct TraceCompletion {
  bool normalised = false;
  PriorTissues tissues;  ///< of the prior image
};

/// Projections [..., D, A, W] whose trace of `metal` [..., D, H, W] is filled, by the plain ramp
/// where NMAR needs slices. Throws as the functions above.
at::Tensor complete_trace(const at::Tensor& projections,
                          const at::Tensor& metal,
                          const TraceCompletion& completion,
                          const ScanGeometry& scan,
                          const SliceGrid& grid);

}  // namespace triptych
