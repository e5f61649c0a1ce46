// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/random_shapes.h"

#include "framework/core/parallel.h"
#include "framework/ops/noise_field.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kTextureCell = 0.15;    // of half the field of view
constexpr double kDistortionCell = 0.5;  // the same
constexpr float kThinnest = 0.004F;      // radius of a crack

/// A shape in its own axes, within |x| <= 1.
struct Shape {
  ShapeClass kind = ShapeClass::kEllipsoid;
  Point3f centre;
  std::array<double, 9> to_axes{};  // rotation, row by row
  std::array<float, 3> radius{};
  float value = 0.0F;

  /// Signed distance to the border, about: positive inside.
  float depth(const Point3f& p) const {
    const std::array<float, 3> d{p.x - centre.x, p.y - centre.y, p.z - centre.z};
    std::array<float, 3> along{};
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) along[i] += static_cast<float>(to_axes[3 * i + j]) * d[j];
    }
    if (kind == ShapeClass::kBox) {
      float least = radius[0] - std::abs(along[0]);
      for (std::size_t i = 1; i < 3; ++i) least = std::min(least, radius[i] - std::abs(along[i]));
      return least;
    }
    float norm = 0.0F, gradient = 0.0F;
    for (std::size_t i = 0; i < 3; ++i) {
      const float scaled = along[i] / radius[i];
      norm += scaled * scaled;
      gradient += scaled * scaled / (radius[i] * radius[i]);
    }
    norm = std::sqrt(norm);
    // (1 - norm) over the length of norm's gradient; at the centre the smallest radius.
    if (gradient == 0.0F) return *std::min_element(radius.begin(), radius.end());
    return (1.0F - norm) * norm / std::sqrt(gradient);
  }
};

/// A turn about the slicing axis where the object is one slice.
std::array<double, 9> rotation(bool flat, RandomStream& stream) {
  if (!flat) return random_rotation(stream);
  const double angle = stream.uniform(0.0, 3.14159265358979323846);
  const double c = std::cos(angle), s = std::sin(angle);
  return {c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0};
}

Shape body(const RandomShapes& options, bool flat, RandomStream& stream) {
  Shape shape;
  shape.kind = ShapeClass::kBody;
  shape.centre = {static_cast<float>(stream.uniform(-0.12, 0.12)),
                  static_cast<float>(stream.uniform(-0.12, 0.12)),
                  0.0F};
  shape.to_axes = rotation(flat, stream);
  for (float& radius : shape.radius) radius = static_cast<float>(stream.uniform(0.45, 0.8));
  shape.value = static_cast<float>(stream.uniform(options.body[0], options.body[1]));
  return shape;
}

Shape inclusion(const RandomShapes& options, bool flat, RandomStream& stream) {
  Shape shape;
  const bool crack = stream.bernoulli(options.cracks);
  const bool box = stream.bernoulli(0.3);
  shape.kind = crack ? ShapeClass::kCrack : box ? ShapeClass::kBox : ShapeClass::kEllipsoid;
  shape.centre = {static_cast<float>(stream.uniform(-0.7, 0.7)),
                  static_cast<float>(stream.uniform(-0.7, 0.7)),
                  flat ? 0.0F : static_cast<float>(stream.uniform(-0.7, 0.7))};
  shape.to_axes = rotation(flat, stream);
  for (float& radius : shape.radius) {
    radius = static_cast<float>(
        std::exp(stream.uniform(std::log(options.radius[0]), std::log(options.radius[1]))));
  }
  if (crack) shape.radius[0] = kThinnest * static_cast<float>(stream.uniform(1.0, 4.0));
  shape.value = static_cast<float>(options.largest * stream.uniform());
  return shape;
}

std::vector<Shape> draw_shapes(const RandomShapes& options, bool flat, RandomStream stream) {
  std::vector<Shape> shapes = {body(options, flat, stream)};
  const std::int64_t count =
      options.count[0] + stream.integer(options.count[1] - options.count[0] + 1);
  const auto contrast = static_cast<float>(options.contrast);
  for (std::int64_t i = 0; i < count; ++i) {
    Shape shape = inclusion(options, flat, stream);
    const bool strong = options.strong > 0.0 && stream.bernoulli(options.strong);
    if (!strong) shape.value = shapes[0].value + contrast * (shape.value - shapes[0].value);
    shapes.push_back(shape);
  }
  return shapes;
}

}  // namespace

PaintedShapes paint_random_shapes(const std::array<std::int64_t, 3>& size,
                                  const RandomShapes& options,
                                  const RandomStream& stream) {
  const auto [depth, height, width] = size;
  const bool flat = depth == 1;
  const std::vector<Shape> shapes = draw_shapes(options, flat, stream.derive("shapes"));
  const NoiseField bend_x(stream.derive("bend x"), kDistortionCell, 2);
  const NoiseField bend_y(stream.derive("bend y"), kDistortionCell, 2);
  const NoiseField bend_z(stream.derive("bend z"), kDistortionCell, 2);
  const NoiseField texture(stream.derive("texture"), kTextureCell, 3);
  const auto bend = static_cast<float>(options.distortion);
  const auto relief = static_cast<float>(options.texture);
  const auto grain = static_cast<float>(options.grain);
  const std::uint64_t grain_key = stream.derive("grain").bits();

  PaintedShapes painted{at::empty({depth, height, width}, at::kFloat),
                        at::empty({depth, height, width}, at::kLong)};
  float* image = painted.image.data_ptr<float>();
  std::int64_t* labels = painted.labels.data_ptr<std::int64_t>();
  const auto longest = static_cast<float>(std::max({depth, height, width}));
  const float voxel = 2.0F / longest;
  const auto place = [&](std::int64_t i, std::int64_t n) {
    return (static_cast<float>(i) - 0.5F * static_cast<float>(n - 1)) * voxel;
  };
  parallel_for(depth * height, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t line = first; line < last; ++line) {
      for (std::int64_t w = 0; w < width; ++w) {
        const Point3f at{
            place(w, width), place(line % height, height), place(line / height, depth)};
        Point3f p{at.x + bend * bend_x.at(at), at.y + bend * bend_y.at(at), at.z};
        if (!flat) p.z += bend * bend_z.at(at);
        const bool outside = shapes[0].depth(p) <= -0.5F * voxel;
        float value = 0.0F;
        auto kind = ShapeClass::kBackground;
        // What lies outside of the body is cut off, so that air stays air.
        const float within = std::clamp(shapes[0].depth(p) / voxel + 0.5F, 0.0F, 1.0F);
        for (std::size_t i = 0; i < shapes.size() && !outside; ++i) {
          const float covered = std::clamp(shapes[i].depth(p) / voxel + 0.5F, 0.0F, 1.0F);
          value += (i == 0 ? 1.0F : covered) * (shapes[i].value - value);
          if (covered >= 0.5F && within >= 0.5F) kind = shapes[i].kind;
        }
        const std::int64_t index = line * width + w;
        value = value * (1.0F + relief * texture.at(at)) +
                grain * hashed_normal(grain_key, static_cast<std::uint64_t>(index));
        image[index] = outside ? 0.0F : std::max(0.0F, within * value);
        labels[index] = static_cast<std::int64_t>(kind);
      }
    }
  });
  return painted;
}

}  // namespace triptych
