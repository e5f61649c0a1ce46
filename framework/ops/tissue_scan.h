// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/problems.h"
#include "framework/config/rules.h"
#include "framework/ops/scan_artifacts.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace triptych {

/// What a voxel of a bone sample with a degrading metal implant consists of.
enum class Tissue : std::uint8_t {
  kAir,
  kSoftTissue,
  kMarrow,
  kBone,
  kLacuna,
  kDegradation,
  kCrack,
  kResidual
};
inline constexpr int kTissues = 8;

/// A sample as a scanner sees it: a tissue, a texture and a distance per voxel, on a grid with
/// parallel axes.
struct TissueGrid {
  Geometry geometry;
  std::vector<std::uint8_t> tissue;  ///< Tissue
  /// In degradation products how far the material has turned from metal (0) to bone mineral (1);
  /// elsewhere the relative deviation of the local density.
  std::vector<float> texture;
  std::vector<float> implant_distance;  ///< mm to the implant's original surface, negative inside
};

/// Class of a tissue: 0 background and soft tissue, 1 bone (lacunae included), 2 degradation layer
/// (cracks included), 3 residual material.
std::int64_t label_of(Tissue tissue);

/// A class per voxel.
struct LabelGrid {
  Geometry geometry;
  std::vector<std::uint8_t> labels;
};

/// Labels at the voxel centres of a grid with parallel axes (nearest neighbour).
LabelGrid labels_on(const Geometry& grid, const TissueGrid& sample);

/// True when a position lies within the grid's outer voxel centres.
bool within_grid(const Geometry& grid, const Eigen::Vector3d& world_mm);

/// `count` random positions half way between two neighbouring voxels of different label, among
/// those that `accept`s (given in world mm). Empty when too few are found.
std::vector<Eigen::Vector3d> border_points(
    const LabelGrid& sample,
    std::int64_t count,
    const std::function<bool(const Eigen::Vector3d&)>& accept,
    RandomStream stream);

/// Synchrotron micro-CT. Grey values are about 0..1, lengths in voxels.
struct SrctScan {
  double contrast = 1.0;
  double noise = 0.05;
  double rings = 0.015;
  double edges = 0.35;
  double blur_voxel = 0.6;

  void visit(auto& field) {
    field("contrast",
          contrast,
          "factor on the grey-value differences between tissues",
          config::Between{0.05, 5.0});
    field("noise",
          noise,
          "standard deviation of the white noise; tissues span about 0 to 1",
          config::Between{0.0, 1.0});
    field("rings",
          rings,
          "standard deviation of ring artifacts about the first axis",
          config::Between{0.0, 1.0});
    field("edges",
          edges,
          "phase-contrast edge enhancement: factor on the negative Laplacian",
          config::Between{0.0, 4.0});
    field("blur_voxel",
          blur_voxel,
          "standard deviation of the point spread function in voxels",
          config::Between{0.0, 8.0});
  }
};

/// Laboratory CT: coarser, by the physics of CtScan in slices across D. Grey values are linear in
/// attenuation: air 0.02, cortical bone 0.8, the metal by its real attenuation at
/// CtScan::kReferenceKev.
struct LabctScan {
  double factor = 2.0;
  double contrast = 1.0;
  double scanned_width_mm = 40.0;
  std::int64_t views = 0;
  double peak_kv = 120.0;
  double aluminium_mm = 6.0;
  double photons = 1200.0;
  double electronic = 0.0;
  double gain_deviation = 0.0;
  std::string metal = "magnesium";

  void visit(auto& field) {
    field("factor", factor, "voxel size relative to spacing_mm", config::Between{1.0, 8.0});
    field("contrast",
          contrast,
          "factor on all attenuation, and so on the grey-value differences between tissues",
          config::Between{0.05, 5.0});
    field("scanned_width_mm",
          scanned_width_mm,
          "width of the field of view for the X-rays, whatever size and spacing_mm say: a specimen "
          "of less than a mm would attenuate them by a few percent only, so its lengths are "
          "stretched to this width; the true width gives the true attenuation",
          config::Between{0.01, 1000.0},
          config::Unit{"mm"});
    field("views",
          views,
          "projections over 180 degrees; 0: as many as the detector needs, few give streaks",
          config::Between{0, 100000});
    field("peak_kv",
          peak_kv,
          "voltage of the tube, 20 to 150; 0: one energy, no beam hardening",
          config::Between{0.0, 150.0});
    field("aluminium_mm",
          aluminium_mm,
          "filter of the tube; less of it hardens the beam in the specimen more",
          config::Between{0.0, 100.0},
          config::Unit{"mm"});
    field("photons",
          photons,
          "photons per detector pixel and view without a specimen; 0: no noise",
          config::AtLeast{0.0});
    field("electronic",
          electronic,
          "standard deviation of the read-out noise, in photons",
          config::AtLeast{0.0});
    field("gain_deviation",
          gain_deviation,
          "relative gain error of detector pixels; makes rings",
          config::Between{0.0, 1.0});
    field("metal",
          metal,
          "material of the implant, for this scanner alone",
          config::OneOf{"magnesium", "aluminium", "titanium", "iron"});
  }
  void validate(config::Problems& problems) const;
};

/// Magnetic resonance imaging: bone and metal dark, a signal void around the implant.
struct MriScan {
  std::array<double, 3> factor{3.0, 2.0, 2.0};
  double contrast = 1.0;
  double noise = 0.03;
  double bias = 0.25;
  double void_size = 0.035;

  void visit(auto& field) {
    field("factor",
          factor,
          "voxel size along D, H, W relative to spacing_mm",
          config::Between{1.0, 8.0});
    field("contrast",
          contrast,
          "factor on the grey-value differences between tissues",
          config::Between{0.05, 5.0});
    field("noise",
          noise,
          "standard deviation of the noise in both parts of the complex signal",
          config::Between{0.0, 1.0});
    field("bias",
          bias,
          "standard deviation of the logarithm of the bias field",
          config::Between{0.0, 2.0});
    field("void_size",
          void_size,
          "reach of the implant's signal void, relative to the field of view",
          config::Between{0.0, 0.5});
  }
};

/// Grids of the coarser scanners over the same field of view.
Geometry labct_grid(const Geometry& fine, const LabctScan& scan);
Geometry mri_grid(const Geometry& fine, const MriScan& scan);

/// Images without artifacts and noise, blurred and sampled as the scanner does.
ScalarGrid srct_image(const TissueGrid& sample, const SrctScan& scan);
ScalarGrid labct_image(const TissueGrid& sample, const LabctScan& scan);
ScalarGrid mri_image(const TissueGrid& sample, const MriScan& scan);

/// Adds what the scanner adds; labct_image is scanned anew.
void corrupt_srct(ScalarGrid& image, const SrctScan& scan, RandomStream stream);
void corrupt_labct(ScalarGrid& image,
                   const TissueGrid& sample,
                   const LabctScan& scan,
                   RandomStream stream);
void corrupt_mri(ScalarGrid& image,
                 const TissueGrid& sample,
                 const MriScan& scan,
                 RandomStream stream);

}  // namespace triptych
