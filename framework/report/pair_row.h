// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/plane_row.h"

#include <span>
#include <string>

namespace triptych {

// Two images on one grid, seen together: slices of the fixed one and those of the warped one in the
// same order and of the same sizes, grey values scaled to [0, 1].

/// Fields of the two images in turn, about `fields` along the longer side.
Picture draw_checkerboard(std::span<const SliceView> fixed,
                          std::span<const SliceView> warped,
                          const std::string& title,
                          int fields = 8);

/// The fixed image in orange, the warped one in blue: what fits is grey.
Picture draw_overlay(std::span<const SliceView> fixed,
                     std::span<const SliceView> warped,
                     const std::string& title);

/// Displacements within a slice, in pixels of the slice to the right and downwards.
struct SliceDisplacement {
  FloatImage right;
  FloatImage down;
};

/// The slices with a regular grid of lines on it after the displacement.
Picture draw_deformed_grid(std::span<const SliceView> slices,
                           std::span<const SliceDisplacement> displacements,
                           const std::string& title);

}  // namespace triptych
