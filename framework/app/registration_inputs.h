// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/register_config.h"
#include "framework/app/stored_image.h"
#include "framework/registration/pair_registration.h"
#include "framework/registration/registration_image.h"
#include "framework/registration/registration_metrics.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace triptych::app {

/// What `register` reads: the files of a pair of images and what belongs to them.
struct RegistrationInputs {
  VolumeHeader fixed_header;
  StoredImage moving_image;
  RegistrationImage fixed;   ///< at working resolution
  RegistrationImage moving;  ///< at working resolution
  std::optional<StoredImage> fixed_labels, moving_labels;
  std::optional<Landmarks> fixed_landmarks;
  std::optional<LandmarkPairs> landmarks;

  std::optional<SpatialTransform> reference;  ///< the transform that is known to be right

  bool is_section() const { return is_section_of_volume(fixed.geometry, moving.geometry); }
  bool has_label_pair() const { return fixed_labels && moving_labels; }
};

/// Reads all that is named, and checks that it fits together before anything is computed. The
/// images are brought to a resolution at which their registration fits into the memory.
RegistrationInputs read_registration_inputs(const RegisterKeys& keys, const ImageKeeping& keeping);

/// How to read a file.
using OptionsOf = std::function<ReadOptions(const std::string& file)>;

/// `spacing` [x, y, z] of the command line, empty = as the files say, is for files that state none.
/// Those that state theirs keep it; where all of `files` do, it must agree with them.
OptionsOf read_options(const std::vector<double>& spacing, const std::vector<std::string>& files);

}  // namespace triptych::app
