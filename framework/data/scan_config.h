// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// How a raw scan becomes sinograms ready to reconstruct, and the slices they are meant for.
struct ScanConfig {
  struct Datasets {
    std::string data, flats, darks, angles, image_key, pixel_size;
    void visit(auto& field) {
      field("data", data, "dataset of the projections [angle, row, column]");
      field("flats", flats, "dataset of the flats");
      field("darks", darks, "dataset of the darks");
      field("angles", angles, "dataset of the angles");
      field("image_key", image_key, "dataset that says what each frame is, as in NXtomo");
      field("pixel_size", pixel_size, "dataset of the pixel size, with its attribute units");
    }
  };
  struct Phase {
    double delta_beta = 0.0;
    double energy_kev = 0.0;
    double distance_mm = 0.0;
    void visit(auto& field) {
      field("delta_beta",
            delta_beta,
            "delta / beta of the sample for Paganin's phase retrieval; 0 = none",
            config::AtLeast{0});
      field("energy_kev", energy_kev, "photon energy", config::AtLeast{0}, config::Unit{"keV"});
      field("distance_mm",
            distance_mm,
            "from sample to detector",
            config::AtLeast{0},
            config::Unit{"mm"});
    }
  };

  std::string format = "auto";
  Datasets datasets;
  std::string layout = "auto";
  std::string values = "counts";
  config::Node angles;
  std::optional<double> pixel_size_mm;
  std::optional<double> saturation;
  std::int64_t air_margin = 0;
  std::string stripes = "none";
  std::int64_t stripe_window = 9;
  Phase phase;
  config::Node centre{"auto"};
  std::string beam = "parallel";
  double source_to_axis_mm = 0.0;
  double source_to_detector_mm = 0.0;
  bool flip_columns = false;
  std::vector<std::int64_t> views;
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> columns;
  std::int64_t size = 0;
  double voxel_mm = 0.0;
  std::int64_t pad = 0;

  void visit(auto& field) {
    field(
        "format", format, "of an HDF5 scan", config::OneOf{"auto", "dxchange", "nxtomo", "plain"});
    field("datasets", datasets, "datasets of an HDF5 scan in place of the format's");
    field("layout",
          layout,
          "what pictures are: projections, sinograms whose rows are angles, or transposed ones",
          config::OneOf{"auto", "projections", "sinogram", "sinogram_transposed"});
    field("values",
          values,
          "what the numbers are",
          config::OneOf{"counts", "transmission", "line_integrals"});
    field("angles",
          angles,
          "[first, last] in degrees, evenly spaced, both included; or a text file, one a line");
    field("pixel_size_mm",
          pixel_size_mm,
          "detector pixel at the sample, for a fan on the detector; replaces that of the file",
          config::Above{0},
          config::Unit{"mm"});
    field("saturation",
          saturation,
          "count at which the detector is saturated; by itself the highest of 8 or 16 bits",
          config::Above{0});
    field("air_margin",
          air_margin,
          "columns on both sides with air in all projections, to normalise by after the flats or "
          "instead",
          config::AtLeast{0});
    field("stripes", stripes, "what takes out ring artefacts", config::OneOf{"none", "sorting"});
    field("stripe_window",
          stripe_window,
          "columns of the median; odd, more than twice as wide as a stripe",
          config::AtLeast{3});
    field("phase", phase, "single-distance phase retrieval");
    field("centre", centre, "detector column of the rotation axis, or auto, pairs or fourier");
    field("beam",
          beam,
          "rays of a row; fans need the full circle, and every row in the plane of its fan",
          config::OneOf{"parallel", "fan_flat", "fan_curved"});
    field("source_to_axis_mm", source_to_axis_mm, "of a fan", config::AtLeast{0});
    field("source_to_detector_mm", source_to_detector_mm, "of a fan", config::AtLeast{0});
    field("flip_columns", flip_columns, "the detector's columns run the other way");
    field("views",
          views,
          "projections [first, last] or [first, last, step], both included; empty = all");
    field("rows", rows, "detector rows [first, last], both included; empty = all");
    field("columns", columns, "detector columns [first, last], both included; empty = all");
    field("size", size, "pixels of a slice's edge; 0 = the detector's columns", config::AtLeast{0});
    field("voxel_mm",
          voxel_mm,
          "edge of a voxel; 0 = the detector's pixel, at the axis",
          config::AtLeast{0},
          config::Unit{"mm"});
    field("pad",
          pad,
          "columns by which the sinogram is continued, for objects wider than the detector",
          config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

}  // namespace triptych
