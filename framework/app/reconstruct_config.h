// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/scan_config.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace triptych::app {

/// Keys of `input` in `reconstruct`.
inline constexpr std::array<const char*, 4> kScanInputs = {
    "projections", "flats", "darks", "metal"};

/// Keys of `reconstruct`.
struct ReconstructConfig : ScanConfig {
  std::map<std::string, std::string> input;
  std::string output;
  std::string method = "fbp";
  std::string run;
  std::string task;
  std::string checkpoint = "best";
  std::string device;
  std::string metal = "none";
  double water = 0.2;
  std::string filter = "ram_lak";
  std::int64_t iterations = 0;
  double stop_residual = 0.0;
  double tv_weight = 0.01;
  bool non_negative = false;
  std::int64_t views_between = 0;
  std::string memory = "2GB";
  std::int64_t threads = 0;

  void visit(auto& field) {
    field("input",
          input,
          "input.projections=<file.h5, folder, stack or sinogram> [input.flats= input.darks=] "
          "[input.metal=<mask of the slices>]",
          config::Need::kRequired);
    field("output", output, "volume to write", config::Need::kRequired);
    field("method", method, "how", config::OneOf{"fbp", "iterated_fbp", "sirt", "tv", "learned"});
    field("run", run, "run directory of a trained reconstruction, for method=learned");
    field("task", task, "task of the run; may be left out when there is one");
    field("checkpoint", checkpoint, "which weights", config::OneOf{"best", "last"});
    field("device", device, "device of method=learned; empty = as in training");
    ScanConfig::visit(field);
    field("metal",
          metal,
          "what projections behind the metal of input.metal become: interpolated (li), normalised "
          "and interpolated (nmar); method=learned does as it was trained",
          config::OneOf{"none", "li", "nmar"});
    field("water", water, "attenuation of water in the slices' unit, for nmar", config::Above{0});
    field("filter",
          filter,
          "window on the ramp of fbp",
          config::OneOf{"ram_lak", "shepp_logan", "cosine", "hamming", "hann"});
    field("iterations",
          iterations,
          "at most; 0 = 100 of sirt and tv, 2 of iterated_fbp, which after its first "
          "reconstruction leaves projections behind metal out",
          config::AtLeast{0});
    field("stop_residual",
          stop_residual,
          "iterations stop at this relative residual; 0 = never",
          config::AtLeast{0});
    field("tv_weight", tv_weight, "weight of the total variation in tv", config::AtLeast{0});
    field("non_negative", non_negative, "iterations keep values at or above zero");
    field("views_between",
          views_between,
          "views that sirt or tv give between neighbouring measured ones, for a filtered back "
          "projection of all",
          config::AtLeast{0});
    field("memory", memory, "memory for a block of slices, e.g. 2GB");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

}  // namespace triptych::app
