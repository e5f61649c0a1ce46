// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/robust_start.h"

#include "framework/core/log.h"
#include "framework/registration/candidate_search.h"
#include "framework/registration/start_candidates.h"

#include <algorithm>
#include <functional>
#include <numbers>

#include <ATen/ATen.h>

namespace triptych {

namespace {

constexpr double kTrustedHeader = 0.95;  ///< share of the best score at which the header wins
constexpr double kSmallOverlap = 0.4;

std::vector<SearchStage> start_stages(bool planar) {
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

AffineModel model_of(const std::string& name) {
  if (name == "translation") return AffineModel::kTranslation;
  if (name == "rigid") return AffineModel::kRigid;
  return name == "similarity" ? AffineModel::kSimilarity : AffineModel::kAffine;
}

const SearchCandidate& choose(const std::vector<SearchCandidate>& candidates) {
  const double enough = kTrustedHeader * candidates.front().score.value;
  const auto header =
      std::find_if(candidates.begin(), candidates.end(), [&](const auto& candidate) {
        return candidate.header && candidate.score.value >= enough;
      });
  return header == candidates.end() ? candidates.front() : *header;
}

void warn_of_doubt(const StartReport& report) {
  if (report.runner_up > kDoubtfulShare) {
    TRIPTYCH_LOG(warning,
                 "first alignment: a clearly different one scores {:.0f} % of "
                 "the chosen one; look "
                 "at the result, or start from landmarks",
                 100.0 * report.runner_up);
  }
  if (report.overlap < kSmallOverlap) {
    TRIPTYCH_LOG(warning,
                 "first alignment: only {:.0f} % of the smaller image lies "
                 "within the other",
                 100.0 * report.overlap);
  }
}

/// First guesses from the coarsest images; the files' own coordinates, where they are among them,
/// come first.
using Guesses = std::function<std::vector<SearchCandidate>(const CandidateSearch& search)>;

StartReport best_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options,
                       const AlignmentFrame& frame,
                       const Guesses& guesses_of) {
  const at::NoGradGuard no_grad;
  SearchOptions search_options;
  search_options.frame = frame;
  search_options.model = model_of(options.model);
  search_options.side_mm = std::min(field_side_mm(fixed.geometry), field_side_mm(moving.geometry));
  search_options.what = "first alignment";
  check_not_constant(fixed, "fixed image");
  check_not_constant(moving, "moving image");
  const CandidateSearch search(fixed, moving, start_stages(frame.planar), search_options);
  std::vector<SearchCandidate> guesses = guesses_of(search);
  StartReport report;
  report.candidates = static_cast<std::int64_t>(guesses.size());
  const std::vector<SearchCandidate> candidates = search.run(std::move(guesses));
  const SearchCandidate& chosen = choose(candidates);
  report.moving_from_fixed = chosen.map;
  report.similarity = chosen.score.similarity;
  report.overlap = chosen.score.overlap;
  report.runner_up = runner_up_share(candidates, chosen);
  warn_of_doubt(report);
  return report;
}

}  // namespace

StartReport find_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options) {
  if (options.model == "none") return {};
  const AlignmentFrame frame = alignment_frame(fixed.geometry, moving.geometry);
  const bool turns = options.model != "translation";
  const double largest_rad = turns ? options.largest_rotation_deg * std::numbers::pi / 180.0 : 0.0;
  return best_start(fixed, moving, options, frame, [&](const CandidateSearch& search) {
    std::vector<SearchCandidate> guesses;
    for (const AffineMap& map :
         start_candidates(search.coarse_fixed(), search.coarse_moving(), frame, largest_rad))
      guesses.push_back({map, {}, guesses.empty()});
    return guesses;
  });
}

StartReport refine_start(const RegistrationImage& fixed,
                         const RegistrationImage& moving,
                         const AffineMap& guess,
                         const RobustStartOptions& options) {
  constexpr double kLargest_rad = 30.0 * std::numbers::pi / 180.0;
  const AlignmentFrame frame = alignment_frame(fixed.geometry, moving.geometry);
  return best_start(fixed, moving, options, frame, [&](const CandidateSearch&) {
    std::vector<SearchCandidate> guesses;
    for (const AffineMap& map : candidates_near(guess, fixed.geometry, frame, kLargest_rad))
      guesses.push_back({map, {}, false});
    return guesses;
  });
}

AffineMap robust_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options) {
  return find_start(fixed, moving, options).moving_from_fixed;
}

}  // namespace triptych
