// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <Eigen/Geometry>

namespace triptych {
namespace {

/// Random crop, aspect, rotation, elastic deformation and flip in one resampling pass, so that an
/// image is blurred by one interpolation only. Defaults are the augmentation of Baltruschat et al.
/// (2021): a crop of 85-100 % of the area with an aspect of 3:4 to 4:3, resized to `size`; rotation
/// within +-90 degrees; elastic deformation; horizontal flip.
///
/// In two dimensions the plane [H, W] moves and all slices of a slab move alike; in three a patch
/// [D, H, W] moves. output -> input, in this order: elastic, flip, scale to the crop, rotation
/// about the crop's centre (in mm).
class Spatial final : public Transform {
 public:
  struct Config {
    std::int64_t dimensions = 2;
    std::vector<std::int64_t> size;
    std::vector<double> area = {0.85, 1.0};
    std::vector<double> aspect = {0.75, 4.0 / 3.0};
    double rotation_deg = 90.0;
    double rotation_probability = 1.0;
    double elastic_voxels = 4.0;
    double elastic_spacing = 48.0;
    double elastic_probability = 0.5;
    bool flip = true;
    std::string label_outside = "ignore";
    std::vector<std::string> frames;

    void visit(auto& field) {
      field("dimensions",
            dimensions,
            "2 = the plane [H, W] of a slice or slab, 3 = a patch [D, H, W]",
            config::Between{2, 3});
      field(
          "size", size, "output voxels [H, W] or [D, H, W]; [] keeps the size", config::AtLeast{1});
      field("area",
            area,
            "[low, high] fraction of the area that the crop keeps",
            config::Above{0.0},
            config::AtMost{4.0},
            config::Length{2});
      field("aspect",
            aspect,
            "[low, high] ratio of the crop's width to its height, relative to the item's",
            config::Above{0.0},
            config::Length{2});
      field("rotation_deg",
            rotation_deg,
            "largest rotation either way (3D: about a random axis)",
            config::Between{0.0, 180.0},
            config::Unit{"degrees"});
      field("rotation_probability", rotation_probability, "of rotating", config::Between{0.0, 1.0});
      field("elastic_voxels",
            elastic_voxels,
            "standard deviation of the control points, 0 = no elastic deformation",
            config::AtLeast{0.0},
            config::Unit{"output voxels"});
      field("elastic_spacing",
            elastic_spacing,
            "distance of the control points",
            config::AtLeast{2.0},
            config::Unit{"output voxels"});
      field("elastic_probability", elastic_probability, "of deforming", config::Between{0.0, 1.0});
      field("flip",
            flip,
            "mirror every second item horizontally (along W); random_flip has other axes");
      field("label_outside",
            label_outside,
            "what labels are where the output reaches beyond the item",
            config::OneOf{"ignore", "edge"});
      field("frames", frames, "frames to move; [] = all");
    }
    void validate(config::Problems& problems) const {
      if (!size.empty() && static_cast<std::int64_t>(size.size()) != dimensions) {
        problems.add("size", "must have as many numbers as `dimensions`, or none");
      }
      if (area.size() == 2 && area[0] > area[1]) problems.add("area", "must be [low, high]");
      if (aspect.size() == 2 && aspect[0] > aspect[1])
        problems.add("aspect", "must be [low, high]");
    }
  };

  explicit Spatial(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample& sample, RandomStream& random) const override {
    const auto grids = frame_grids(sample, config_.frames, "spatial");
    if (grids.empty()) return {};
    TransformParameters parameters;
    draw_crop(random, parameters);
    parameters["rotation"] = draw_rotation(random);
    std::vector<double> mirrored(3, 1.0);
    if (config_.flip && random.bernoulli(0.5)) mirrored[2] = -1.0;
    parameters["flip"] = mirrored;
    draw_elastic(output_shape(grids.begin()->second.shape), random, parameters);
    return parameters;
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "spatial"))
      maps.emplace(frame, map_of(grid, parameters));
    move_entries(sample, maps, label_outside_from_text(config_.label_outside));
  }

  Index3 size_after(const Index3& size, const std::string& frame) const override {
    return moves_frame(config_.frames, frame) ? output_shape(size) : size;
  }

 private:
  bool is_plane() const { return config_.dimensions == 2; }

  Index3 output_shape(Index3 shape) const {
    for (std::size_t i = 0; i < config_.size.size(); ++i)
      shape[i + 3 - config_.size.size()] = config_.size[i];
    return shape;
  }

