// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace triptych::app {

/// Keys of `input` in `warp`.
inline constexpr std::array<const char*, 3> kWarpInputs = {"moving", "labels", "points"};

/// Keys of `warp`.
struct WarpConfig {
  std::string transform;
  std::map<std::string, std::string> input;
  std::string output;
  std::string grid;
  bool inverse = false;
  std::string interpolation = "linear";
  double fill = 0.0;
  std::vector<double> spacing;
  std::string memory = "4GB";
  std::string scratch;
  std::int64_t threads = 0;

  void visit(auto& field) {
    field("transform",
          transform,
          "transform file, which maps positions of the fixed image to those of the moving one",
          config::Need::kRequired);
    field("input",
          input,
          "input.moving=<image>, input.labels=<label map of the moving image> or "
          "input.points=<landmarks of the fixed image>",
          config::Need::kRequired);
    field("output", output, "file to write", config::Need::kRequired);
    field("grid",
          grid,
          "image whose grid is taken, normally the fixed one; empty = that of the input. Of "
          "points: the "
          "image whose pixels or voxels they are given in");
    field("inverse",
          inverse,
          "the other way: an image or labels of the fixed image onto the moving one, points of the "
          "moving image to the fixed one");
    field("interpolation",
          interpolation,
          "of an image; labels take the nearest voxel",
          config::OneOf{"linear", "cubic", "nearest"});
    field("fill", fill, "value where the input has none");
    field("spacing", spacing, "voxel size in mm [x, y, z] for files that state none");
    field("memory", memory, "memory for the image, e.g. 4GB; beyond it a scratch file serves");
    field("scratch", scratch, "folder of scratch files; empty = the system's temporary folder");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

}  // namespace triptych::app
