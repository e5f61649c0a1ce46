// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <filesystem>
#include <optional>
#include <string>

namespace triptych {

/// What a small file beside an image says about its grid: JSON or YAML with `spacing` (x, y, z in
/// mm; one number for all axes) and optionally `origin` (3) and `direction` (9, row by row; or 3
/// rows), or plain text with one or three numbers in mm.
struct Sidecar {
  std::filesystem::path file;
  std::optional<Eigen::Vector3d> spacing;
  std::optional<Eigen::Vector3d> origin;
  std::optional<Eigen::Matrix3d> direction;
};

/// Throws data_error for a file that does not parse; a JSON or YAML file without these keys says
/// nothing.
Sidecar read_sidecar(const std::filesystem::path& file);

/// `<name>.json` beside an image, if it exists.
std::optional<Sidecar> sidecar_of_file(const std::filesystem::path& image);
/// `spacing.json`, `spacing.yaml`, `spacing.yml` or `spacing.txt` in a folder of slices, else in
/// its parent folder.
std::optional<Sidecar> sidecar_of_folder(const std::filesystem::path& folder);

/// Spacing from the sidecar; one that the image itself states must agree within 1 %.
void apply_sidecar(const Sidecar& sidecar, Geometry& geometry, const std::string& place);

/// JSON with every digit; without `spacing` when that is unknown.
std::string sidecar_text(const Geometry& geometry);

}  // namespace triptych
