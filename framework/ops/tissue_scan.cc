// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/tissue_scan.h"

#include "framework/ops/ct_scan.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

float f(double value) { return static_cast<float>(value); }

/// Grey value of each tissue, in the order of Tissue, and how much the texture changes it.
struct Palette {
  std::array<float, kTissues> grey;
  std::array<float, kTissues> texture;
};

// Degradation products run from just below the residual material to the grey of bone (texture 0 to
// 1).
constexpr Palette kSrct = {{0.06F, 0.26F, 0.20F, 0.68F, 0.36F, 0.40F, 0.16F, 0.44F},
                           {0.00F, 0.020F, 0.025F, 0.04F, 0.00F, 0.30F, 0.00F, 0.00F}};
// The residual material's grey follows from its attenuation: labct_palette.
constexpr Palette kLabct = {{0.02F, 0.24F, 0.20F, 0.80F, 0.70F, 0.50F, 0.30F, 0.00F},
                            {0.00F, 0.015F, 0.015F, 0.04F, 0.00F, 0.15F, 0.00F, 0.00F}};
// Protons: fatty marrow bright, muscle and fluid grey, mineral and metal dark; corrosion products
// hold some water.
constexpr Palette kMri = {{0.01F, 0.50F, 0.85F, 0.10F, 0.10F, 0.16F, 0.30F, 0.02F},
                          {0.00F, 0.05F, 0.05F, 0.01F, 0.00F, -0.06F, 0.00F, 0.00F}};
// Contrast scales differences about this grey.
constexpr float kMiddle = 0.4F;

ScalarGrid paint(const TissueGrid& sample, const Palette& palette, double contrast) {
  ScalarGrid image{sample.geometry, std::vector<float>(sample.tissue.size())};
  for_each_row(sample.geometry, [&](const GridRow& row) {
    for (std::int64_t i = row.offset; i < row.offset + row.length; ++i) {
      const std::uint8_t tissue = sample.tissue[i];
      const float grey = palette.grey[tissue] + palette.texture[tissue] * sample.texture[i];
      image.values[i] = kMiddle + f(contrast) * (grey - kMiddle);
    }
  });
  return image;
}

// Voxels of the fine grid are no points either: a scanner of the same voxel size smooths, too.
constexpr double kLeastSigma = 0.3;

ScalarGrid fraction_of(const TissueGrid& sample, Tissue tissue) {
  ScalarGrid image{sample.geometry, std::vector<float>(sample.tissue.size())};
  for (std::size_t i = 0; i < sample.tissue.size(); ++i) {
    image.values[i] = sample.tissue[i] == static_cast<std::uint8_t>(tissue) ? 1.0F : 0.0F;
  }
  return image;
}

/// Attenuation in 1/cm of a grey value 1 above air: the palette's bone is cortical bone.
double labct_per_cm() {
  const auto grey = [](Tissue tissue) { return kLabct.grey[static_cast<std::size_t>(tissue)]; };
  return attenuation_per_cm(XRayMaterial::kBone, CtScan::kReferenceKev) /
         (grey(Tissue::kBone) - grey(Tissue::kAir));
}

Palette labct_palette(const LabctScan& scan) {
  Palette palette = kLabct;
  const double metal = attenuation_per_cm(x_ray_material(scan.metal), CtScan::kReferenceKev);
  palette.grey[static_cast<std::size_t>(Tissue::kResidual)] =
      palette.grey[static_cast<std::size_t>(Tissue::kAir)] + f(metal / labct_per_cm());
  return palette;
}

}  // namespace

std::int64_t label_of(Tissue tissue) {
  switch (tissue) {
    case Tissue::kBone:
    case Tissue::kLacuna:
      return 1;
    case Tissue::kDegradation:
    case Tissue::kCrack:
      return 2;
    case Tissue::kResidual:
      return 3;
    default:
      return 0;
  }
}

LabelGrid labels_on(const Geometry& grid, const TissueGrid& sample) {
  LabelGrid result{grid, std::vector<std::uint8_t>(static_cast<std::size_t>(grid.voxels()))};
  const auto [planes, lines, columns] = nearest_indices(sample.geometry, grid);
  std::uint8_t* out = result.labels.data();
  for (const std::int64_t d : planes) {
    for (const std::int64_t h : lines) {
      const std::int64_t row = (d * sample.geometry.shape[1] + h) * sample.geometry.shape[2];
      for (const std::int64_t w : columns) {
        *out++ = static_cast<std::uint8_t>(label_of(static_cast<Tissue>(sample.tissue[row + w])));
      }
    }
  }
  return result;
}

bool within_grid(const Geometry& grid, const Eigen::Vector3d& world_mm) {
  const Eigen::Array3d index = grid.index_from_world(world_mm).array();
  const Eigen::Array3d last(grid.shape[2] - 1, grid.shape[1] - 1, grid.shape[0] - 1);
  return (index >= 0.0).all() && (index <= last).all();
}

