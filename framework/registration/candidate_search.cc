// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/candidate_search.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace triptych {

namespace {

/// Root mean square distance between where two maps bring the fixed positions,
/// about.
double distance_mm(const AffineMap& a, const AffineMap& b, const AffineSimilarity& similarity) {
  const Eigen::Vector3d& centre = similarity.centre_mm();
  const double radius = similarity.radius_mm();
  return std::sqrt((a.map(centre) - b.map(centre)).squaredNorm() +
                   radius * radius / 3.0 * (a.matrix - b.matrix).squaredNorm());
}

/// The best `count` candidates, none within `apart_mm` of a better one, and the
/// header's.
std::vector<SearchCandidate> best_of(std::vector<SearchCandidate> candidates,
                                     const AffineSimilarity& similarity,
                                     std::size_t count,
                                     double apart_mm) {
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.score.value > b.score.value;
  });
  std::vector<SearchCandidate> kept;
  for (const SearchCandidate& candidate : candidates) {
    if (!(candidate.score.value > 0.0)) break;
    if (kept.size() >= count && !candidate.header) continue;
    const auto near = std::find_if(kept.begin(), kept.end(), [&](const SearchCandidate& better) {
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

/// Outside the mask the mean of what counts, so that smoothing mixes nothing
/// foreign in. Images of unknown spacing are taken as they are, in pixels.
RegistrationImage prepared(RegistrationImage image) {
  image.geometry.spacing_known = true;
  if (!image.mask.defined()) return image;
  const at::Tensor inside = image.mask > 0.5;
  image.values = at::where(inside, image.values, image.values.masked_select(inside).mean());
  return image;
}

std::vector<RegistrationImage> pyramid(const RegistrationImage& image,
                                       const std::vector<SearchStage>& stages,
                                       double side_mm) {
  std::vector<RegistrationImage> levels{prepared(image)};
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage)
    levels.push_back(coarser(levels.back(), Eigen::Vector3d::Constant(side_mm / stage->voxels)));
  std::reverse(levels.begin(), levels.end());
  levels.pop_back();
  return levels;
}

template <typename Body>
void for_each_of(std::vector<SearchCandidate>& candidates, std::int64_t grain, const Body& body) {
  const auto count = static_cast<std::int64_t>(candidates.size());
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(candidates[static_cast<std::size_t>(i)]);
  });
}

}  // namespace

void check_not_constant(const RegistrationImage& image, const std::string& name) {
  const at::Tensor counted =
      image.mask.defined() ? image.values.masked_select(image.mask > 0.5) : image.values;
  if (counted.numel() == 0 || counted.min().item<float>() == counted.max().item<float>()) {
    throw data_error("the " + name + " has one grey value only where it counts",
                     image.mask.defined() ? "look at its mask: too few voxels may count"
                                          : "a constant image cannot be aligned");
  }
}

double field_side_mm(const Geometry& grid) {
  double product = 1.0;
  int axes = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = grid.shape[static_cast<std::size_t>(2 - axis)];
    if (size == 1) continue;
    product *= static_cast<double>(size) * grid.spacing[axis];
    ++axes;
  }
  return std::pow(product, 1.0 / std::max(1, axes));
}

CandidateSearch::CandidateSearch(const RegistrationImage& fixed,
                                 const RegistrationImage& moving,
                                 std::vector<SearchStage> stages,
                                 SearchOptions options)
    : stages_(std::move(stages)),
      options_(std::move(options)),
      fixed_(pyramid(fixed, stages_, options_.side_mm)),
      moving_(pyramid(moving, stages_, options_.side_mm)) {}

AffineSimilarity CandidateSearch::similarity(std::size_t stage) const {
  AffineSimilarityOptions similarity;
  similarity.bins = stages_[stage].bins;
  similarity.samples = stages_[stage].samples;
  similarity.least_overlap = options_.least_overlap;
  return {fixed_[stage], moving_[stage], similarity};
}

std::vector<SearchCandidate> CandidateSearch::run(std::vector<SearchCandidate> candidates) const {
  Progress progress(options_.what, static_cast<std::int64_t>(stages_.size()));
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const SearchStage& stage = stages_[s];
    check_not_stopped("first alignment");
    const AffineSimilarity score = similarity(s);
    const double voxel = options_.side_mm / stage.voxels;
    for_each_of(candidates, 16, [&](SearchCandidate& candidate) {
      candidate.score = score.value(candidate.map);
    });
    candidates = best_of(std::move(candidates), score, stage.kept, 0.5 * voxel);
    AscentOptions ascent;
    ascent.model = std::min(options_.model, stage.model);
    ascent.first_step_mm = voxel;
    ascent.tolerance_mm = 0.02 * voxel;
    ascent.iterations = stage.iterations;
    for_each_of(candidates, 1, [&](SearchCandidate& candidate) {
      const AscentResult result = ascend(score, options_.frame, candidate.map, ascent);
      candidate.map = result.map;
      candidate.score = result.score;
    });
    candidates = best_of(std::move(candidates), score, stage.kept, voxel);
    progress.update(static_cast<std::int64_t>(s + 1));
  }
  if (candidates.empty()) {
    throw data_error(fmt::format("{}: no place makes {:.0f} % of the smaller "
                                 "image overlap the other",
                                 options_.what,
                                 100.0 * options_.least_overlap),
                     "check the spacings (mm, not micrometres) and the masks: one image may show "
                     "far more than the other, or too few voxels count");
  }
  return candidates;
}

double runner_up_share(const std::vector<SearchCandidate>& candidates,
                       const SearchCandidate& chosen) {
  double share = 0.0;
  for (const SearchCandidate& other : candidates) {
    if (&other != &chosen) share = std::max(share, other.score.value / chosen.score.value);
  }
  return share;
}

}  // namespace triptych
