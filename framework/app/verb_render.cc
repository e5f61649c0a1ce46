// SPDX-License-Identifier: Apache-2.0
#include "framework/app/class_legend.h"
#include "framework/app/engine.h"
#include "framework/app/run_files.h"
#include "framework/config/fields.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/image/resample.h"

#include <cstdio>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

struct RenderConfig {
  std::map<std::string, std::string> input;
  std::string output;
  std::vector<double> window;
  std::vector<std::int64_t> index;
  std::vector<double> spacing;
  std::string colour_map = "gray";
  std::string title;
  double fill = 0.0;

  void visit(auto& field) {
    field("input", input, "input.image=<file> [input.label=<file>]", config::Need::kRequired);
    field("output", output, "picture to write (.png)", config::Need::kRequired);
    field("window",
          window,
          "grey values [lo, hi] shown as black and white; empty = percentiles 0.5 and 99.5");
    field("index",
          index,
          "voxel [D, H, W] that the three planes meet in; empty = centre of the labels or of the "
          "image");
    field("spacing", spacing, "voxel size in mm [x, y, z] for files that state none");
    field("colour_map", colour_map, "colours of values", config::OneOf{"gray", "viridis", "rdbu"});
    field("title", title, "text above the planes; empty = the file's name");
    field("fill", fill, "opacity of the labels' interior", config::Between{0.0, 1.0});
  }
  void validate(config::Problems& problems) const {
    for (const auto& [role, file] : input) {
      if (role != "image" && role != "label")
        problems.add("input",
                     fmt::format("expects input.image or input.label, got input.{}", role));
    }
    if (!input.contains("image")) problems.add("input", "expects input.image=<file>");
    if (file_extension(output) != ".png")
      problems.add("output", fmt::format("expects a file that ends in .png, got '{}'", output));
    if (!window.empty() && (window.size() != 2 || window[0] >= window[1]))
      problems.add("window", "expects [lo, hi] with lo < hi");
    if (!index.empty() && index.size() != 3)
      problems.add("index", "expects three indices [D, H, W]");
    if (!spacing.empty() && spacing.size() != 3)
      problems.add("spacing", "expects three values [x, y, z] in mm");
  }
};

/// Mean index of labelled voxels, so that the planes show something.
Index3 centre_of(const Volume& image, const at::Tensor& labels) {
  Index3 centre = {
      image.geometry.shape[0] / 2, image.geometry.shape[1] / 2, image.geometry.shape[2] / 2};
  if (!labels.defined()) return centre;
  const at::Tensor where = labels[0].gt(0).nonzero();
  if (where.size(0) == 0) return centre;
  const at::Tensor mean = where.to(at::kDouble).mean(0);
  for (int axis = 0; axis < 3; ++axis)
    centre[axis] = static_cast<std::int64_t>(mean[axis].item<double>());
  return centre;
}

ClassTable classes_in(const at::Tensor& labels) {
  return numbered_classes(labels.defined() ? labels.max().item<std::int64_t>() + 1 : 1);
}

}  // namespace

int render(const CommandLine& command) {
  const auto config = config::read<RenderConfig>(words_to_node(command));
  check_keeps_inputs(config.input, config.output);
  ReadOptions options;
  options.color = ColorMode::kGrey;
  if (!config.spacing.empty())
    options.spacing_mm = Eigen::Vector3d(config.spacing[0], config.spacing[1], config.spacing[2]);
  Volume image = reorient(read_volume(config.input.at("image"), options), "LPS");
  at::Tensor labels;
  if (const auto found = config.input.find("label"); found != config.input.end()) {
    Volume volume = reorient(read_labels(found->second, options), "LPS");
    check_label_range(volume.data, found->second);
    check_same_grid(image.geometry, config.input.at("image"), volume.geometry, found->second);
    labels = volume.data.to(at::kInt).contiguous();
  }
  const at::Tensor values = image.data.narrow(0, 0, 1).to(at::kFloat).contiguous();
  const Index3 centre = config.index.empty()
                            ? centre_of(image, labels)
                            : Index3{config.index[0], config.index[1], config.index[2]};

  VolumeSpan span;
  for (int axis = 0; axis < 3; ++axis) {
    span.size_xyz[axis] = static_cast<int>(image.geometry.shape[2 - axis]);
    span.spacing_xyz[axis] = image.geometry.spacing[axis];
    if (centre[axis] < 0 || centre[axis] >= image.geometry.shape[axis]) {
      throw usage_error(fmt::format("index: {} is outside of the axis of {} voxels",
                                    centre[axis],
                                    image.geometry.shape[axis]));
    }
  }
  span.spacing_in_mm = image.geometry.spacing_known;
  span.values = {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())};
  if (labels.defined())
    span.labels = {labels.data_ptr<std::int32_t>(), static_cast<std::size_t>(labels.numel())};
  SliceStyle style;
  style.colour_map = colour_map_from_name(config.colour_map);
  style.fill_alpha = config.fill;
  if (!config.window.empty()) style.window = Window{config.window[0], config.window[1]};
  const std::string title =
      config.title.empty() ? std::filesystem::path(config.input.at("image")).filename().string()
                           : config.title;

  const auto legend = legend_of(classes_in(labels));
  const auto plane_at = [&](Plane plane) {
    const int axis = plane == Plane::kAxial ? 0 : plane == Plane::kCoronal ? 1 : 2;
    return plane_of(span, plane, static_cast<int>(centre[axis]));
  };
  if (image.geometry.is_2d()) {
    const SliceView view = plane_at(Plane::kAxial);
    write_png(config.output, draw_row({&view, 1}, legend, style, title));
  } else {
    write_png(config.output, three_planes(plane_at, legend, style, title));
  }
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
