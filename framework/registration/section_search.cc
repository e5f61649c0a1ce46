// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/section_search.h"

#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/parallel.h"
#include "framework/registration/candidate_search.h"
#include "framework/registration/start_candidates.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

namespace triptych {

namespace {

constexpr double kLeastOverlap = 0.5;
constexpr std::size_t kKeptPlaces = 2;  ///< of each rotation
/// Share of the runner-up from which on a search was too coarse: the right place of an image
/// without symmetry scores several times as high as any other.
constexpr double kUnclearShare = 0.75;

/// Places that a search tries.
struct Lattice {
  double step;        ///< of the section's side
  std::int64_t most;  ///< places along an axis of the volume
};
constexpr Lattice kCoarse{0.3, 9}, kFine{0.15, 18};

std::vector<SearchStage> section_stages() {
  using enum AffineModel;
  return {{24.0, 8, 600, kRigid, 500, 30},
          {48.0, 12, 2400, kRigid, 60, 40},
          {96.0, 20, 10000, kRigid, 8, 50},
          {192.0, 24, 40000, kSimilarity, 2, 60}};
}

void check_section_and_volume(const RegistrationImage& section, const RegistrationImage& volume) {
  if (axes_of_one_voxel(section.geometry) != 1 || axes_of_one_voxel(volume.geometry) != 0) {
    throw shape_error("expected a section of one slice and a volume, got " +
                          section.geometry.text() + " and " + volume.geometry.text(),
                      "two sections or two volumes are aligned by another method");
  }
  if (!section.geometry.spacing_known) {
    throw geometry_error("the section states no spacing, so its size in the volume is unknown",
                         "give the spacing in mm");
  }
  check_not_constant(section, "section");
  check_not_constant(volume, "volume");
}

/// Places for the middle of the section, spread evenly over the volume.
std::vector<Eigen::Vector3d> places_in(const Geometry& volume,
                                       double side_mm,
                                       const Lattice& lattice) {
  std::array<std::int64_t, 3> count{};
  for (int axis = 0; axis < 3; ++axis) {
    const double extent = static_cast<double>(volume.shape[static_cast<std::size_t>(2 - axis)]) *
                          volume.spacing[axis];
    const auto wanted = static_cast<std::int64_t>(std::ceil(extent / (lattice.step * side_mm)));
    count[static_cast<std::size_t>(axis)] = std::clamp<std::int64_t>(wanted, 1, lattice.most);
  }
  std::vector<Eigen::Vector3d> places;
  for (std::int64_t z = 0; z < count[2]; ++z) {
    for (std::int64_t y = 0; y < count[1]; ++y) {
      for (std::int64_t x = 0; x < count[0]; ++x) {
        const auto along = [&](std::int64_t i, std::size_t axis) {
          const auto size = static_cast<double>(volume.shape[2 - axis]);
          return (static_cast<double>(i) + 0.5) / static_cast<double>(count[axis]) * size - 0.5;
        };
        places.push_back(volume.world_from_index({along(x, 0), along(y, 1), along(z, 2)}));
      }
    }
  }
  return places;
}

/// The best places of each rotation.
std::vector<SearchCandidate> first_places(const AffineSimilarity& similarity,
                                          const std::vector<Eigen::Matrix3d>& rotations,
                                          const std::vector<Eigen::Vector3d>& places) {
  std::vector<SearchCandidate> best(rotations.size() * kKeptPlaces);
  const auto count = static_cast<std::int64_t>(rotations.size());
  parallel_for(count, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Eigen::Matrix3d& rotation = rotations[static_cast<std::size_t>(i)];
      std::vector<SearchCandidate> tried;
      for (const Eigen::Vector3d& place : places) {
        const AffineMap map{rotation, place - rotation * similarity.centre_mm()};
        tried.push_back({map, similarity.value(map), false});
      }
      const auto kept = std::min(kKeptPlaces, tried.size());
      std::partial_sort(tried.begin(),
                        tried.begin() + static_cast<std::ptrdiff_t>(kept),
                        tried.end(),
                        [](const SearchCandidate& a, const SearchCandidate& b) {
                          return a.score.value > b.score.value;
                        });
      std::copy_n(tried.begin(), kept, best.begin() + i * static_cast<std::int64_t>(kKeptPlaces));
    }
  });
  return best;
}

SectionPlacement search_places(const CandidateSearch& search,
                               const std::vector<Eigen::Matrix3d>& rotations,
                               const std::vector<Eigen::Vector3d>& places) {
  const std::vector<SearchCandidate> candidates =
      search.run(first_places(search.coarse_similarity(), rotations, places));
  const SearchCandidate& chosen = candidates.front();
  return {chosen.map,
          chosen.score.similarity,
          chosen.score.overlap,
          runner_up_share(candidates, chosen)};
}

}  // namespace

SectionPlacement place_section(const RegistrationImage& section,
                               const RegistrationImage& volume,
                               const SectionSearchOptions& options) {
  const at::NoGradGuard no_grad;
  check_section_and_volume(section, volume);
  SearchOptions search_options;
  search_options.model = options.model == "rigid" ? AffineModel::kRigid : AffineModel::kSimilarity;
  search_options.side_mm = field_side_mm(section.geometry);
  search_options.least_overlap = kLeastOverlap;
  search_options.what = "placing the section";
  const CandidateSearch search(section, volume, section_stages(), search_options);
  const std::vector<Eigen::Matrix3d> rotations = rotation_grid(options.rotations, std::numbers::pi);
  const auto searched = [&](const Lattice& lattice) {
    const Geometry& grid = search.coarse_moving().geometry;
    return search_places(search, rotations, places_in(grid, search_options.side_mm, lattice));
  };
  SectionPlacement placement = searched(kCoarse);
  if (placement.runner_up > kUnclearShare) {
    const SectionPlacement finer = searched(kFine);
    if (finer.similarity > placement.similarity) placement = finer;
  }
  if (placement.runner_up > kDoubtfulShare) {
    TRIPTYCH_LOG(warning,
                 "section: a clearly different place scores {:.0f} % of the "
                 "chosen one; look at the "
                 "result, or place it by landmarks",
                 100.0 * placement.runner_up);
  }
  return placement;
}

}  // namespace triptych
