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

/// The rotations [N, 3, 3] nearest to matrices [N, 3, 3]: U diag(1, 1, det U V^T) V^T of their
/// singular value decompositions (Kabsch 1976; as the last layer of a network Levinson et al., An
/// analysis of SVD for deep rotation estimation, NeurIPS 2020). Matrices of rank 2 have one too.
///
/// The gradient is that of the first order about the result, dR = U W V^T with skew W; its
/// denominators, which vanish where the rotation is not unique, stay above a tenth of the largest
/// singular value.
at::Tensor nearest_rotation(const at::Tensor& matrices) {
  constexpr double kLeast = 0.1, kTiny = 1e-12;
  const at::Tensor m = matrices.to(torch::kDouble);
  const auto [u, s, vt] = at::linalg_svd(m.detach(), false);
  const at::Tensor side = torch::ones_like(s);
  side.select(1, 2).copy_(torch::det(torch::matmul(u, vt)).sign());
  const at::Tensor flipped = side.unsqueeze(2) * vt;
  const at::Tensor inner = torch::matmul(torch::matmul(u.transpose(1, 2), m),
                                         flipped.transpose(1, 2));  // diagonal in value
  const at::Tensor values = s * side;
  const at::Tensor sums = (values.unsqueeze(1) + values.unsqueeze(2))
                              .maximum((kLeast * s.select(1, 0)).view({-1, 1, 1}).clamp_min(kTiny));
  const at::Tensor turn = (inner - inner.transpose(1, 2)) / sums;
  const at::Tensor first_order = turn - turn.detach();
  return torch::matmul(torch::matmul(u, torch::eye(3, m.options()) + first_order), flipped)
      .to(matrices.scalar_type());
}

/// Where a sample lies in space relative to the canonical frame of its kind, the one that its data
/// set is stored in: rotation and translation, for any rotation.
///
/// A 1x1x1 convolution makes `points` heat maps, a softmax over the voxels pools each to the place
/// of a part of the shape (Sun et al., Integral human pose regression, ECCV 2018). The rotation is
/// the one that takes learned canonical positions to these places (Kabsch 1976), a learned mean of
/// the places and an offset in the canonical frame give the translation. So the pose turns with
/// the places, and with an isotropic backbone, whose maps turn with the image, only what to mark is
/// learned and no rotation by example. A mirrored shape has another pose as long as the places do
/// not lie in a plane; those of a symmetric shape may. In two dimensions the rotation is one in the
/// plane.
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
        spacing_mm_(config.spacing_mm),
        heat_(register_module(
            "heat",
            torch::nn::Conv3d(
                torch::nn::Conv3dOptions(in.level(0).channels, config.points, 1).bias(false)))),
        canonical_(register_parameter("canonical", torch::randn({3, config.points}))),
        share_(register_parameter("share", torch::zeros({config.points}))),
        offset_(register_parameter("offset", torch::zeros({3, 1}))) {}

  Prediction forward(HeadInputs& inputs) override {
    const BatchEntry& image = inputs.batch().at("image");
    const FullPrecision full(image.data.device());
    const at::Tensor heat = heat_(inputs.features("image").level(0).to(torch::kFloat));
    const Grids grids(image, heat.device());
    const at::Tensor places = places_of(heat, grids) / spacing_mm_;
    const at::Tensor rotation = rotation_of(places, grids);
    const at::Tensor middle = torch::matmul(torch::softmax(share_, 0), places);  // [N, 3]
    const at::Tensor offset = torch::matmul(rotation, in_world(offset_, grids)).squeeze(2);
    const at::Tensor origin = grids.centre + spacing_mm_ * (middle + offset);
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

    Grids(const BatchEntry& image, c10::Device device) {
      std::vector<at::Tensor> directions, centres, spacings;
      Eigen::Vector3d index;
      for (const Geometry& whole : image.geometry) {
        const Geometry grid = image.valid ? whole.cropped(*image.valid) : whole;
        index = 0.5 * Eigen::Vector3d(static_cast<double>(grid.shape[2] - 1),
                                      static_cast<double>(grid.shape[1] - 1),
                                      static_cast<double>(grid.shape[0] - 1));
        directions.push_back(tensor_of(grid.direction, device));
        centres.push_back(tensor_of(grid.world_from_index(index), device).flatten());
        spacings.push_back(tensor_of(grid.spacing.transpose(), device));
      }
      direction = torch::stack(directions);
      centre = torch::stack(centres);
      middle = tensor_of(index.transpose(), device).unsqueeze(0);
      spacing_mm = torch::stack(spacings);
    }
  };

  /// Mean place [N, points, 3] of each heat map, in mm from the middle of the grid along the axes
  /// of the world.
  static at::Tensor places_of(const at::Tensor& heat, const Grids& grids) {
    const at::Tensor weights = torch::softmax(heat.flatten(2), 2).view_as(heat);
    std::vector<at::Tensor> along;  // mean index along W, H, D: components x, y, z
    for (const std::int64_t axis : {4, 3, 2}) {
      std::vector<std::int64_t> others{2, 3, 4};
      std::erase(others, axis);
      along.push_back(
          (weights.sum(others) * torch::arange(heat.size(axis), heat.options())).sum(2));
    }
    const at::Tensor along_grid = (torch::stack(along, 2) - grids.middle) * grids.spacing_mm;
    return torch::matmul(along_grid, grids.direction.transpose(1, 2));
  }

  /// Rotation [N, 3, 3] from the canonical positions to places [N, points, 3].
  at::Tensor rotation_of(const at::Tensor& places, const Grids& grids) const {
    const at::Tensor about_mean = places - places.mean(1, true);
    at::Tensor moments = torch::matmul(in_world(canonical_, grids), about_mean).transpose(1, 2);
    if (planar_) {  // the normal stays, and as the longest axis it is none that is reflected
      const at::Tensor normal = grids.direction.narrow(2, 2, 1);
      moments = moments + torch::matmul(normal, normal.transpose(1, 2)) *
                              (1.0 + moments.detach().abs().sum({1, 2}, true));
    }
    return nearest_rotation(moments);
  }

  /// Canonical positions [3, K] along the axes of the world, [N, 3, K]. Those of a plane are stored
  /// along its own axes, and have no third component.
  at::Tensor in_world(const at::Tensor& positions, const Grids& grids) const {
    if (!planar_) return positions.unsqueeze(0).expand({grids.direction.size(0), -1, -1});
    return torch::matmul(grids.direction.narrow(2, 0, 2), positions.narrow(0, 0, 2));
  }

  bool planar_;
  double spacing_mm_;
  torch::nn::Conv3d heat_;
  at::Tensor canonical_;  ///< [3, points], positions of the parts in the canonical frame
  at::Tensor share_;      ///< [points], before a softmax, of the places in the origin
  at::Tensor offset_;     ///< [3, 1], the origin from their mean, in voxels of spacing_mm
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("canonical_pose", CanonicalPoseHead)
}  // namespace triptych
