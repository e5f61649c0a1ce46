// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/random.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/x_ray.h"

#include <ATen/core/Tensor.h>

namespace triptych {

/// How a simulated CT scanner looks at slices. The defaults are a scan without errors but for its
/// finite number of views.
struct CtScan {
  ScanGeometry::Beam beam = ScanGeometry::Beam::kParallel;
  double source_to_axis_mm = 0.0;      ///< fan beams only
  double source_to_detector_mm = 0.0;  ///< fan beams only
  std::int64_t columns = 0;        ///< of the detector; 0: as many as the slice's diagonal needs
  double column_spacing_mm = 0.0;  ///< 0: what a pixel of the slice makes at the detector
  double axis_shift = 0.0;         ///< columns from the detector's middle to the rotation axis
  std::int64_t views = 0;       ///< 0: pi / 2 times the detector's columns, as many as are needed
  double arc_deg = 180.0;       ///< less is a limited angle; fan beams need 360
  double detector_share = 1.0;  ///< of the columns; less cuts the object off at both sides
  RampFilter filter = RampFilter::kRamLak;
  double peak_kv = 0.0;         ///< 0: one energy, without beam hardening
  double aluminium_mm = 2.5;    ///< filter of the tube
  double photons = 0.0;         ///< per detector pixel and view; 0: without noise
  double electronic = 0.0;      ///< read-out noise in photons
  double gain_deviation = 0.0;  ///< of the detector pixels; makes rings
  double motion_mm = 0.0;       ///< how far the object drifts during the scan
  XRayMaterial metal = XRayMaterial::kTitanium;

  static constexpr double kReferenceKev =
      60.0;  ///< energy that the attenuation of slices is meant at
};

/// Object of a scan: slices [D, H, W] float32 in 1/cm at CtScan::kReferenceKev, air 0. What
/// attenuates up to a third more than water hardens as water, what attenuates over twice as much as
/// cortical bone, between them as a mixture (Zhang and Yu 2018, IEEE Trans. Med. Imaging 37:1370).
/// `metal` is the share of every voxel that is metal, in the place of what else is there;
/// undefined: none.
struct ScannedObject {
  at::Tensor attenuation;
  at::Tensor metal;
};

/// What a scanner measures: line integrals [D, A, W] float32.
struct SimulatedScan {
  at::Tensor projections;
  ScanGeometry geometry;
};

/// Slices projected and measured with the scan's errors, and corrected for water where the beam is
/// polychromatic. The outermost columns are continued where the detector is too short, as scanners
/// do. Equal streams give equal results whatever the number of threads. Throws numeric_error for an
/// impossible scan, shape_error for a metal mask of another size.
SimulatedScan simulate_projections(const ScannedObject& object,
                                   const SliceGrid& grid,
                                   const CtScan& scan,
                                   const RandomStream& stream);

/// The slices as the scanner shows them, [D, H, W] in 1/cm: simulate_projections, reconstructed by
/// filtered back projection on the same grid.
at::Tensor simulate_ct_scan(const ScannedObject& object,
                            const SliceGrid& grid,
                            const CtScan& scan,
                            const RandomStream& stream);

}  // namespace triptych
