// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/deformable_alignment.h"

#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/ops/confidence.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/fold_removal.h"
#include "framework/ops/local_contrast.h"
#include "framework/ops/mind.h"
#include "framework/ops/similarity.h"
#include "framework/ops/velocity.h"
#include "framework/ops/warp.h"
#include "framework/registration/instance_optimisation.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <Eigen/LU>

namespace triptych {

namespace {

constexpr double kFineRate_voxel = 0.5;  ///< of the descent that corrects the coarser one
constexpr double kSureAgreement = 0.2;   ///< of features: places count fully from here on
constexpr double kSureContrast = 0.4;    ///< the same of grey values
const WarpOptions kRepeatEdge{WarpInterpolation::kLinear, WarpPadding::kEdge};

/// The finest isotropic resolution in mm at which a grid has at most `voxels` voxels; 0 when it has
/// no more as it is.
double working_resolution(Geometry grid, std::int64_t voxels) {
  grid.spacing_known = true;  // pixels are as good a unit here
  const auto fits = [&](double spacing) {
    return grid.resampled_to(grid.spacing.cwiseMax(spacing)).voxels() <= voxels;
  };
  if (fits(0.0)) return 0.0;
  double low = 0.0, high = grid.spacing.maxCoeff();
  while (!fits(high)) high *= 2.0;
  for (int step = 0; step < 40; ++step) {
    const double middle = 0.5 * (low + high);
    (fits(middle) ? high : low) = middle;
  }
  return high;
}

/// The image with voxels of at least `spacing_mm`: means over whole voxels first, so that no second
/// array of the image's size is needed.
RegistrationImage at_resolution(const RegistrationImage& image, double spacing_mm) {
  Index3 cell{1, 1, 1};
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    const double voxels = std::floor(spacing_mm / image.geometry.spacing[axis]);
    cell[a] =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(voxels), 1, image.geometry.shape[a]);
  }
  const Eigen::Vector3d spacing = Eigen::Vector3d::Constant(spacing_mm);
  if (cell == Index3{1, 1, 1}) return coarser(image, spacing);
  const auto means = [&](const at::Tensor& x) {
    const at::IntArrayRef window(cell.data(), cell.size());
    return at::avg_pool3d(x, window, window, 0, true, false);  // incomplete cells at the end too
  };
  RegistrationImage result{means(image.values), pooled_grid(image.geometry, cell), {}};
  for (std::size_t a = 0; a < 3; ++a)
    result.geometry.shape[a] = result.values.size(static_cast<std::int64_t>(a) + 2);
  if (image.mask.defined()) result.mask = (means(image.mask) >= 0.5F).to(at::kFloat);
  return coarser(result, spacing);
}

/// Both images on one grid, that of the fixed image.
struct WorkingPair {
  Geometry grid;
  at::Tensor fixed, moving;                ///< [1, 1, D, H, W]
  at::Tensor fixed_weight, moving_weight;  ///< the same of zeros and ones, or undefined
};

/// Smallest spacing in mm of the axes longer than a voxel.
double finest_spacing(const Geometry& grid) {
  double finest = grid.spacing.maxCoeff();
  for (int axis = 0; axis < 3; ++axis) {
    if (grid.shape[static_cast<std::size_t>(2 - axis)] > 1)
      finest = std::min(finest, grid.spacing[axis]);
  }
  return finest;
}

WorkingPair working_pair(const RegistrationImage& fixed,
                         const RegistrationImage& moving,
                         const AffineMap& start,
                         std::int64_t voxels) {
  const RegistrationImage seen_fixed =
      at_resolution(fixed, working_resolution(fixed.geometry, voxels));
  const double scale = std::cbrt(std::abs(start.matrix.determinant()));
  const RegistrationImage other =
      at_resolution(moving, scale * finest_spacing(seen_fixed.geometry));
  WorkingPair pair{seen_fixed.geometry, seen_fixed.values, {}, seen_fixed.mask, {}};
  const at::Tensor u = displacement_on(start, pair.grid).unsqueeze(0);
  pair.moving = warp(other.values, other.geometry, u, pair.grid, kRepeatEdge);
  const at::Tensor counts = other.mask.defined() ? other.mask : at::ones_like(other.values);
  const at::Tensor seen = warp(counts, other.geometry, u, pair.grid) >= 0.5F;
  if (!seen.any().item<bool>()) {
    throw data_error(
        "deformation: the first alignment leads the whole fixed image outside of the "
        "moving one, or of its mask",
        "give a start that makes them overlap");
  }
  if (pair.fixed_weight.defined() && !seen.logical_and(pair.fixed_weight > 0).any().item<bool>()) {
    throw data_error("deformation: the masks of the two images have no place in common",
                     "give a start that makes them overlap, or other masks");
  }
  if (!seen.all().item<bool>()) pair.moving_weight = seen.to(at::kFloat);
  return pair;
}

