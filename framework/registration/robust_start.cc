// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/robust_start.h"

#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/registration/start_candidates.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace triptych {

namespace {

constexpr double kTrustedHeader = 0.95;  ///< share of the best score at which the header wins
constexpr double kDoubtful = 0.9;        ///< share of the best score that another map may reach
constexpr double kSmallOverlap = 0.4;

/// One resolution of the search.
struct Stage {
  double voxels;  ///< along a side of the smaller image
  std::int64_t bins, samples;
  AffineModel model;  ///< at most
  std::size_t kept;   ///< candidates that are refined
  int iterations;
};

std::vector<Stage> search_stages(bool planar) {
  using enum AffineModel;
  if (planar) {
    return {{32.0, 12, 2000, kRigid, 200, 30},
            {64.0, 16, 4000, kSimilarity, 24, 40},
            {128.0, 32, 20000, kAffine, 6, 60},
            {256.0, 32, 80000, kAffine, 2, 80}};
  }
  return {{24.0, 12, 2000, kRigid, 200, 30},
          {24.0, 16, 8000, kSimilarity, 30, 30},
          {48.0, 24, 20000, kSimilarity, 6, 40},
          {96.0, 32, 60000, kAffine, 2, 60}};
}

struct Candidate {
  AffineMap map;
  AffineScore score;
  bool header = false;  ///< began at the files' own coordinates
};

/// Root mean square distance between where two maps bring the fixed positions, about.
double distance_mm(const AffineMap& a, const AffineMap& b, const AffineSimilarity& similarity) {
  const Eigen::Vector3d& centre = similarity.centre_mm();
  const double radius = similarity.radius_mm();
  return std::sqrt((a.map(centre) - b.map(centre)).squaredNorm() +
                   radius * radius / 3.0 * (a.matrix - b.matrix).squaredNorm());
}

/// The best `count` candidates, none within `apart_mm` of a better one, and the header's.
std::vector<Candidate> best_of(std::vector<Candidate> candidates,
                               const AffineSimilarity& similarity,
                               std::size_t count,
                               double apart_mm) {
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.score.value > b.score.value;
  });
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    if (!(candidate.score.value > 0.0)) break;
    if (kept.size() >= count && !candidate.header) continue;
    const auto near = std::find_if(kept.begin(), kept.end(), [&](const Candidate& better) {
      return distance_mm(better.map, candidate.map, similarity) < apart_mm;
    });
    if (near == kept.end()) {
      kept.push_back(candidate);
    } else {
      near->header = near->header || candidate.header;
    }
  }
  return kept;
}

AffineModel model_of(const std::string& name) {
  if (name == "translation") return AffineModel::kTranslation;
  if (name == "rigid") return AffineModel::kRigid;
  return name == "similarity" ? AffineModel::kSimilarity : AffineModel::kAffine;
}

/// Of a cube, or a square, as large as the field of view.
double side_mm(const Geometry& grid, bool planar) {
  double product = 1.0;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = grid.shape[static_cast<std::size_t>(2 - axis)];
    if (size > 1) product *= static_cast<double>(size) * grid.spacing[axis];
  }
  return planar ? std::sqrt(product) : std::cbrt(product);
}

/// Outside the mask the mean of what counts, so that smoothing mixes nothing foreign in. Images of
/// unknown spacing are taken as they are, in pixels.
RegistrationImage prepared(RegistrationImage image, const std::string& name) {
  image.geometry.spacing_known = true;
  const at::Tensor inside = image.mask.defined() ? image.mask > 0.5 : at::Tensor();
  const at::Tensor counted = inside.defined() ? image.values.masked_select(inside) : image.values;
  if (counted.numel() == 0 || counted.min().item<float>() == counted.max().item<float>()) {
    throw data_error("the " + name + " image has one grey value only where it counts",
                     "a constant image cannot be aligned");
  }
  if (inside.defined()) image.values = at::where(inside, image.values, counted.mean());
  return image;
}

/// Two images at every resolution, coarse to fine.
std::vector<RegistrationImage> pyramid(const RegistrationImage& image,
                                       const std::vector<Stage>& stages,
                                       double side) {
  std::vector<RegistrationImage> levels{image};
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage)
    levels.push_back(coarser(levels.back(), Eigen::Vector3d::Constant(side / stage->voxels)));
  std::reverse(levels.begin(), levels.end());
  levels.pop_back();
  return levels;
}

