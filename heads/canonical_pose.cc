// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"

namespace triptych {
namespace {

/// Float32 copies of a matrix or vector.
at::Tensor tensor_of(const Eigen::MatrixXd& values, c10::Device device) {
  at::Tensor result = torch::empty({values.rows(), values.cols()});
  for (Eigen::Index row = 0; row < values.rows(); ++row) {
    for (Eigen::Index column = 0; column < values.cols(); ++column)
      result[row][column] = values(row, column);
  }
  return result.to(device);
}

/// [N, 3] of unit length.
at::Tensor unit(const at::Tensor& vectors) {
  constexpr double kTiny = 1e-6;
  return vectors / vectors.norm(2, 1, true).clamp_min(kTiny);
}

/// Where a sample lies in space relative to the canonical frame of its kind, the one that its data
/// set is stored in: rotation and translation, for any rotation.
///
/// A 1x1x1 convolution makes `points` heat maps, a softmax over the voxels pools each to the place
/// of a part of the shape (Sun et al., Integral human pose regression, ECCV 2018). A linear map of
/// these places, about their middle and in units of their spread, gives the rotation as six
/// numbers, two columns before Gram-Schmidt, which is continuous (Zhou et al., On the continuity of
/// rotation representations in neural networks, CVPR 2019); one of the places as they are gives the
/// translation of the frame's origin from the middle of the grid. In two dimensions
/// the rotation is one in the plane of two numbers.
///
/// Role `image` -> points [N, 4, 3] in mm (LPS): where the canonical frame's origin comes to lie,
/// and the ends of its x, y and z axis, 1 mm long.
class CanonicalPoseHead final : public Head {
 public:
  struct Config {
    double spacing_mm = 0.0;
    std::int64_t points = 32;

    void visit(auto& field) {
      field("spacing_mm",
            spacing_mm,
            "edge of the voxels that the network is trained on; `register` brings images to it",
            config::Need::kRequired,
            config::Above{0.0},
            config::Unit{"mm"});
      field("points", points, "places of the shape that are looked for", config::AtLeast{4});
    }
  };

  CanonicalPoseHead(const Config& config, const PyramidSpec& in)
      : planar_(in.levels.back().stride[0] == 1 && in.levels.back().stride[1] > 1),
        heat_(register_module(
            "heat",
            torch::nn::Conv3d(
                torch::nn::Conv3dOptions(in.level(0).channels, config.points, 1).bias(false)))),
        pose_(register_module(
            "pose", torch::nn::Linear(config.points * axes(), planar_ ? 2 + 2 : 6 + 3))) {}

  Prediction forward(HeadInputs& inputs) override {
    const BatchEntry& image = inputs.batch().at("image");
    const FullPrecision full(image.data.device());
    const at::Tensor heat = heat_(inputs.features("image").level(0).to(torch::kFloat));
    const Grids grids(image, heat.device());
    const at::Tensor places = places_of(heat, grids);     // [N, points, 3], 1 = half the extent
    const at::Tensor seen = places.narrow(2, 0, axes());  // a plane's z is constant
    const std::int64_t turning = planar_ ? 2 : 6;
    const at::Tensor rotation =
        torch::matmul(grids.direction, rotation_of(numbers(standardised(seen), 0, turning)));
    at::Tensor shift = numbers(seen, turning, axes());
    if (planar_) shift = torch::constant_pad_nd(shift, {0, 1});
    const at::Tensor origin =
        grids.centre +
        torch::matmul(grids.direction, (shift * grids.half_mm).unsqueeze(2)).squeeze(2);
    const at::Tensor ends = origin.unsqueeze(1) + rotation.transpose(1, 2);
    Prediction prediction = Prediction::points(torch::cat({origin.unsqueeze(1), ends}, 1));
    prediction.frame = image.frame;
    return prediction;
  }
  std::int64_t out_channels() const override { return 4; }

