// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"

namespace triptych {
namespace {

/// Positions of named landmarks: a 1x1x1 convolution makes one heat map a landmark, and its softmax
/// over the voxels weighs their places (soft-argmax; Sun et al., Integral human pose regression,
/// ECCV 2018).
///
/// Role `image` -> points [N, P, 3] in mm (LPS). extra["heat"]: the logits [N, P, D, H, W].
class LandmarksHead final : public Head {
 public:
  struct Config {
    std::int64_t points = 0;
    void visit(auto& field) {
      field("points",
            points,
            "number of landmarks, in a fixed order",
            config::Need::kRequired,
            config::AtLeast{1});
    }
  };

  LandmarksHead(const Config& config, const PyramidSpec& in)
      : points_(config.points),
        heat_(register_module(
            "heat",
            torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, config.points, 1)))) {}

  Prediction forward(HeadInputs& inputs) override {
    const BatchEntry& image = inputs.batch().at("image");
    const FullPrecision full(image.data.device());
    const at::Tensor heat = heat_(inputs.features("image").level(0).to(torch::kFloat));
    const at::Tensor weights = torch::softmax(heat.flatten(2), 2).view_as(heat);
    std::vector<at::Tensor> along;  // mean index along W, H, D: components x, y, z
    for (const std::int64_t axis : {4, 3, 2}) {
      std::vector<std::int64_t> others{2, 3, 4};
      std::erase(others, axis);
      along.push_back(
          (weights.sum(others) * torch::arange(heat.size(axis), heat.options())).sum(2));
    }
    const at::Tensor index = torch::stack(along, 2);
    std::vector<at::Tensor> points;
    for (std::int64_t item = 0; item < index.size(0); ++item)
      points.push_back(in_world(index[item], image.geometry.at(static_cast<std::size_t>(item))));
    Prediction prediction = Prediction::points(torch::stack(points));
    prediction.frame = image.frame;
    prediction.extra["heat"] = heat;
    return prediction;
  }
  std::int64_t out_channels() const override { return points_; }

 private:
  /// Voxel indices [P, 3] (x, y, z) as positions in mm (LPS).
  static at::Tensor in_world(const at::Tensor& index, const Geometry& grid) {
    const Eigen::Matrix3d step = grid.step_mm();
    at::Tensor matrix = torch::empty({3, 3}), origin = torch::empty({3});
    for (int row = 0; row < 3; ++row) {
      origin.data_ptr<float>()[row] = static_cast<float>(grid.origin[row]);
      for (int column = 0; column < 3; ++column)
        matrix.data_ptr<float>()[3 * row + column] = static_cast<float>(step(row, column));
    }
    return torch::matmul(index, matrix.t().to(index.device())) + origin.to(index.device());
  }

  std::int64_t points_;
  torch::nn::Conv3d heat_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("landmarks", LandmarksHead)
}  // namespace triptych
