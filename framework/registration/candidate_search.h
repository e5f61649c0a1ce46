// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/registration/affine_ascent.h"

#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// One resolution of a search.
struct SearchStage {
  double voxels;  ///< along the side of the smaller image
  std::int64_t bins, samples;
  AffineModel model;  ///< at most
  std::size_t kept;   ///< candidates that are refined
  int iterations;
};

struct SearchCandidate {
  AffineMap map;
  AffineScore score;
  bool header = false;  ///< began at the files' own coordinates
};

struct SearchOptions {
  AlignmentFrame frame;
  AffineModel model = AffineModel::kRigid;  ///< at most
  double side_mm = 1.0;                     ///< of the smaller image
  double least_overlap = 0.25;              ///< maps with less do not count
  std::string what;                         ///< name of the work, for its progress
};

/// Throws data_error for an image of one grey value where it counts. `name`
/// stands in the message.
void check_not_constant(const RegistrationImage& image, const std::string& name);

/// Side of a cube, or of a square for planar images, as large as the field of
/// view.
double field_side_mm(const Geometry& grid);

/// Two images at every stage's resolution and the search for the maps under
/// which they fit best.
class CandidateSearch {
 public:
  CandidateSearch(const RegistrationImage& fixed,
                  const RegistrationImage& moving,
                  std::vector<SearchStage> stages,
                  SearchOptions options);

  const RegistrationImage& coarse_fixed() const { return fixed_.front(); }
  const RegistrationImage& coarse_moving() const { return moving_.front(); }
  /// The similarity at the first stage.
  AffineSimilarity coarse_similarity() const { return similarity(0); }

  /// Stage by stage: compares all candidates, refines the best and keeps those
  /// that differ. The one of the header stays as long as the images overlap.
  /// What is left, best first; throws data_error when that is none.
  std::vector<SearchCandidate> run(std::vector<SearchCandidate> candidates) const;

 private:
  AffineSimilarity similarity(std::size_t stage) const;

  std::vector<SearchStage> stages_;
  SearchOptions options_;
  std::vector<RegistrationImage> fixed_,
      moving_;  ///< a stage each, coarse to fine
};

/// Share of the chosen score from which on another candidate makes the choice doubtful.
inline constexpr double kDoubtfulShare = 0.9;

/// Score of the best other candidate relative to that of `chosen`; 0 without
/// another.
double runner_up_share(const std::vector<SearchCandidate>& candidates,
                       const SearchCandidate& chosen);

}  // namespace triptych