std::vector<Eigen::Vector3d> border_points(
    const LabelGrid& sample,
    std::int64_t count,
    const std::function<bool(const Eigen::Vector3d&)>& accept,
    RandomStream stream) {
  constexpr std::int64_t kTriesPerPoint = 20000;
  const Geometry& g = sample.geometry;
  const Index3 stride{g.shape[1] * g.shape[2], g.shape[2], 1};
  std::vector<Eigen::Vector3d> points;
  for (std::int64_t tries = 0; tries < kTriesPerPoint * count; ++tries) {
    const auto axis = static_cast<std::size_t>(stream.integer(3));
    Index3 voxel{};
    for (std::size_t i = 0; i < 3; ++i) voxel[i] = stream.integer(g.shape[i] - (i == axis ? 1 : 0));
    const std::int64_t here = voxel[0] * stride[0] + voxel[1] * stride[1] + voxel[2];
    if (sample.labels[here] == sample.labels[here + stride[axis]]) continue;
    Eigen::Vector3d index(voxel[2], voxel[1], voxel[0]);
    index[2 - static_cast<Eigen::Index>(axis)] += 0.5;
    const Eigen::Vector3d world = g.world_from_index(index);
    if (!accept(world)) continue;
    points.push_back(world);
    if (static_cast<std::int64_t>(points.size()) == count) return points;
  }
  return {};
}

Geometry labct_grid(const Geometry& fine, const LabctScan& scan) {
  return fine.resampled_to(scan.factor * fine.spacing);
}

Geometry mri_grid(const Geometry& fine, const MriScan& scan) {
  const Eigen::Vector3d factor(scan.factor[2], scan.factor[1], scan.factor[0]);
  return fine.resampled_to(factor.cwiseProduct(fine.spacing));
}

ScalarGrid srct_image(const TissueGrid& sample, const SrctScan& scan) {
  ScalarGrid image = paint(sample, kSrct, scan.contrast);
  blur(image, {scan.blur_voxel, scan.blur_voxel, scan.blur_voxel});
  return image;
}

ScalarGrid labct_image(const TissueGrid& sample, const LabctScan& scan) {
  return coarsened(paint(sample, labct_palette(scan), scan.contrast),
                   labct_grid(sample.geometry, scan),
                   kLeastSigma);
}

ScalarGrid mri_image(const TissueGrid& sample, const MriScan& scan) {
  return coarsened(
      paint(sample, kMri, scan.contrast), mri_grid(sample.geometry, scan), kLeastSigma);
}

void corrupt_srct(ScalarGrid& image, const SrctScan& scan, RandomStream stream) {
  enhance_edges(image, scan.edges);
  add_rings(image, scan.rings, stream.derive("rings"));
  add_white_noise(image, scan.noise, stream.derive("noise"));
}

void LabctScan::validate(config::Problems& problems) const {
  if (peak_kv > 0.0 && peak_kv < 20.0) problems.add("peak_kv", "expects 0, or 20 to 150");
  if (photons > 0.0 && photons < 1.0) problems.add("photons", "expects 0, or 1 or more");
}

void corrupt_labct(ScalarGrid& image,
                   const TissueGrid& sample,
                   const LabctScan& scan,
                   RandomStream stream) {
  CtScan ct;
  ct.views = scan.views;
  ct.peak_kv = scan.peak_kv;
  ct.aluminium_mm = scan.aluminium_mm;
  ct.photons = scan.photons;
  ct.electronic = scan.electronic;
  ct.gain_deviation = scan.gain_deviation;
  ct.metal = x_ray_material(scan.metal);

  // Rays know products of attenuation and length alone: a factor on all attenuation is one on the
  // lengths, and the materials keep the attenuation that they have.
  const auto& [planes, rows, columns] = image.geometry.shape;
  SliceGrid grid = slice_grid_of(image.geometry);
  const double width_mm = std::max(static_cast<double>(rows) * grid.row_spacing_mm,
                                   static_cast<double>(columns) * grid.column_spacing_mm);
  const double stretch = scan.contrast * scan.scanned_width_mm / width_mm;
  grid.row_spacing_mm *= stretch;
  grid.column_spacing_mm *= stretch;

  const double air = kMiddle + scan.contrast * (kLabct.grey[0] - kMiddle);
  const double per_cm = labct_per_cm() / scan.contrast;
  const at::Tensor grey = at::from_blob(image.values.data(), {planes, rows, columns}, at::kFloat);
  ScalarGrid fraction =
      coarsened(fraction_of(sample, Tissue::kResidual), image.geometry, kLeastSigma);
  const at::Tensor metal = at::from_blob(fraction.values.data(), grey.sizes(), at::kFloat);
  // What attenuates in a voxel beside the metal, as if it filled the voxel.
  const at::Tensor others =
      ((grey - air) * per_cm - attenuation_per_cm(ct.metal, CtScan::kReferenceKev) * metal)
          .clamp_min(0.0) /
      (1.0 - metal).clamp_min(1e-3);
  grey.copy_(simulate_ct_scan({others, metal}, grid, ct, stream) / per_cm + air);
}

void corrupt_mri(ScalarGrid& image,
                 const TissueGrid& sample,
                 const MriScan& scan,
                 RandomStream stream) {
  const double width_mm = field_of_view_mm(sample.geometry);
  const ScalarGrid distance =
      coarsened({sample.geometry, sample.implant_distance}, image.geometry, kLeastSigma);
  SignalVoid around_implant;
  around_implant.reach_mm = scan.void_size * width_mm;
  around_implant.structure_mm = 0.3 * width_mm;
  add_signal_void(image, distance.values, around_implant, stream.derive("void"));
  apply_bias_field(image, scan.bias, stream.derive("bias"));
  make_rician(image, scan.noise, stream.derive("noise"));
}

}  // namespace triptych