at::Tensor pooled(const at::Tensor& x, const Index3& cell) {
  return at::avg_pool3d(x, at::IntArrayRef(cell.data(), cell.size()));
}

at::Tensor pooled_weight(const at::Tensor& weight, const Index3& cell) {
  return weight.defined() ? (pooled(weight, cell) >= 0.5F).to(at::kFloat) : weight;
}

/// Features where they count, and their mean elsewhere, which says nothing.
at::Tensor without_masked(const at::Tensor& features, const at::Tensor& weight) {
  if (!weight.defined()) return features;
  const std::vector<std::int64_t> space{2, 3, 4};
  at::Tensor result = features * weight;
  const at::Tensor mean = result.sum(space, true) / weight.sum(space, true).clamp_min(1.0);
  return result.addcmul_(1.0 - weight, mean);
}

/// Undefined weights are 1 everywhere.
at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? a * b : a;
}

/// The steps from no displacement to the final one. A step counts when it makes the images more
/// alike, by a measure that it does not follow; a first displacement that is given always counts.
class Alignment {
 public:
  Alignment(WorkingPair pair, const DeformationGuide& guide, const DeformationOptions& options)
      : pair_(std::move(pair)),
        guide_(guide),
        options_(options),
        progress_("deformation", options.iterations + options.fine_iterations) {}

  /// [1, 3, D, H, W] in mm on the pair's grid.
  at::Tensor run() {
    Step step = search_and_descend();
    if (options_.fine_iterations > 0)
      step = likelier(unfolded(descend_further(step.field)), step, "fine descent");
    return step.field;
  }
  const Geometry& grid() const { return pair_.grid; }

 private:
  struct Step {
    at::Tensor field;  ///< [1, 3, D, H, W] in mm on the pair's grid
    double likeness;   ///< of the images under it
  };

  /// Mutual information in nats of the images under `field`.
  double likeness(const at::Tensor& field) const {
    at::Tensor counted = at::ones_like(pair_.fixed);
    if (pair_.moving_weight.defined())
      counted = warp(pair_.moving_weight, pair_.grid, field, pair_.grid, kRepeatEdge);
    if (pair_.fixed_weight.defined()) counted = counted * pair_.fixed_weight;
    const at::Tensor seen = warp(pair_.moving, pair_.grid, field, pair_.grid, kRepeatEdge);
    return mutual_information(joint_histogram(pair_.fixed, seen, {}, counted)).item<double>();
  }

  Step scored(const at::Tensor& field) const { return {field, likeness(field)}; }

  Step likelier(const at::Tensor& field, const Step& before, const char* step) const {
    Step after = scored(field);
    if (after.likeness > before.likeness) return after;
    if (after.likeness < before.likeness) {
      TRIPTYCH_LOG(info,
                   "deformation: the {} is left out, it would lower the mutual information from "
                   "{:.4g} to {:.4g}",
                   step,
                   before.likeness,
                   after.likeness);
    }
    return before;
  }

  /// Search and descent share the features.
  Step search_and_descend() {
    const Index3 cell = search_cell(pair_.grid, 2);
    const Geometry grid = pooled_grid(pair_.grid, cell);
    Step start;
    FeaturePair compared;
    {
      const at::Tensor fixed = guide_.features(pair_.fixed, pair_.grid);
      const at::Tensor moving = guide_.features(pair_.moving, pair_.grid);
      if (guide_.first_field) {
        start = scored(guide_.first_field(pair_.fixed, pair_.moving, pair_.grid));
      } else {
        start = scored(zero_field(pair_.grid));
        if (options_.search_width > 0) start = likelier(searched(fixed, moving), start, "search");
      }
      compared.fixed = pooled(fixed, cell);
      compared.moving = pooled(moving, cell);
    }
    compared.fixed_weight = pooled_weight(pair_.fixed_weight, cell);
    compared.moving_weight = pooled_weight(pair_.moving_weight, cell);
    fixed_structure_ = pooled(structure_share(pair_.fixed), cell);
    moving_structure_ = pooled(structure_share(pair_.moving), cell);
    Step step = likelier(descended(compared, start.field, grid), start, "descent");
    fine_confidence_ =
        resample_to_grid(confidence(compared, resample_to_grid(step.field, pair_.grid, grid), grid),
                         grid,
                         pair_.grid);
    return step;
  }

  /// Weights of places for features that are seen through `field`, on its grid: how far the
  /// features agree, where images hold more than noise or agree all the same. Elsewhere the
  /// roughness alone decides, and carries the displacement of the neighbours on.
  at::Tensor confidence(const FeaturePair& compared,
                        const at::Tensor& field,
                        const Geometry& grid) const {
    const at::Tensor voxels = voxels_from_mm(field, grid);
    const auto seen = [&](const at::Tensor& x) { return warp_voxels(x, voxels, kRepeatEdge); };
    at::Tensor weight = compared.fixed_weight;
    if (compared.moving_weight.defined()) weight = product(weight, seen(compared.moving_weight));
    const at::Tensor agreement = local_agreement(compared.fixed, seen(compared.moving), weight);
    const at::Tensor structure = fixed_structure_ * seen(moving_structure_);
    return at::maximum(structure, agreement.square()) *
           (agreement / kSureAgreement).clamp_max_(1.0);
  }