class StartSearch {
 public:
  StartSearch(const RegistrationImage& fixed,
              const RegistrationImage& moving,
              const RobustStartOptions& options)
      : frame_(alignment_frame(fixed.geometry, moving.geometry)),
        model_(model_of(options.model)),
        largest_rad_(model_ == AffineModel::kTranslation
                         ? 0.0
                         : options.largest_rotation_deg * std::numbers::pi / 180.0),
        stages_(search_stages(frame_.planar)),
        side_(std::min(side_mm(fixed.geometry, frame_.planar),
                       side_mm(moving.geometry, frame_.planar))),
        fixed_(pyramid(prepared(fixed, "fixed"), stages_, side_)),
        moving_(pyramid(prepared(moving, "moving"), stages_, side_)) {}

  StartReport run() {
    for (const AffineMap& map :
         start_candidates(fixed_.front(), moving_.front(), frame_, largest_rad_))
      candidates_.push_back({map, {}, candidates_.empty()});
    StartReport report;
    report.candidates = static_cast<std::int64_t>(candidates_.size());
    Progress progress("first alignment", static_cast<std::int64_t>(stages_.size()));
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      refine(s);
      progress.update(static_cast<std::int64_t>(s + 1));
    }
    const Candidate& chosen = choose();
    report.moving_from_fixed = chosen.map;
    report.similarity = chosen.score.similarity;
    report.overlap = chosen.score.overlap;
    for (const Candidate& other : candidates_) {
      if (&other != &chosen)
        report.runner_up = std::max(report.runner_up, other.score.value / chosen.score.value);
    }
    return report;
  }

 private:
  void refine(std::size_t s) {
    const Stage& stage = stages_[s];
    const double voxel = side_ / stage.voxels;
    AffineSimilarityOptions options;
    options.bins = stage.bins;
    options.samples = stage.samples;
    const AffineSimilarity similarity(fixed_[s], moving_[s], options);
    for_candidates(
        16, [&](Candidate& candidate) { candidate.score = similarity.value(candidate.map); });
    candidates_ = best_of(std::move(candidates_), similarity, stage.kept, 0.5 * voxel);
    AscentOptions ascent;
    ascent.model = std::min(model_, stage.model);
    ascent.first_step_mm = voxel;
    ascent.tolerance_mm = 0.02 * voxel;
    ascent.iterations = stage.iterations;
    for_candidates(1, [&](Candidate& candidate) {
      const AscentResult result = ascend(similarity, frame_, candidate.map, ascent);
      candidate.map = result.map;
      candidate.score = result.score;
    });
    candidates_ = best_of(std::move(candidates_), similarity, stage.kept, voxel);
    if (candidates_.empty()) {
      throw data_error("no alignment makes a quarter of the smaller image overlap the other",
                       "check the masks: too few voxels may count");
    }
  }

  template <typename Body>
  void for_candidates(std::int64_t grain, const Body& body) {
    parallel_for(static_cast<std::int64_t>(candidates_.size()),
                 grain,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     body(candidates_[static_cast<std::size_t>(i)]);
                 });
  }

  const Candidate& choose() const {
    for (const Candidate& candidate : candidates_) {
      if (candidate.header &&
          candidate.score.value >= kTrustedHeader * candidates_.front().score.value)
        return candidate;
    }
    return candidates_.front();
  }

  AlignmentFrame frame_;
  AffineModel model_;
  double largest_rad_;
  std::vector<Stage> stages_;
  double side_;
  std::vector<RegistrationImage> fixed_, moving_;
  std::vector<Candidate> candidates_;
};

void warn_of_doubt(const StartReport& report) {
  if (report.runner_up > kDoubtful) {
    TRIPTYCH_LOG(warning,
                 "first alignment: a clearly different one scores {:.0f} % of the chosen one; look "
                 "at the result, or start from landmarks",
                 100.0 * report.runner_up);
  }
  if (report.overlap < kSmallOverlap) {
    TRIPTYCH_LOG(warning,
                 "first alignment: only {:.0f} % of the smaller image lies within the other",
                 100.0 * report.overlap);
  }
}

}  // namespace

StartReport find_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options) {
  if (options.model == "none") return {};
  const at::NoGradGuard no_grad;
  const StartReport report = StartSearch(fixed, moving, options).run();
  warn_of_doubt(report);
  return report;
}

AffineMap robust_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options) {
  return find_start(fixed, moving, options).moving_from_fixed;
}

}  // namespace triptych
