// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/slice_view.h"

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace triptych {

/// Slices side by side at one scale and one window, with captions, colour bar and a legend of the
/// classes.
///
/// Serves the three planes of a volume as well as panels of one slice (input, output, reference).
Picture draw_row(std::span<const SliceView> slices,
                 const std::vector<LegendClass>& classes = {},
                 const SliceStyle& style = {},
                 const std::string& title = "");

/// What draw_row does with finished panels: a caption from each slice, `legend` below, `title`
/// above.
Picture captioned_row(std::span<const SliceView> slices,
                      const std::vector<Picture>& panels,
                      const std::vector<Picture>& legend,
                      const std::string& title);
/// A swatch and a name, for a legend.
Picture legend_entry(const LegendClass& row);

/// The three slicing planes, named after the axes of patient space (LPS: x to the left, y to the
/// back, z to the head).
enum class Plane { kAxial, kCoronal, kSagittal };

/// axial, coronal and sagittal in a row; `read` is asked once for each plane.
Picture three_planes(const std::function<SliceView(Plane)>& read,
                     const std::vector<LegendClass>& classes = {},
                     const SliceStyle& style = {},
                     const std::string& title = "");

/// A volume in memory, x fastest, then y, then z; the spans belong to the caller.
struct VolumeSpan {
  std::array<int, 3> size_xyz = {0, 0, 0};
  std::array<double, 3> spacing_xyz = {1, 1, 1};
  bool spacing_in_mm = false;
  std::span<const float> values = {};
  std::span<const std::int32_t> labels = {};  ///< empty, or as many as values
};

/// The slice of a volume at `index` along the normal of `plane`. Axial slices show x to the right
/// and y downwards (the radiological view of LPS data); in coronal and sagittal slices z points
/// upwards.
SliceView plane_of(const VolumeSpan& volume, Plane plane, int index);

}  // namespace triptych