  /// A displacement of voxels of `grid`, from `start`; both on the pair's grid.
  at::Tensor descended(FeaturePair compared, const at::Tensor& start, const Geometry& grid) {
    const at::Tensor coarse_start = resample_to_grid(start, pair_.grid, grid);
    compared.fixed_weight =
        product(compared.fixed_weight, confidence(compared, coarse_start, grid));
    InstanceOptions descent;
    descent.iterations = options_.iterations;
    descent.regularisation = options_.regularisation;
    const at::Tensor found = optimise_displacement(
        std::move(compared), voxels_from_mm(coarse_start, grid), grid, descent, counter(0));
    return unfolded(resample_to_grid(mm_from_voxels(found, grid), grid, pair_.grid));
  }

  at::Tensor searched(const at::Tensor& fixed, const at::Tensor& moving) const {
    ConvexSearchOptions search;
    search.grid_spacing = options_.search_step;
    search.half_width = options_.search_width;
    return convex_search(without_masked(fixed, pair_.fixed_weight),
                         without_masked(moving, pair_.moving_weight),
                         pair_.grid,
                         search);
  }

  /// A further displacement of single voxels, seen through `field`. It compares the grey values
  /// against their surroundings, which say more than features of any modality where both images
  /// show the same contrasts; elsewhere they do not count.
  at::Tensor descend_further(const at::Tensor& field) {
    const auto through = [&](const at::Tensor& image) {
      return image.defined() ? warp(image, pair_.grid, field, pair_.grid, kRepeatEdge) : image;
    };
    const auto contrast = [&](const at::Tensor& image, const at::Tensor& weight) {
      return local_contrast(image, weight).mul_(std::sqrt(kMindVariance));
    };
    const at::Tensor seen = pooled_weight(through(pair_.moving_weight), {1, 1, 1});
    FeaturePair compared{contrast(pair_.fixed, pair_.fixed_weight),
                         contrast(through(pair_.moving), seen),
                         pair_.fixed_weight,
                         seen};
    AgreementOptions about;
    about.radius = LocalContrastOptions{}.radius;
    const at::Tensor counted = product(pair_.fixed_weight, seen);
    const at::Tensor agreement =
        local_agreement(compared.fixed, compared.moving, counted, about).div_(kSureContrast);
    compared.fixed_weight =
        product(compared.fixed_weight, fine_confidence_ * agreement.clamp_max_(1.0));
    InstanceOptions descent;
    descent.iterations = options_.fine_iterations;
    descent.regularisation = options_.regularisation;
    descent.rate_voxel = kFineRate_voxel;
    const at::Tensor found = optimise_displacement(std::move(compared),
                                                   zero_field(pair_.grid),
                                                   pair_.grid,
                                                   descent,
                                                   counter(options_.iterations));
    return compose_displacements(field, pair_.grid, mm_from_voxels(found, pair_.grid), pair_.grid);
  }

  at::Tensor unfolded(const at::Tensor& field) const {
    at::Tensor voxels = voxels_from_mm(field, pair_.grid).contiguous();
    remove_folds(voxels);
    return mm_from_voxels(voxels, pair_.grid);
  }

  static at::Tensor zero_field(const Geometry& grid) {
    return at::zeros({1, 3, grid.shape[0], grid.shape[1], grid.shape[2]});
  }

  std::function<void(std::int64_t)> counter(std::int64_t before) {
    return [this, before](std::int64_t done) {
      check_not_stopped("deformation");
      progress_.update(before + done);
    };
  }

  WorkingPair pair_;
  at::Tensor fixed_structure_, moving_structure_;  ///< on voxels of two
  at::Tensor fine_confidence_;  ///< [1, 1, D, H, W]: weights of the fine descent's features
  const DeformationGuide& guide_;
  const DeformationOptions& options_;
  Progress progress_;
};

}  // namespace

FeatureFunction mind_features() {
  return [](const at::Tensor& image, const Geometry&) { return mind_ssc(image); };
}

DisplacementField align_deformable(const RegistrationImage& fixed,
                                   const RegistrationImage& moving,
                                   const AffineMap& start,
                                   const DeformationGuide& guide,
                                   const DeformationOptions& options) {
  const at::NoGradGuard no_grad;
  Alignment alignment(working_pair(fixed, moving, start, options.voxels), guide, options);
  const at::Tensor field = alignment.run();
  return {alignment.grid(), field[0]};
}

}  // namespace triptych
