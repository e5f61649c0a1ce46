// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// Mean absolute difference of the forward differences of prediction and target, over all axes of
/// more than one voxel: keeps edges sharp (Mathieu, Couprie and LeCun, ICLR 2016, with signed
/// differences). [N, C, D, H, W], in grey values a voxel.
class GradientLoss final : public Loss {
 public:
  struct Config {
    void visit(auto&) {}
  };
  explicit GradientLoss(const Config&) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "gradient");
    const at::Tensor error = prediction - target;
    at::Tensor sum = torch::zeros({}, error.options());
    std::int64_t axes = 0;
    for (std::int64_t axis = 2; axis < 5; ++axis) {
      if (error.size(axis) < 2) continue;
      const at::Tensor mask =
          context.mask.defined() ? both_neighbours(context.mask, axis) : at::Tensor();
      sum = sum + masked_mean(error.diff(1, axis).abs(), mask);
      ++axes;
    }
    return axes > 0 ? sum / static_cast<double>(axes) : sum;
  }
  bool is_classification() const override { return false; }

 private:
  static at::Tensor both_neighbours(const at::Tensor& mask, std::int64_t axis) {
    const std::int64_t length = mask.size(axis) - 1;
    return mask.narrow(axis, 0, length) & mask.narrow(axis, 1, length);
  }
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("gradient", GradientLoss)
}  // namespace triptych