 private:
  /// What of the grids of a batch the pose needs.
  struct Grids {
    at::Tensor direction;   ///< [N, 3, 3]
    at::Tensor centre;      ///< [N, 3], of what is no padding, in mm (LPS)
    at::Tensor middle;      ///< [1, 1, 3], the same in voxels (x, y, z)
    at::Tensor spacing_mm;  ///< [N, 1, 3]
    at::Tensor half_mm;     ///< [N, 1], half of the longest side

    Grids(const BatchEntry& image, c10::Device device) {
      std::vector<at::Tensor> directions, centres, spacings, halves;
      Eigen::Vector3d index;
      for (const Geometry& whole : image.geometry) {
        const Geometry grid = image.valid ? whole.cropped(*image.valid) : whole;
        const Eigen::Vector3d last(static_cast<double>(grid.shape[2] - 1),
                                   static_cast<double>(grid.shape[1] - 1),
                                   static_cast<double>(grid.shape[0] - 1));
        index = 0.5 * last;
        directions.push_back(tensor_of(grid.direction, device));
        centres.push_back(tensor_of(grid.world_from_index(index), device).flatten());
        spacings.push_back(tensor_of(grid.spacing.transpose(), device));
        const Eigen::Vector3d side = (last.array() + 1.0) * grid.spacing.array();
        halves.push_back(torch::full({1}, 0.5 * side.maxCoeff(), centres.back().options()));
      }
      direction = torch::stack(directions);
      centre = torch::stack(centres);
      middle = tensor_of(index.transpose(), device).unsqueeze(0);
      spacing_mm = torch::stack(spacings);
      half_mm = torch::stack(halves);
    }
  };

  std::int64_t axes() const { return planar_ ? 2 : 3; }

  /// Mean place of each heat map, from the middle and along the axes of the grid.
  static at::Tensor places_of(const at::Tensor& heat, const Grids& grids) {
    const at::Tensor weights = torch::softmax(heat.flatten(2), 2).view_as(heat);
    std::vector<at::Tensor> along;  // mean index along W, H, D: components x, y, z
    for (const std::int64_t axis : {4, 3, 2}) {
      std::vector<std::int64_t> others{2, 3, 4};
      std::erase(others, axis);
      along.push_back(
          (weights.sum(others) * torch::arange(heat.size(axis), heat.options())).sum(2));
    }
    return (torch::stack(along, 2) - grids.middle) * grids.spacing_mm / grids.half_mm.unsqueeze(2);
  }

  /// `count` of the numbers from `first` on, linear in the places [N, points, axes].
  at::Tensor numbers(const at::Tensor& places, std::int64_t first, std::int64_t count) const {
    return torch::nn::functional::linear(places.flatten(1),
                                         pose_->weight.narrow(0, first, count),
                                         pose_->bias.narrow(0, first, count));
  }

  /// Places about their own middle, in units of their own spread. Those of soft maps lie close to
  /// one another, and a linear map would take ten thousands of steps to see them turn.
  static at::Tensor standardised(const at::Tensor& places) {
    constexpr double kTiny = 1e-6;
    const at::Tensor offsets = places - places.mean(1, true);
    return offsets / offsets.square().mean({1, 2}, true).sqrt().clamp_min(kTiny);
  }

  /// [N, 3, 3] of [N, 6] (columns by Gram-Schmidt) or, in the plane, of [N, 2] (cosine and sine up
  /// to a factor).
  at::Tensor rotation_of(const at::Tensor& numbers) const {
    if (planar_) {
      const at::Tensor x = torch::constant_pad_nd(unit(numbers), {0, 1});
      const at::Tensor z = torch::zeros_like(x);
      z.select(1, 2).fill_(1.0);
      return torch::stack({x, torch::cross(z, x, 1), z}, 2);
    }
    const at::Tensor x = unit(numbers.narrow(1, 0, 3));
    const at::Tensor second = numbers.narrow(1, 3, 3);
    const at::Tensor y = unit(second - (x * second).sum(1, true) * x);
    return torch::stack({x, y, torch::cross(x, y, 1)}, 2);
  }

  bool planar_;
  torch::nn::Conv3d heat_;
  torch::nn::Linear pose_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("canonical_pose", CanonicalPoseHead)
}  // namespace triptych
