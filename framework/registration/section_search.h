// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <cstdint>
#include <string>

namespace triptych {

struct SectionSearchOptions {
  std::string model = "rigid";
  std::int64_t rotations = 1000;

  void visit(auto& field) {
    field("model",
          model,
          "similarity also finds one scale, e.g. of a section that shrank",
          config::OneOf{"rigid", "similarity"});
    field("rotations",
          rotations,
          "directions of the section that are tried, spread over all",
          config::Between{24.0, 100000.0});
  }
};

/// Where a section lies in a volume.
struct SectionPlacement {
  AffineMap volume_from_section;  ///< in mm (LPS)
  double similarity = 0.0;        ///< normalised mutual information - 1, in [0, 1]
  double overlap = 0.0;           ///< share of the section that lies within the volume
  double runner_up = 0.0;         ///< score of the best clearly different place to that of this one
};

/// The place of a 2D section (a cut, histology, a map of a scan; of known
/// spacing) in a volume of the same or another modality, from nothing but the
/// grey values.
///
/// Every direction of a grid of rotations is tried at a lattice of places on
/// coarse images, scored by normalised mutual information (AffineSimilarity),
/// and the best are refined on ever finer ones; where no place stands out, once
/// more at eight times as many. At least half of the section
/// must lie within the volume. Objects that look alike after a rotation, as a
/// screw does about its axis, have no unique place: `runner_up` is then near 1,
/// and so warned of.
///
/// Throws shape_error where `section` is not one voxel thick or `volume` is,
/// geometry_error for a section of unknown spacing, data_error for constant
/// images.
SectionPlacement place_section(const RegistrationImage& section,
                               const RegistrationImage& volume,
                               const SectionSearchOptions& options = {});

}  // namespace triptych
