// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace triptych::app {

/// Keys of `input` in `register`.
inline constexpr std::array<const char*, 8> kPairInputs = {"fixed",
                                                           "moving",
                                                           "fixed_mask",
                                                           "moving_mask",
                                                           "fixed_labels",
                                                           "moving_labels",
                                                           "fixed_landmarks",
                                                           "moving_landmarks"};

/// Keys of `register` beside those of the alignment itself (`start`, `deformation`).
struct RegisterKeys {
  std::map<std::string, std::string> input;
  std::string output;
  std::string start_from = "images";
  std::string initial;
  std::string reference;
  std::string run;
  std::string task;
  std::string checkpoint = "best";
  std::string features = "auto";
  std::vector<double> spacing;
  std::string interpolation = "linear";
  std::optional<double> fill;
  bool displacement = true;
  bool pictures = true;
  bool overwrite = false;
  std::string memory = "4GB";
  std::string scratch;
  std::int64_t threads = 0;

  void visit(auto& field) {
    field("input",
          input,
          "input.fixed=<image> input.moving=<image> [input.fixed_mask= input.moving_mask=] "
          "[input.fixed_labels= input.moving_labels=] [input.fixed_landmarks= "
          "input.moving_landmarks=]",
          config::Need::kRequired);
    field("output", output, "folder to write", config::Need::kRequired);
    field("start_from",
          start_from,
          "what the first alignment is found from: the grey values, landmarks of both images, the "
          "centres of labels of both images, or their poses in a canonical frame (run=)",
          config::OneOf{"images", "landmarks", "labels", "canonical"});
    field("initial", initial, "transform file to start from in place of a first alignment");
    field("reference",
          reference,
          "transform file that is known to be right; the scores say how far it is");
    field("run",
          run,
          "run directory of a training whose head descriptor, registration_svf or "
          "registration_convex helps the deformation, or canonical_pose the first alignment");
    field("task", task, "task of the run; may be left out when only one has such a head");
    field("checkpoint", checkpoint, "which weights of the run", config::OneOf{"best", "last"});
    field("features",
          features,
          "what the deformation compares: MIND-SSC, the run's descriptors, or both; auto = both "
          "with a run that has descriptors, else mind",
          config::OneOf{"auto", "mind", "learned", "both"});
    field("spacing", spacing, "voxel size in mm [x, y, z] for files that state none");
    field("interpolation",
          interpolation,
          "of the warped image",
          config::OneOf{"linear", "cubic", "nearest"});
    field("fill",
          fill,
          "value of the warped image where the moving one has none; by itself the moving image's "
          "lowest");
    field("displacement",
          displacement,
          "also write the displacement at every voxel of the fixed "
          "image");
    field("pictures", pictures, "also write pictures");
    field("overwrite", overwrite, "replace the folder that an earlier registration wrote");
    field("memory",
          memory,
          "memory for images and work, e.g. 4GB; larger images are aligned on a "
          "coarser grid");
    field("scratch", scratch, "folder of scratch files; empty = the system's temporary folder");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

}  // namespace triptych::app
