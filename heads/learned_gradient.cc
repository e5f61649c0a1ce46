// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/reconstruction_problem.h"
#include "framework/model/update_network.h"

namespace triptych {
namespace {

/// Learned gradient descent (Adler and Oktem 2017, Inverse Problems 33:124007): from the filtered
/// back projection on, every iteration looks at the image, at the direction in which it would agree
/// better with the measurement, and at a memory, and adds what a network makes of them. With
/// `step_length` the direction itself is subtracted too, by that much at first and a learned length
/// later: then an untrained head is the classical iteration (ops iterated_fbp or sirt), and
/// the network learns what to add to it.
///
/// Role `projections` [N, 1, D, A, W] -> [N, 1, D, H, W] on the projections' grid, in 1/cm or the
/// unit that the projections imply. With metal (role `metal`), rays through it do not count, and
/// the network sees what share of its rays every pixel lost.
class LearnedGradientHead final : public Head {
 public:
  struct Config {
    std::int64_t iterations = 6;
    std::string direction = "filtered";
    std::string network = "convolutions";
    std::int64_t width = 32;
    std::int64_t memory = 4;
    double step_length = 0.0;
    bool non_negative = false;
    bool shared_weights = false;
    MetalSetup metal;

    void visit(auto& field) {
      field("iterations", iterations, "learned steps", config::Between{1, 50});
      field("direction",
            direction,
            "what the residual of the projections becomes: filtered = filtered back projection, "
            "gradient = back projection over the row and column sums",
            config::OneOf{"filtered", "gradient"});
      field("network",
            network,
            "convolutions = three small ones of the head's own; backbone = the shared network, in "
            "every iteration (modality `iterate`, without memory)",
            config::OneOf{"convolutions", "backbone"});
      field("width", width, "channels of the convolutions", config::AtLeast{1});
      field("memory",
            memory,
            "channels that pass from one iteration to the next",
            config::Between{0, 64});
      field("step_length",
            step_length,
            "how far every iteration goes against the direction before the network adds to it, at "
            "first; 0 = what the network does is all, 1 = the classical iteration",
            config::Between{0.0, 2.0});
      field("non_negative", non_negative, "negative values become zero in every iteration");
      field("shared_weights", shared_weights, "every iteration uses the same convolutions");
      field("metal", metal, "projections behind metal");
    }
  };

  LearnedGradientHead(const Config& config, const PyramidSpec& in) : config_(config), pyramid_(in) {
    if (config.step_length > 0.0) {
      lengths_ =
          register_parameter("lengths", torch::full({config.iterations}, config.step_length));
    }
    if (uses_backbone()) {
      correction_ = register_module(
          "correction", torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, 1, 1)));
      torch::nn::init::zeros_(correction_->weight);
      torch::nn::init::zeros_(correction_->bias);
      return;
    }
    for (std::int64_t i = 0; i < (config.shared_weights ? 1 : config.iterations); ++i) {
      steps_.push_back(
          register_module("step_" + std::to_string(i),
                          std::make_shared<UpdateNetwork>(
                              seen_channels() + config.memory, config.width, 1 + config.memory)));
      if (config.step_length > 0.0) steps_.back()->start_without_update();
    }
  }

  Prediction forward(HeadInputs& inputs) override {
    const c10::Device device = inputs.batch().at("projections").data.device();
    const FullPrecision full(device);
    const ReconstructionProblem problem(inputs.batch(), config_.metal, cache_);
    at::Tensor image = in_range(problem.fbp(problem.completed()));
    std::vector<std::int64_t> shape = image.sizes().vec();
    shape[1] = config_.memory;
    at::Tensor memory = torch::zeros(shape, image.options());
    const at::Tensor lost = config_.metal.any() ? problem.lost_share() : at::Tensor();
    std::map<std::string, at::Tensor> iterates;
    for (std::int64_t i = 0; i < config_.iterations; ++i) {
      if (i > 0) iterates["iterate_" + std::to_string(i)] = problem.in_own_unit(image);
      const at::Tensor residual = problem.residual(image);
      const at::Tensor direction =
          config_.direction == "filtered" ? problem.fbp(residual) : problem.step(residual);
      const at::Tensor stepped = lengths_.defined() ? image - lengths_[i] * direction : image;
      std::vector<at::Tensor> seen = {image, direction};
      if (lost.defined()) seen.push_back(lost);
      if (uses_backbone()) {
        image = in_range(stepped + correction_(finest_features(
                                       inputs, torch::cat(seen, 1), "iterate", pyramid_)));
        continue;
      }
      UpdateNetwork& step = *steps_[config_.shared_weights ? 0 : static_cast<std::size_t>(i)];
      seen.push_back(memory);
      const at::Tensor update = step.forward(torch::cat(seen, 1));
      image = in_range(stepped + update.narrow(1, 0, 1));
      memory = torch::relu(update.narrow(1, 1, config_.memory));
    }
    Prediction prediction = Prediction::intensity(problem.in_own_unit(image));
    prediction.extra = std::move(iterates);
    return prediction;
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return config_.metal.roles(); }
  std::map<std::string, std::int64_t> encodes() const override {
    if (uses_backbone()) return {{"iterate", seen_channels()}};
    return {};
  }

 private:
  bool uses_backbone() const { return config_.network == "backbone"; }
  std::int64_t seen_channels() const { return config_.metal.any() ? 3 : 2; }
  at::Tensor in_range(const at::Tensor& image) const {
    return config_.non_negative ? torch::relu(image) : image;
  }

  Config config_;
  PyramidSpec pyramid_;
  torch::nn::Conv3d correction_{nullptr};
  at::Tensor lengths_;  ///< [iterations], or undefined
  std::vector<std::shared_ptr<UpdateNetwork>> steps_;
  ScanOperatorCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("learned_gradient", LearnedGradientHead)
}  // namespace triptych
