// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/grid_map.h"
#include "framework/data/sample.h"

#include <map>
#include <string>
#include <vector>

namespace triptych {

/// What labels become where the output grid reaches beyond the input; intensities and vectors
/// repeat the edge.
enum class LabelOutside {
  kIgnore,  ///< -1, which losses and metrics leave out
  kEdge,    ///< the nearest label
};
/// Reads "ignore" or "edge".
LabelOutside label_outside_from_text(const std::string& text);

/// Whether a transform with the key `frames` (empty = all) moves the entries of `frame`.
bool moves_frame(const std::vector<std::string>& frames, const std::string& frame);

/// The grid of each selected frame (all frames of the sample when `frames` is empty): that of the
/// sample's reference role where it lies in the frame, else of the first entry by name. Throws
/// data_error naming `transform` for a frame that the sample lacks or that holds projections.
std::map<std::string, Geometry> frame_grids(const Sample& sample,
                                            const std::vector<std::string>& frames,
                                            const std::string& transform);

/// Moves all entries of the frames in `maps`, those on a grid of their own by on_grid: intensities
/// linearly, labels by nearest neighbour, points exactly. Vectors without a target frame turn with
/// the content; a displacement field u from frame A to frame B becomes u'(y) = M_B(x + u(x)) - y
/// with x = M_A^-1(y), where M are the maps of the two frames (identity where `maps` has none).
void move_entries(Sample& sample, const std::map<std::string, GridMap>& maps, LabelOutside outside);

}  // namespace triptych
