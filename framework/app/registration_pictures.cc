// SPDX-License-Identifier: Apache-2.0
#include "framework/app/registration_pictures.h"

#include "framework/image/resample.h"
#include "framework/ops/warp.h"
#include "framework/report/pair_row.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

using Views = std::vector<SliceView>;

std::vector<Plane> planes_of(const Geometry& grid) {
  if (grid.is_2d()) return {Plane::kAxial};
  return {Plane::kAxial, Plane::kCoronal, Plane::kSagittal};
}

/// The planes through the middle of values [D, H, W] on a grid of orientation LPS.
Views views_of(const at::Tensor& values, const Geometry& grid) {
  const at::Tensor contiguous = values.to(at::kFloat).contiguous();
  VolumeSpan span;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    span.size_xyz[axis] = static_cast<int>(grid.shape[2 - axis]);
    span.spacing_xyz[axis] = grid.spacing[static_cast<Eigen::Index>(axis)];
  }
  span.spacing_in_mm = grid.spacing_known;
  span.values = {contiguous.data_ptr<float>(), static_cast<std::size_t>(contiguous.numel())};
  Views views;
  for (const Plane plane : planes_of(grid)) {
    const std::size_t axis = plane == Plane::kAxial ? 0 : plane == Plane::kCoronal ? 1 : 2;
    views.push_back(plane_of(span, plane, static_cast<int>(grid.shape[axis] / 2)));
  }
  return views;
}

/// Of all values, finite ones.
Window window_of(const at::Tensor& values) {
  const at::Tensor contiguous = values.contiguous();
  return percentile_window(
      {contiguous.data_ptr<float>(), static_cast<std::size_t>(contiguous.numel())});
}

class PairPainter {
 public:
  explicit PairPainter(const PicturedPair& pair) : pair_(pair) {}

  void write(const std::filesystem::path& folder) const {
    const Views fixed = views_of_grid(normalised(pair_.fixed.values[0], pair_.fixed.values));
    const Views warped = seen_through(pair_.transform);
    const std::string title = "grey values between percentiles 0.5 and 99.5 of each image";
    write_png(folder / "checkerboard.png",
              draw_checkerboard(fixed, warped, "fixed and warped image in turn; " + title));
    write_png(folder / "overlay.png", draw_overlay(fixed, warped, title));
    write_png(folder / "before_after.png", before_after(fixed, warped));
    if (pair_.transform.is_affine()) return;
    write_png(folder / "deformed_grid.png", deformed_grid(fixed));
    write_png(folder / "log_jacobian.png", log_jacobian());
  }

 private:
  /// [C, D, H, W] on the fixed grid, turned to LPS.
  Volume turned(const at::Tensor& values) const {
    return reorient(Volume{values, pair_.fixed.geometry, "", {}}, "LPS");
  }
  Views views_of_grid(const at::Tensor& values) const {
    const Volume volume = turned(values);
    return views_of(volume.data[0], volume.geometry);
  }
  static at::Tensor normalised(const at::Tensor& values, const at::Tensor& measured) {
    const Window window = window_of(measured);
    return ((values - window.lo) / (window.hi - window.lo)).clamp(0.0, 1.0);
  }

  /// The moving image on the fixed grid, black where it has no value.
  Views seen_through(const SpatialTransform& transform) const {
    const Geometry& grid = pair_.fixed.geometry;
    const RegistrationImage& moving = pair_.moving;
    const at::Tensor displacement = displacement_on(transform, grid).unsqueeze(0);
    WarpOptions options;
    options.padding = WarpPadding::kEdge;
    const at::Tensor grey = warp(
        normalised(moving.values, moving.values), moving.geometry, displacement, grid, options);
    const at::Tensor inside =
        warp(at::ones_like(moving.values), moving.geometry, displacement, grid).ge(0.5);
    return views_of_grid((grey * inside)[0]);
  }

  Picture before_after(const Views& fixed, const Views& warped) const {
    SliceStyle style;
    style.window = Window{0.0, 1.0};
    const std::vector<std::pair<std::string, Views>> rows = {
        {"fixed image", fixed},
        {"moving image by the files' coordinates", seen_through(AffineMap{})},
        {"moving image after the first alignment", seen_through(pair_.start)},
        {"moving image, warped", warped}};
    std::vector<Picture> pictures;
    for (const auto& [title, views] : rows) pictures.push_back(draw_row(views, {}, style, title));
    return pair_.fixed.geometry.is_2d() ? stack_horizontally(pictures, {.gap = 0})
                                        : stack_vertically(pictures, {.gap = 0});
  }

  Picture deformed_grid(const Views& fixed) const {
    const SpatialTransform deformation = compose(pair_.start.inverse(), pair_.transform);
    const Volume field = turned(displacement_on(deformation, pair_.fixed.geometry));
    const at::Tensor voxels = voxels_from_mm(field.data.unsqueeze(0), field.geometry)[0];
    Views along[3];
    for (int axis = 0; axis < 3; ++axis) along[axis] = views_of(voxels[axis], field.geometry);
    // As plane_of lays the planes out: z points upwards.
    const Views upwards = views_of(-voxels[2], field.geometry);
    std::vector<SliceDisplacement> displacements = {{along[0][0].image, along[1][0].image}};
    if (fixed.size() == 3) {
      displacements.push_back({along[0][1].image, upwards[1].image});
      displacements.push_back({along[1][2].image, upwards[2].image});
    }
    return draw_deformed_grid(
        fixed, displacements, "where the deformation takes a regular grid of the fixed image");
  }

  Picture log_jacobian() const {
    const at::Tensor logarithm = pair_.determinant.log();
    const at::Tensor shown =
        at::where(pair_.determinant > 0.0, logarithm, at::full_like(logarithm, NAN));
    const Window spread = window_of(shown);
    const double half = std::max({0.05, std::abs(spread.lo), std::abs(spread.hi)});
    SliceStyle style;
    style.window = Window{-half, half};
    style.colour_map = ColourMap::kRdBu;
    return draw_row(
        views_of_grid(shown),
        {},
        style,
        "ln of moving over fixed volume by the deformation; red smaller, magenta folded");
  }

  const PicturedPair& pair_;
};

}  // namespace

void write_pictures(const std::filesystem::path& folder, const PicturedPair& pair) {
  PairPainter(pair).write(folder);
}

}  // namespace triptych::app