  /// Extent and centre of the crop as fractions of the item, [D, H, W].
  void draw_crop(RandomStream& random, TransformParameters& parameters) const {
    std::vector<double> extent(3, 1.0);
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = random.uniform(config_.area[0], config_.area[1]);
      const double aspect =
          std::exp(random.uniform(std::log(config_.aspect[0]), std::log(config_.aspect[1])));
      extent[1] = std::sqrt(area / aspect);
      extent[2] = std::sqrt(area * aspect);
      if (!is_plane()) extent[0] = std::sqrt(area);
      // A crop should lie inside the item: draw again, and shorten the longer side when none fits.
      if (config_.area[1] > 1.0 || (extent[1] <= 1.0 && extent[2] <= 1.0)) break;
    }
    std::vector<double> centre(3, 0.5);
    for (std::size_t i = 0; i < 3; ++i) {
      if (config_.area[1] <= 1.0) extent[i] = std::min(extent[i], 1.0);
      centre[i] += (random.uniform() - 0.5) * std::abs(1.0 - extent[i]);
    }
    parameters["extent"] = extent;
    parameters["centre"] = centre;
  }

  /// Axis (x, y, z) and angle in degrees.
  std::vector<double> draw_rotation(RandomStream& random) const {
    const double angle = random.bernoulli(config_.rotation_probability)
                             ? random.uniform(-config_.rotation_deg, config_.rotation_deg)
                             : 0.0;
    if (is_plane()) return {0.0, 0.0, 1.0, angle};
    Eigen::Vector3d axis;
    for (int i = 0; i < 3; ++i) axis[i] = random.normal();
    axis.normalize();
    return {axis[0], axis[1], axis[2], angle};
  }

  void draw_elastic(const Index3& shape,
                    RandomStream& random,
                    TransformParameters& parameters) const {
    if (config_.elastic_voxels <= 0.0 || !random.bernoulli(config_.elastic_probability)) return;
    Index3 cells{0, 0, 0};
    for (std::size_t i = is_plane() ? 1 : 0; i < 3; ++i) {
      cells[i] = std::max<std::int64_t>(
          1, std::lround(static_cast<double>(shape[i]) / config_.elastic_spacing));
    }
    const std::size_t count = ElasticField::coefficient_count(cells);
    std::vector<double> coefficients(count, 0.0);  // in cells, so that they fit any grid
    const double deviation = config_.elastic_voxels / config_.elastic_spacing;
    for (std::size_t i = 0; i < (is_plane() ? count / 3 * 2 : count); ++i) {
      coefficients[i] = std::clamp(deviation * random.normal(),
                                   -ElasticField::kLargestCoefficient,
                                   ElasticField::kLargestCoefficient);
    }
    parameters["elastic"] = std::move(coefficients);
    parameters["elastic_cells"] = {static_cast<double>(cells[0]),
                                   static_cast<double>(cells[1]),
                                   static_cast<double>(cells[2])};
  }

  GridMap map_of(const Geometry& grid, const TransformParameters& parameters) const {
    GridMap map;
    map.input = grid;
    map.output = grid;
    map.output.shape = output_shape(grid.shape);
    Eigen::Vector3d scale;  // input voxels an output voxel
    Eigen::Vector3d flip;
    Eigen::Vector3d crop_centre;    // input index
    Eigen::Vector3d output_centre;  // output index
    for (int axis = 0; axis < 3; ++axis) {
      const auto a = static_cast<std::size_t>(2 - axis);
      const auto input_size = static_cast<double>(grid.shape[a]);
      const auto output_size = static_cast<double>(map.output.shape[a]);
      scale[axis] = parameters.at("extent")[a] * input_size / output_size;
      flip[axis] = parameters.at("flip")[a];
      crop_centre[axis] = parameters.at("centre")[a] * input_size - 0.5;
      output_centre[axis] = 0.5 * (output_size - 1.0);
      if (scale[axis] > 1.0)
        map.smoothing_sigma[a] = 0.5 * std::sqrt(scale[axis] * scale[axis] - 1.0);
      if (map.smoothing_sigma[a] < 0.2) map.smoothing_sigma[a] = 0.0;  // no visible effect
    }
    const std::vector<double>& rotation = parameters.at("rotation");
    const Eigen::AngleAxisd turn(rotation[3] * std::numbers::pi / 180.0,
                                 Eigen::Vector3d(rotation[0], rotation[1], rotation[2]));
    // The rotation is one of lengths in mm, not of voxels, so that anisotropic voxels do not shear.
    map.matrix = grid.spacing.cwiseInverse().asDiagonal() * turn.toRotationMatrix() *
                 grid.spacing.asDiagonal() * flip.cwiseProduct(scale).asDiagonal();
    map.offset = crop_centre - map.matrix * output_centre;
    map.output.spacing = grid.spacing.cwiseProduct(scale);
    map.output.origin = grid.world_from_index(crop_centre) - map.output.step_mm() * output_centre;
    add_elastic(parameters, map);
    return map;
  }

  static void add_elastic(const TransformParameters& parameters, GridMap& map) {
    const auto found = parameters.find("elastic");
    if (found == parameters.end()) return;
    Index3 cells;
    for (std::size_t i = 0; i < 3; ++i)
      cells[i] = static_cast<std::int64_t>(parameters.at("elastic_cells")[i]);
    std::vector<double> coefficients = found->second;
    const std::size_t component = coefficients.size() / 3;
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
      const std::size_t a = 2 - i / component;  // components are x, y, z
      if (cells[a] > 0)
        coefficients[i] *= static_cast<double>(map.output.shape[a]) / static_cast<double>(cells[a]);
    }
    map.elastic.emplace(map.output.shape, cells, std::move(coefficients));
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("spatial", Spatial)
}  // namespace triptych
